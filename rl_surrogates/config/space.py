"""The points of a question: every way of giving its axes their values.

An axis is a list of values or a range; axes that are zipped move together, as one group. A grid is
the product of the groups. Random and Sobol points draw one number in [0, 1) per group and read it
as a quantile. Each group of a random search draws from a generator of its own, seeded by its paths:
more samples, or one more axis, leave the numbers drawn before as they are.

Where a section's variant is swept (`objective.name`), what the chosen variant does not have is left
out of the point: `policy_gradient` crossed with three values of `objective.epsilon` is one point,
not three.
"""

import hashlib
import itertools
import math
from collections.abc import Container, Iterable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

from rl_surrogates.config import layers, paths
from rl_surrogates.config.reader import Mark, Node

Point = dict[str, Any]  # dotted path -> value
MANY_VARIANTS = 10_000  # beyond, the size of a grid is given as if every key fitted every variant
DIGITS = 6  # significant, of a number drawn from a range: readable, and the same on every machine


class Row(NamedTuple):
    """What a group is set to at one point."""

    values: tuple[Any, ...]  # one per path of the group
    marks: tuple[Mark, ...]  # where each was written


class Range(NamedTuple):
    """Numbers between two ends, both included."""

    low: float
    high: float
    distribution: Literal["uniform", "log_uniform_values", "int_uniform"]

    def at(self, quantile: float) -> float | int:
        """The number below which `quantile` of the range lies."""
        if self.distribution == "int_uniform":
            return min(
                int(self.low) + math.floor(quantile * (self.high - self.low + 1)), int(self.high)
            )
        if self.distribution == "uniform":
            value = self.low + quantile * (self.high - self.low)
        else:
            low, high = math.log(self.low), math.log(self.high)
            value = math.exp(low + quantile * (high - low))
        return min(max(float(f"{value:.{DIGITS}g}"), float(self.low)), float(self.high))


class Group(NamedTuple):
    """Axes that move together: one path unless zipped."""

    paths: tuple[str, ...]
    rows: tuple[Row, ...]  # of a range: its two ends
    range: Range | None
    at: Mark

    def row(self, quantile: float) -> Row:
        """The row at a quantile in [0, 1)."""
        if self.range:
            return Row((paths.canonical(self.paths[0], self.range.at(quantile)),), (self.at,))
        return self.rows[int(quantile * len(self.rows))]


class Space(NamedTuple):
    """Everything that a question varies, over what it does not."""

    base: Node  # the config's tree without the axes
    plain: dict[str, Any]  # the same without marks
    groups: tuple[Group, ...]
    method: Literal["grid", "random", "sobol"]
    num_samples: int

    @property
    def size(self) -> int:
        """How many settings there are, without expanding them; equal random draws count twice."""
        return _grid_size(self.groups) if self.method == "grid" else self.num_samples

    def points(self) -> Iterator[tuple[Point, Point]]:
        """Each distinct point once, in order, with the marks of its values under the same paths."""
        seen = set()
        for rows in self._choices():
            point, marks = _point(self.groups, rows)
            key = tuple(point.items())
            if key not in seen:
                seen.add(key)
                yield point, marks

    def probes(self) -> Iterator[tuple[Point, Point]]:
        """Few points that hold every value: enough to see what is wrong with a value itself."""
        first = [group.rows[0] for group in self.groups]
        yield _point(self.groups, first)
        for i, group in enumerate(self.groups):
            for row in group.rows:
                rows = [*first[:i], row, *first[i + 1 :]]
                yield _point(self.groups, _made_applicable(self.groups, rows, i))

    def without(self, marks: Container[Mark]) -> "Space | None":
        """The same less the values written at `marks`; None where an axis would lose them all."""
        groups = []
        for group in self.groups:
            sound = tuple(row for row in group.rows if not any(at in marks for at in row.marks))
            if not sound or (group.range and len(sound) < len(group.rows)):
                return None
            groups.append(group._replace(rows=sound))
        return self._replace(groups=tuple(groups))

    def data(self, point: Point) -> dict[str, Any]:
        """The config's plain data at a point."""
        data = _without_foreign_keys(self.plain, point)
        for path, value in point.items():
            data = _put(data, path.split("."), value)
        return data

    def _choices(self) -> Iterable[Iterable[Row]]:
        if self.method == "grid":
            return itertools.product(*(group.rows for group in self.groups))
        draw = _random if self.method == "random" else _sobol
        quantiles = draw(self.groups, self.num_samples)
        return ([g.row(u) for g, u in zip(self.groups, line, strict=True)] for line in quantiles)


