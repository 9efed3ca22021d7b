"""Three readings of a config: its traced numbers, its static part, its columns.

All three follow from one mark: `TRACED` in the type of a field (see `schema`). The objective is
neither: its coefficients are traced, and its name selects among the objectives that a program
holds.
"""

import functools
from collections import namedtuple
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import jax.numpy as jnp
from pydantic import BaseModel
from pydantic.fields import FieldInfo


class _Traced:
    def __repr__(self) -> str:
        return "TRACED"


TRACED = _Traced()  # marks a field that only enters the program as an input
OBJECTIVE = "objective"


def hypers(config: BaseModel) -> Any:
    """A NamedTuple per section, float32 scalars as leaves; a section without any is left out.

    None stays None, and is no leaf.
    """
    values = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if name == OBJECTIVE:
            values[name] = _scalars(value.coefficients)
        elif TRACED in field.metadata:
            values[name] = _scalars(value)
        elif _may_hold_traced(field):
            values[name] = hypers(value)
    return _record(f"{type(config).__name__}Hypers", tuple(values))(**values)


def static(config: BaseModel) -> dict[str, Any]:
    """A plain nested dict; of traced `env.params` only the keys, of the objective nothing.

    Of a traced number that may be left out: whether it is there.
    """
    values = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if is_optional(field):
            values[name] = value is not None
        elif isinstance(value, dict):
            values[name] = (
                sorted(value) if TRACED in field.metadata else dict(sorted(value.items()))
            )
        elif isinstance(value, BaseModel) and name != OBJECTIVE:
            values[name] = static(value)
        elif TRACED not in field.metadata and name != OBJECTIVE:
            values[name] = list(value) if isinstance(value, tuple) else value
    return values


def flat(config: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Dotted path to value, in the order of the schema."""
    values = {}
    for name in type(config).model_fields:
        value, path = getattr(config, name), f"{prefix}{name}"
        if path == OBJECTIVE:
            values[f"{path}.name"] = value.name
            values |= {f"{path}.{key}": number for key, number in value.coefficients.items()}
        elif isinstance(value, BaseModel):
            values |= flat(value, f"{path}.")
        elif isinstance(value, dict):
            values |= {f"{path}.{key}": number for key, number in value.items()}
        else:
            values[path] = value
    return values


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The sections that `flat` was made of."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *sections, name = path.split(".")
        inner = functools.reduce(lambda node, key: node.setdefault(key, {}), sections, tree)
        inner[name] = value
    return tree


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every dotted path of a model with its field, those of all variants included."""
    for name, field in model.model_fields.items():
        inner = sections(field)
        for section in inner:
            yield from leaves(section, f"{prefix}{name}.")
        if not inner:
            yield f"{prefix}{name}", field


def sections(field: FieldInfo) -> tuple[type[BaseModel], ...]:
    """The models that a field may hold: its variants, its one section, or none."""
    for mark in field.metadata:
        if hasattr(mark, "variants"):
            return tuple(mark.variants.values())
    is_section = isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    return (field.annotation,) if is_section else ()


def is_optional(field: FieldInfo) -> bool:
    """Whether None may stand for the number: the static choice to leave out what it belongs to."""
    return TRACED in field.metadata and type(None) in get_args(field.annotation)


def _may_hold_traced(field: FieldInfo) -> bool:
    return any(
        TRACED in inner.metadata
        for model in sections(field)
        for inner in model.model_fields.values()
    )


def _scalars(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: jnp.float32(number) for key, number in value.items()}
    return None if value is None else jnp.float32(value)


@functools.cache
def _record(name: str, fields: tuple[str, ...]) -> type:
    # One class per shape: two configs of the same kind give pytrees of the same structure.
    return namedtuple(name, fields)
