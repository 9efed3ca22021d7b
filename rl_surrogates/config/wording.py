"""What pydantic found, in this project's words: the rule, the value received, the nearest name."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from rl_surrogates import objectives
from rl_surrogates.config import views
from rl_surrogates.config.problems import Problem, show, suggest

UNKNOWN_KEY = "unknown_key"  # our own type of error, beside pydantic's
EXPECTED = {  # by pydantic's type of error; braces take the limits of the field
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "finite_number": "a finite number",
    "greater_than": "a number > {gt}",
    "greater_than_equal": "a number >= {ge}",
    "less_than": "a number < {lt}",
    "less_than_equal": "a number <= {le}",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "invalid_key": "text as a key",
}


def problems_of(
    error: ValidationError, model: type[BaseModel], data: Mapping[str, Any]
) -> tuple[Problem, ...]:
    """One problem per error; `data` is what `model` was given."""
    return tuple(_problem(detail, model, data) for detail in error.errors(include_url=False))


def not_a_mapping(value: Any) -> str:
    """The message about a value where a section belongs."""
    remedy = f"; write {{name: {value}}}" if isinstance(value, str) and value.isidentifier() else ""
    return f"expected a mapping, got {show(value)}{remedy}"


def _problem(detail: Any, model: type[BaseModel], data: Mapping[str, Any]) -> Problem:
    path, kind = [key for key in detail["loc"] if key != "[key]"], detail["type"]
    field = ".".join(str(key) for key in path)
    if kind == "extra_forbidden":
        return Problem("", 0, 0, field, _unknown_key(path, model, data), at_key=True)
    return Problem("", 0, 0, field, _message(detail, kind), at_key=kind == UNKNOWN_KEY)


def _message(detail: Any, kind: str) -> str:
    value, context = detail["input"], detail.get("ctx", {})
    if kind == "missing":
        return "required, but not given"
    if kind == "literal_error":
        names = re.findall(r"'([^']*)'", context["expected"])
        if isinstance(value, str):
            return f"unknown name {show(value)}{suggest(value, names)}"
        return f"expected one of {', '.join(names)}, got {show(value)}"
    if kind in ("model_type", "model_attributes_type"):
        return not_a_mapping(value)
    if kind == "value_error":
        return str(context["error"])
    if kind in EXPECTED:
        limits = {name: _number(limit) for name, limit in context.items()}
        rule = EXPECTED[kind].format(**limits)
        return f"expected {rule}, got {show(value)}{_remedy(kind, value)}"
    return detail["msg"]


def _remedy(kind: str, value: Any) -> str:
    if kind == "string_type" and isinstance(value, int | float):
        return "; put it in quotes"
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    is_quoted = isinstance(value, str) and re.fullmatch(r"[-+]?[0-9][0-9_.e+-]*", value)
    return "; remove the quotes" if kind in ("int_type", "float_type") and is_quoted else ""


def _number(limit: Any) -> str:
    return str(int(limit)) if limit == int(limit) else str(limit)


def _unknown_key(path: list, model: type[BaseModel], data: Mapping[str, Any]) -> str:
    key, within = str(path[-1]), path[:-1]
    head, _, rest = key.partition(".")
    if not within and rest and head in model.model_fields:
        return f"unknown key; in this file write {head}: {{{rest}: ...}}"
    owner = model
    for name in within:
        data = data[name]
        owner = _section(owner, name, data)
    if not within:
        return f"unknown key{nearest_path(key, model)}"
    return f"unknown key{suggest(key, owner.model_fields, 'keys')}"


def nearest_path(path: str, model: type[BaseModel]) -> str:
    """The end of a message about an unknown path: fields of that name, or else the most similar."""
    leaves = [leaf for leaf, _ in views.leaves(model)] + _coefficient_paths(model)
    last = path.rsplit(".", 1)[-1]
    same = [leaf for leaf in leaves if leaf.endswith(f".{last}")]
    if same:
        return f"; did you mean {' or '.join(dict.fromkeys(same))}?"
    return suggest(path, leaves if "." in path else model.model_fields, "keys")


def _coefficient_paths(model: type[BaseModel]) -> list[str]:
    if views.OBJECTIVE not in model.model_fields:
        return []
    rows = objectives.OBJECTIVES.values()
    return [f"{views.OBJECTIVE}.{key}" for row in rows for key in row.coefficients]


def _section(model: type[BaseModel], name: str, data: Mapping[str, Any]) -> type[BaseModel]:
    """The model that was chosen for the section `name` of `model`."""
    field = model.model_fields[name]
    options = views.sections(field)
    chosen = data.get("name", options[0].model_fields["name"].default) if len(options) > 1 else None
    named = [one for one in options if chosen and one.model_fields["name"].default == chosen]
    return (named or options)[0]