def applies(path: str, point: Point) -> bool:
    """Whether the variants that a point chooses have this field."""
    section, _, key = path.partition(".")
    name = point.get(f"{section}.name")
    keys = layers.variant_keys(section, name) if name is not None else None
    return keys is None or key in keys


def _point(groups: Iterable[Group], rows: Iterable[Row]) -> tuple[Point, dict[str, Mark]]:
    point, marks = {}, {}
    for group, row in zip(groups, rows, strict=True):
        point.update(zip(group.paths, row.values, strict=True))
        marks.update(zip(group.paths, row.marks, strict=True))
    return {path: value for path, value in point.items() if applies(path, point)}, marks


def _made_applicable(groups: tuple[Group, ...], rows: list[Row], probed: int) -> list[Row]:
    """The rows with such variants chosen that group number `probed` matters."""
    rows = list(rows)
    for path in groups[probed].paths:
        name = f"{path.partition('.')[0]}.name"
        for i, group in enumerate(groups):
            if name in group.paths and i != probed:
                column = group.paths.index(name)
                fitting = [row for row in group.rows if applies(path, {name: row.values[column]})]
                rows[i] = next(iter(fitting), rows[i])
    return rows


def _grid_size(groups: tuple[Group, ...]) -> int:
    choosing, others = [], []
    for group in groups:
        chooses = any(path.endswith(".name") for path in group.paths)
        (choosing if chooses else others).append(group)
    if math.prod(len(group.rows) for group in choosing) > MANY_VARIANTS:
        return math.prod(len(group.rows) for group in groups)
    seen, total = set(), 0
    for rows in itertools.product(*(group.rows for group in choosing)):
        names = _point(choosing, rows)[0]
        if tuple(names.items()) in seen:
            continue
        seen.add(tuple(names.items()))
        total += math.prod(_distinct(group, names) for group in others)
    return total


def _distinct(group: Group, names: Point) -> int:
    kept = [i for i, path in enumerate(group.paths) if applies(path, names)]
    if len(kept) == len(group.paths):
        return len(group.rows)
    return len({tuple(row.values[i] for i in kept) for row in group.rows})


def _random(groups: tuple[Group, ...], count: int) -> np.ndarray:
    def column(group: Group) -> np.ndarray:
        seed = hashlib.sha256("\n".join(group.paths).encode()).digest()
        return np.random.default_rng(int.from_bytes(seed[:16], "big")).random(count)

    return np.stack([column(group) for group in groups], axis=1) if groups else np.zeros((count, 0))


def _sobol(groups: tuple[Group, ...], count: int) -> np.ndarray:
    if not groups:
        return np.zeros((count, 0))
    from scipy.stats import qmc  # heavy, and needed by no other question

    # The sequence is balanced in powers of two; any prefix of it is still deterministic.
    points = qmc.Sobol(len(groups), scramble=True, rng=0).random_base2(
        max(count - 1, 0).bit_length()
    )
    return np.minimum(points[:count], np.nextafter(1.0, 0.0))


def _without_foreign_keys(data: dict[str, Any], point: Point) -> dict[str, Any]:
    kept = dict(data)
    for section, value in data.items():
        if f"{section}.name" in point and isinstance(value, dict):
            kept[section] = {k: v for k, v in value.items() if applies(f"{section}.{k}", point)}
    return kept


def _put(data: Any, keys: list[str], value: Any) -> Any:
    """`data` with a value at a nested key; what is no mapping stays, for the schema to refuse."""
    if not isinstance(data, dict):
        return data
    key, *rest = keys
    return {**data, key: _put(data.get(key, {}), rest, value) if rest else value}
