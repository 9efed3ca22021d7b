"""Which dotted paths a sweep may vary, and what stands at their ends."""

import functools
from typing import Any

from pydantic.fields import FieldInfo

from rl_surrogates.config import schema, views, wording
from rl_surrogates.config.problems import suggest

PARAMS, KWARGS = "env.params", "env.kwargs"  # mappings whose keys the environment knows
COEFFICIENTS = f"{views.OBJECTIVE}."


def complaint(path: str) -> str | None:
    """Why `path` can be no axis; None where it can. Coefficients are left to the objective."""
    section, _, key = path.rpartition(".")
    if path in _leaves() and path not in (PARAMS, KWARGS):
        return None
    if section in (PARAMS, KWARGS) and key.isidentifier():
        return None
    if path.startswith(COEFFICIENTS) and path != COEFFICIENTS:
        return None
    within = [leaf for leaf in _leaves() if leaf.startswith(f"{path}.")]
    if within or path in (PARAMS, KWARGS):
        return f"a section has no values; name one of its fields{suggest('', within, 'fields')}"
    return f"unknown key{wording.nearest_path(path, schema.Fields)}"


def canonical(path: str, value: Any) -> Any:
    """The value as a config holds it: a float where the field is one, a tuple for a list."""
    if isinstance(value, list):
        return tuple(canonical("", item) for item in value)
    if type(value) is int and not is_integer(path) and abs(value) < 2**53:
        return float(value) if _is_number(path) else value
    return value


def is_integer(path: str) -> bool:
    """Whether the field takes whole numbers only."""
    return path in _leaves() and _leaves()[path].annotation is int


def _is_number(path: str) -> bool:
    leaf = _leaves().get(path)
    if leaf is None:
        return path.startswith((COEFFICIENTS, f"{PARAMS}."))
    return leaf.annotation is float or views.is_optional(leaf)


@functools.cache
def _leaves() -> dict[str, FieldInfo]:
    return dict(views.leaves(schema.Fields))
