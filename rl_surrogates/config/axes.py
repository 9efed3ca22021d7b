"""The `parameters` and `zip` of a question, read into constants and groups of axes.

The keys of a parameter and their meanings are those of a W&B sweep file: `value`, `values`, or
`min` and `max` with a `distribution`. Left out, the distribution is `int_uniform` for a field of
whole numbers and `uniform` for all others.
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from rl_surrogates.config import paths, wording
from rl_surrogates.config.fields import Number, Section
from rl_surrogates.config.loader import place
from rl_surrogates.config.problems import Problem, show, suggest
from rl_surrogates.config.reader import Node, located
from rl_surrogates.config.space import Group, Range, Row


class Parameter(Section):
    """One entry of `parameters`; what counts is which of its keys are given."""

    value: Any = None
    values: list[Any] = []
    min: Number = 0.0
    max: Number = 1.0
    distribution: Literal["uniform", "log_uniform_values", "int_uniform"] = "uniform"


class Parameters(NamedTuple):
    """What `parameters` says, as far as it is sound."""

    constants: dict[str, Node]
    groups: dict[str, Group]  # of one path each, before zipping
    problems: tuple[Problem, ...]


def read(parameters: Node, method: str, together: Node | None) -> Parameters:
    """Reads a mapping from dotted paths to parameters; `together` is the question's `zip`."""
    in_zip = {item.value for entry in together.value for item in entry.value} if together else set()
    constants, groups, problems = {}, {}, []
    for path, node in parameters.value.items():
        field = f"parameters.{path}"
        wrong = _ill_formed(node, field)
        if not wrong and "value" in node.value:
            constants[path] = node.value["value"]._replace(key_at=node.key_at)
        elif not wrong and "values" in node.value:
            groups[path], wrong = _listed(path, node, repeats=path in in_zip)
        elif not wrong:
            groups[path], wrong = _ranged(path, node, method)
        problems += wrong
    sound = {path: group for path, group in groups.items() if group is not None}
    return Parameters(constants, sound, tuple(problems))


def zipped(
    groups: dict[str, Group], together: Node | None
) -> tuple[tuple[Group, ...], list[Problem]]:
    """The groups with the zipped ones joined, in the order of their first paths."""
    owner = {path: (path,) for path in groups}
    problems, used = [], set()
    for number, entry in enumerate(together.value if together else ()):
        members = [item.value for item in entry.value]
        wrong = _cannot_zip(entry, f"zip.{number}", groups, used)
        used.update(members)
        problems += wrong
        if not wrong:
            owner |= dict.fromkeys(members, tuple(members))
    members = dict.fromkeys(owner[path] for path in groups)
    joined = tuple(_join([groups[path] for path in paths]) for paths in members)
    for group in joined:
        problems += (
            _duplicates(" and ".join(group.paths), group.rows) if len(group.paths) > 1 else []
        )
    return joined, problems


def _ill_formed(node: Node, field: str) -> list[Problem]:
    """What is wrong with the keys of a parameter and the types of their values."""
    if not isinstance(node.value, dict):
        hint = "{values: [...]}" if isinstance(node.value, list) else "{value: ...}"
        return [
            located(node.at, field, f"expected a mapping such as {hint}, got {show(node.plain())}")
        ]
    try:
        Parameter.model_validate(node.plain())
    except ValidationError as error:
        found = wording.problems_of(error, Parameter, node.plain())
        return [place(one, node)._replace(field=f"{field}.{one.field}") for one in found]
    kinds = [kind for kind in ({"value"}, {"values"}, {"min", "max"}) if kind & node.value.keys()]
    if len(kinds) != 1 or not kinds[0] <= node.value.keys():
        return [located(node.at, field, "expected one of: value; values; min and max")]
    if "distribution" in node.value and "min" not in node.value:
        at = node.value["distribution"].key_at
        return [located(at, f"{field}.distribution", "only a range (min, max) has a distribution")]
    return []


