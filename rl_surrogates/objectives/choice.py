"""How does one compiled program hold several objectives?

`one_of(entries)` is an objective whose coefficients are those of all entries, under the names
`<objective>__<coefficient>`, and a traced `choice` among them. Every objective is evaluated and one
is selected: they are elementwise, so a dozen cost a few percent of an update, where a dozen
programs would cost a dozen compilations.
"""

import inspect
from collections.abc import Iterable, Mapping

import jax.numpy as jnp

from rl_surrogates.objectives.inputs import INPUTS
from rl_surrogates.objectives.objective import Objective

SEPARATOR = "__"
CHOICE = "choice"


def one_of(entries: Mapping[str, Objective]) -> Objective:
    """The objective that is entry number `choice`, with `choice` and all coefficients traced."""
    inputs = [i for i in INPUTS if any(i in entry.inputs for entry in entries.values())]

    def chosen(*, choice=0.0, **named):
        value = 0.0
        for index, (name, entry) in enumerate(entries.items()):
            own = {c: named[name + SEPARATOR + c] for c in entry.coefficients}
            one = entry.fn(**{i: named[i] for i in entry.inputs}, **own)
            value = jnp.where(choice == index, one, value)
        return value

    chosen.__signature__ = _signature(inputs, _defaults(entries))
    rows = entries.values()
    return Objective(
        chosen,
        first_order=all(entry.first_order for entry in rows),
        scale_free=all(entry.scale_free for entry in rows),
        source="; ".join(entry.source for entry in rows),
        actions="discrete" if any(entry.actions == "discrete" for entry in rows) else "any",
    )


def choose(
    entries: Mapping[str, Objective], name: str, coefficients: Mapping[str, float]
) -> dict[str, float]:
    """The coefficients with which `one_of(entries)` is entry `name` with its own `coefficients`."""
    own = {name + SEPARATOR + key: value for key, value in coefficients.items()}
    return {**_defaults(entries), **own, CHOICE: float(list(entries).index(name))}


def held_names(coefficient: str, held: Iterable[str]) -> list[str]:
    """Which of the `held` names mean `coefficient`: itself, or that of any entry of `one_of`."""
    return [k for k in held if k == coefficient or k.endswith(SEPARATOR + coefficient)]


def _defaults(entries: Mapping[str, Objective]) -> dict[str, float]:
    named = {CHOICE: 0.0}
    for name, entry in entries.items():
        named |= {name + SEPARATOR + c: default for c, default in entry.coefficients.items()}
    return named


def _signature(inputs: list[str], defaults: dict[str, float]) -> inspect.Signature:
    positional = [inspect.Parameter(i, inspect.Parameter.POSITIONAL_OR_KEYWORD) for i in inputs]
    keyword = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value)
        for name, value in defaults.items()
    ]
    return inspect.Signature(positional + keyword)
