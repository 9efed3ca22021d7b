"""Which axis of the question is the colour, which runs along x, and which makes panels?

    colour  the way or objective.name where it is swept, else another axis of names
    x       the numeric axis that says how often data is used again (`..epochs..`), else the one
    with most values panels  what is left; the first figure shows six combinations at most

A question whose points lie on no grid has no layout: its settings are drawn one by one.
"""

from numbers import Number
from typing import Any, NamedTuple

import pandas as pd

OBJECTIVE = "objective.name"
WAY = "way"  # an objective together with what belongs to it alone; see `ways`
MAX_COLOURS = 16


class Layout(NamedTuple):
    """What each axis of the question becomes in a figure."""

    colour: str | None
    x: str | None
    panels: tuple[str, ...]
    names: dict[str, str]  # axis -> what to call it

    @property
    def cell(self) -> list[str]:
        """The axes that the colour is compared at."""
        return [axis for axis in (self.x, *self.panels) if axis]

    def describe(self, axes: list[str], values: tuple) -> str:
        """`num_epochs = 16, learning_rate = 0.0025`."""
        pairs = zip(axes, values, strict=True)
        return ", ".join(f"{self.names[axis]} = {text(value)}" for axis, value in pairs)


def lay_out(table: pd.DataFrame, axes: dict[str, list]) -> Layout:
    """The layout of a summary's `table` whose swept `axes` are given."""
    names = short_names(list(axes))
    swept = [axis for axis in axes if axis in table and table[axis].nunique() > 1]
    swept = [axis for axis in swept if not _follows(table, axis, swept)]
    numeric = [axis for axis in swept if _is_numeric(table[axis])]
    colour = _colour(table, swept, numeric)
    x = max(
        (axis for axis in numeric if axis != colour),
        key=lambda axis: ("epochs" in axis, table[axis].nunique()),
        default=None,
    )
    panels = tuple(axis for axis in swept if axis not in (colour, x))
    unique = bool(swept) and not table.duplicated(swept).any()
    on_grid = x is None or table[x].nunique() <= 0.5 * len(table) or len(swept) == 1
    if not (unique and on_grid):
        return Layout(None, None, (), names)
    return Layout(colour, x, panels, names)


def short_names(axes: list[str]) -> dict[str, str]:
    """The last part of each dotted path, or all of it where two would read the same.

    What is called the name of something is called that thing: `env` for `env.name`.
    """
    last = [axis.removesuffix(".name").rpartition(".")[2] for axis in axes]
    return {
        axis: short if last.count(short) == 1 else axis
        for axis, short in zip(axes, last, strict=True)
    }


def named(name: str, value: Any) -> str:
    """An axis value that stands alone: a name as it is, a number with what it is a value of."""
    return text(value) if isinstance(value, str) or not name else f"{name} = {text(value)}"


def text(value: Any) -> str:
    """An axis value in a few characters."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return clipped(str(value), 60)


def clipped(label: str, length: int) -> str:
    """A label on one line, of at most this many characters."""
    label = " ".join(label.split())
    return label if len(label) <= length else f"{label[: length - 3]}..."


def in_order(values: pd.Series, axes: dict[str, list], axis: str) -> list:
    """The distinct values of an axis, in the order of the question."""
    present = list(dict.fromkeys(values))
    asked = [str(value) for value in axes.get(axis, [])]
    return sorted(present, key=lambda v: asked.index(str(v)) if str(v) in asked else len(asked))


def _colour(table: pd.DataFrame, swept: list[str], numeric: list[str]) -> str | None:
    named = [a for a in swept if a not in numeric and table[a].nunique() <= MAX_COLOURS]
    for first in (WAY, OBJECTIVE):
        if first in named:
            return first
    if named:
        return named[0]
    if len(numeric) < 2:
        return None
    fewest = min((a for a in numeric if "epochs" not in a), key=lambda a: table[a].nunique())
    return fewest if table[fewest].nunique() <= MAX_COLOURS else None


def _is_numeric(values: pd.Series) -> bool:
    return all(isinstance(value, Number) and not isinstance(value, bool) for value in values)


def _follows(table: pd.DataFrame, axis: str, swept: list[str]) -> bool:
    """Whether another axis decides this one, so that it says nothing new.

    Of two that decide each other, the later one follows. One that is never twice the same decides
    nothing: a point of no grid.
    """
    own, before = table[axis].nunique(), swept[: swept.index(axis)]
    for other in (o for o in swept if o != axis):
        pairs, size = len(table[[axis, other]].drop_duplicates()), table[other].nunique()
        decides = own < size < len(table) or (own == size and other in before)
        if pairs == size and decides:
            return True
    return False