def _listed(path: str, node: Node, repeats: bool) -> tuple[Group | None, list[Problem]]:
    values = node.value["values"]
    if not values.value:
        message = "expected at least one value, got an empty list"
        return None, [located(values.at, f"parameters.{path}.values", message)]
    mappings = [item for item in values.value if isinstance(item.value, dict)]
    problems = [
        located(item.at, path, f"expected a single value, got {show(item.plain())}")
        for item in mappings
    ]
    rows = tuple(
        Row((paths.canonical(path, item.plain()),), (item.at,))
        for item in values.value
        if item not in mappings
    )
    if not repeats:
        problems += _duplicates(path, rows)
    return (Group((path,), rows, None, node.key_at) if rows else None), problems


def _duplicates(field: str, rows: Iterable[Row]) -> list[Problem]:
    first: dict[str, Row] = {}
    problems = []
    for row in rows:
        earlier = first.setdefault(repr(row.values), row)
        if earlier is not row:
            shown = ", ".join(show(value) for value in row.values)
            line = earlier.marks[0].line
            problems.append(
                located(row.marks[0], field, f"duplicate value {shown}, first given in line {line}")
            )
    return problems


def _ranged(path: str, node: Node, method: str) -> tuple[Group | None, list[Problem]]:
    low, high, field = node.value["min"], node.value["max"], f"parameters.{path}"
    problems = []
    default = "int_uniform" if paths.is_integer(path) else "uniform"
    chosen = node.value["distribution"].value if "distribution" in node.value else default
    if method == "grid":
        message = "a range needs method: random or sobol; a grid takes values"
        problems.append(located(node.key_at, field, message))
    if low.value >= high.value:
        message = f"expected max > min = {show(low.value)}, got {show(high.value)}"
        problems.append(located(high.at, f"{field}.max", message))
    if chosen == "log_uniform_values" and low.value <= 0:
        message = f"expected a number > 0 for log_uniform_values, got {show(low.value)}"
        problems.append(located(low.at, f"{field}.min", message))
    whole = [end for end in (low, high) if type(end.value) is not int]
    if chosen == "int_uniform" and whole:
        message = f"expected a whole number for int_uniform, got {show(whole[0].value)}"
        problems.append(located(whole[0].at, field, message))
    if problems:
        return None, problems
    interval = Range(low.value, high.value, chosen)
    # The ends are probed as they were written, so that a problem points at the end that is wrong.
    ends = tuple(Row((paths.canonical(path, end.value),), (end.at,)) for end in (low, high))
    return Group((path,), ends, interval, node.key_at), []


def _cannot_zip(entry: Node, field: str, groups: dict[str, Group], used: set[str]) -> list[Problem]:
    problems, members = [], [item.value for item in entry.value]
    if len(members) < 2:
        problems.append(located(entry.at, field, "expected at least two paths"))
    for i, item in enumerate(entry.value):
        if item.value not in groups:
            remedy = suggest(item.value, groups, "axes")
            problems.append(located(item.at, field, f"{show(item.value)} is not an axis{remedy}"))
        elif item.value in used or item.value in members[:i]:
            problems.append(located(item.at, field, f"{item.value} is zipped twice"))
        elif groups[item.value].range:
            problems.append(located(item.at, field, f"{item.value} is a range; zip takes values"))
    if problems:
        return problems
    lengths = {path: len(groups[path].rows) for path in members}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{path} has {length}" for path, length in lengths.items())
        problems.append(located(entry.at, field, f"zipped axes must be equally long: {counts}"))
    return problems


def _join(members: Iterable[Group]) -> Group:
    members = tuple(members)
    if len(members) == 1:
        return members[0]
    rows = tuple(
        Row(tuple(row.values[0] for row in line), tuple(row.marks[0] for row in line))
        for line in zip(*(group.rows for group in members), strict=True)
    )
    return Group(tuple(group.paths[0] for group in members), rows, None, members[0].at)
