"""A row of the catalogue: a function, what is declared of it, and what its signature tells.

The positional parameters of the function are the arrays it asks for, the keyword-only parameters
with their defaults are its coefficients. Nothing is written twice: config keys, sweep axes and
documentation are read from here.
"""

import difflib
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rl_surrogates.objectives.inputs import INPUTS
from rl_surrogates.objectives.ranges import Range, Rule
from rl_surrogates.types import Array


@dataclass(frozen=True)
class Objective:
    """One objective and its declared properties, which the contract tests assert."""

    fn: Callable[..., Array]  # arrays [...] -> [...], to maximise
    first_order: bool | None  # the slope in log_prob at ratio 1 is A; None: not declared
    scale_free: bool | None  # homogeneous in the advantage; None: not declared
    source: str
    actions: Literal["any", "discrete"] = "any"
    ranges: Mapping[str, str] = field(default_factory=dict)  # coefficient -> interval
    rules: tuple[Rule, ...] = ()  # what concerns more than one coefficient, or a hole in a range
    dear: bool = False  # costs more than all others together: a sweep compiles it by itself

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the per-sample arrays that the function asks for, in its order."""
        return tuple(p.name for p in _parameters(self.fn) if p.kind is not p.KEYWORD_ONLY)

    @property
    def coefficients(self) -> dict[str, float]:
        """Names of the coefficients with their defaults."""
        return {p.name: p.default for p in _parameters(self.fn) if p.kind is p.KEYWORD_ONLY}

    def problems(self, **coefficients: float) -> dict[str, str]:
        """What is wrong with coefficients, by name; absent ones have their defaults."""
        known = self.coefficients
        found = {}
        for name, value in coefficients.items():
            complaint = self._complaint(name, value, known)
            if complaint:
                found[name] = complaint
        if not found:
            for rule in self.rules:
                name, _, complaint = (rule({**known, **coefficients}) or "").partition(": ")
                if complaint:
                    found[name] = complaint
        return found

    def validate(self, **coefficients: float) -> None:
        """Checks coefficients before they are traced; absent ones have their defaults.

        Raises:
          ValueError: a name is unknown, or a value not finite, out of range or in conflict.
        """
        found = self.problems(**coefficients)
        if found:
            raise ValueError("\n".join(f"{name}: {complaint}" for name, complaint in found.items()))

    def _complaint(self, name: str, value: object, known: Mapping[str, float]) -> str | None:
        if name not in known:
            return f"unknown coefficient of {_name(self.fn)}; {nearest(name, known)}"
        default, number = f"the default is {known[name]}", _as_number(value)
        if number is None:
            return f"{value!r} is not a number; {default}"
        if not math.isfinite(number):
            return f"{number} is not finite; {default}"
        if name in self.ranges and number not in Range.parse(self.ranges[name]):
            return f"{value} is outside {self.ranges[name]}; {default}"
        return None


def from_function(fn: Callable[..., Array]) -> Objective:
    """Makes an objective of a user's own function, with nothing declared of it.

    Args:
      fn: positional parameters out of `INPUTS`, `log_prob` among them; then `*`; then coefficients
        with defaults.

    Returns:
      An `Objective` that works wherever a row of the table does.

    Raises:
      ValueError: the signature asks for an input that does not exist, or cannot be read.
    """
    for parameter in _parameters(fn):
        complaint = _complaint(parameter)
        if complaint:
            raise ValueError(f"{_name(fn)}: {complaint}")
    objective = Objective(fn, first_order=None, scale_free=None, source=f"function {_name(fn)}")
    if "log_prob" not in objective.inputs:
        raise ValueError(
            f"{_name(fn)}: does not ask for log_prob, so it has no gradient in the policy; "
            "make log_prob its first parameter"
        )
    return objective


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for a name that is not known: the names most like it, or else all of them."""
    known = tuple(known)
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"known are {', '.join(known)}" if known else "there is none"


def _complaint(parameter: inspect.Parameter) -> str | None:
    """What keeps a parameter of a user's function from being an input or a coefficient."""
    name, default = parameter.name, parameter.default
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return f"{parameter} cannot be read as an input or a coefficient; name each parameter"
    if parameter.kind is not parameter.KEYWORD_ONLY:
        if name in INPUTS and parameter.kind is parameter.POSITIONAL_ONLY:
            return f"input {name} is passed by name; remove the `/` from the signature"
        if name in INPUTS:
            return None
        return (
            f"input {name!r} does not exist; the inputs are {', '.join(INPUTS)}; "
            f"a coefficient stands behind `*` and has a default"
        )
    if name in INPUTS:
        return f"{name} is an input; write it before the `*`"
    if default is parameter.empty:
        return f"coefficient {name} has no default; write {name}=<number>"
    if _as_number(default) is None:
        return f"coefficient {name} has the default {default!r}; it must be a number"
    return None


def _parameters(fn: Callable[..., Array]) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(fn).parameters.values())


def _as_number(value: object) -> float | None:
    """The value as a float, or None where it is a flag, text, or an array of several."""
    if isinstance(value, bool | str | bytes):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return None


def _name(fn: Callable[..., Array]) -> str:
    """The function's name; a `partial` has that of its function."""
    return getattr(fn, "__name__", None) or getattr(getattr(fn, "func", fn), "__name__", repr(fn))
