"""Figures of what happened on the way: learning curves, and how far each update moved the policy.

A point is the IQM over seeds of each run's mean over a stretch of updates. Where no episode ended
in a stretch, a run keeps its last value. From the update at which a run diverged, its return counts
as the lowest in the figure; its other metrics are left out, as no value would be the worst.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, NullLocator

from rl_surrogates import statistics
from rl_surrogates.report import style
from rl_surrogates.report.answer import cells, hardest_of
from rl_surrogates.report.layout import text
from rl_surrogates.report.outcomes import dotted, floor_at_zero, panels_of
from rl_surrogates.report.study import Study
from rl_surrogates.report.tasks import has_tasks

RETURN = "episode_return"
MOVEMENT = {  # metric -> (what it is called, whether it is drawn in logarithms)
    "approx_kl": ("KL(old || new), nats", True),
    "ratio_max": ("largest ratio\nafter an update", True),
    "clip_fraction": ("share of samples\nwith |ratio - 1| > 0.2", False),
    "first_ratio_error": ("max |ratio - 1| at\nthe first minibatch", True),
}
LIMITS = {"first_ratio_error": 1e-5}  # dotted: what lies above it is a defect
MAX_POINTS, MAX_FACETS, MAX_LINES, MAX_COLUMNS = 60, 12, 8, 4
SMALLEST = 1e-9  # what zero is drawn as in logarithms


class Facet(NamedTuple):
    """One panel: which settings are its lines, and how they look."""

    title: str  # the value of x, and on another line those of the other axes
    lines: dict[int, style.Look]  # setting -> look


class Line(NamedTuple):
    """One setting over training."""

    env_steps: np.ndarray
    interval: statistics.Interval


def facets(study: Study) -> tuple[list[Facet], dict[Any, style.Look]]:
    """The panels, and the legend of their lines."""
    layout = study.layout
    if layout.colour is not None:
        return _by_colour(study), study.looks
    if layout.x is not None:
        values = _spaced(sorted(set(study.table[layout.x])), MAX_LINES)
        looks = style.looks(values)
        found = [
            Facet(title, {i: looks[v] for i, v in rows[layout.x].items() if v in looks})
            for title, rows in panels_of(study)
        ]
        return found, looks
    best = list(dotted(study).index[::-1][:MAX_LINES])
    looks = style.looks([study.describe(setting) or "the one setting" for setting in best])
    return [Facet("", dict(zip(best, looks.values(), strict=True)))], looks


def read_lines(study: Study, column: str, settings: list[int]) -> dict[int, Line]:
    """IQM and interval of a metric over training, for each of these settings that has it."""
    wanted = study.runs[study.runs["setting"].isin(settings) & (study.runs["status"] != "failed")]
    rows = study.results.curves(["env_steps", column]).merge(
        wanted[["run_id", "setting", "diverged_at"]], on="run_id"
    )
    ended = (rows["update"] >= rows["diverged_at"]).fillna(False).astype(bool)
    rows[column] = rows[column].where(~ended)
    worst = float(rows[column].min()) if column == RETURN else None
    found = {i: _line(group, column, worst) for i, group in rows.groupby("setting", sort=False)}
    return {setting: line for setting, line in found.items() if line is not None}


def draw_learning(figure: Figure, study: Study) -> None:
    """Training return against environment steps."""
    found, looks = facets(study)
    found = found[:MAX_FACETS]
    columns = columns_of(study, len(found))
    # Returns of different tasks share no scale; where there is an x, a row of panels is one task.
    one_scale = not has_tasks(study)
    share = {"sharex": True, "sharey": one_scale or (study.layout.x is not None and "row")}
    grid = style.grid_of(figure, -(-len(found) // columns), columns, **share)
    lines = read_lines(study, RETURN, [s for facet in found for s in facet.lines])
    for place, facet in zip(style.take(grid, len(found)), found, strict=True):
        _draw_facet(place, facet, lines)
        place.set_title(style.wrapped(facet.title), loc="left", fontsize=9)
    label_steps(figure, grid)
    for row in grid:
        row[0].set_ylabel("training return, IQM")
    if lines and one_scale:
        floor_at_zero(
            grid[0][0], pd.Series([np.nanmin(line.interval.point) for line in lines.values()])
        )
    style.legend(figure, _legend_name(study), looks)


def draw_movement(figure: Figure, study: Study) -> None:
    """A row of panels per measure of `MOVEMENT`, against environment steps."""
    found, looks = facets(study)
    found = movement_facets(study, found)
    names = movement_metrics(study)
    grid = style.grid_of(figure, len(names), len(found), sharex=True, sharey="row")
    settings = [s for facet in found for s in facet.lines]
    for row, name in zip(grid, names, strict=True):
        lines = read_lines(study, name, settings)
        label, logarithmic = MOVEMENT[name]
        for place, facet in zip(row, found, strict=True):
            _draw_facet(place, facet, lines, SMALLEST if logarithmic else None)
            if name in LIMITS:
                place.axhline(LIMITS[name], color=style.FAINT, linestyle=":", linewidth=1.2)
        if logarithmic and lines:
            _logarithms(row[0], lines, LIMITS.get(name))
        row[0].set_ylabel(label)
    for place, facet in zip(grid[0], found, strict=True):
        place.set_title(facet.title.partition("\n")[0], loc="left", fontsize=9)
    label_steps(figure, grid)
    style.legend(figure, _legend_name(study), looks)


def movement_metrics(study: Study) -> list[str]:
    """Those of `MOVEMENT` that were recorded."""
    return [name for name in MOVEMENT if name in study.results.metrics]


def movement_facets(study: Study, found: list[Facet]) -> list[Facet]:
    """At most four panels: those along x, through the cell where the choice matters most."""
    comparable = cells(study)
    if comparable and study.layout.panels:
        hardest = set(_panel_settings(study, hardest_of(comparable)))
        found = [facet for facet in found if hardest & set(facet.lines)]
    return _spaced(found, MAX_COLUMNS)


def where_movement(study: Study) -> str:
    """The values at which `movement_facets` stays, as the end of a sentence."""
    comparable, panels = cells(study), study.layout.panels
    if not (comparable and panels):
        return ""
    cell = dict(zip(study.layout.cell, hardest_of(comparable).values, strict=True))
    where = study.layout.describe(list(panels), tuple(cell[axis] for axis in panels))
    return f", at {where}"


def columns_of(study: Study, count: int) -> int:
    """A column per value of x where that fits, else three."""
    x = study.layout.x if study.layout.colour is not None else None
    along = study.table[x].nunique() if x else count
    return along if 1 <= along <= MAX_COLUMNS else min(count, 3)


def label_steps(figure: Figure, grid: list[list[Axes]]) -> None:
    """Every x axis counts environment steps, in thousands or millions."""
    figure.supxlabel("environment steps", fontsize=9.5)
    for place in (place for row in grid for place in row):
        place.set_xlim(left=0.0)
        place.xaxis.set_major_locator(MaxNLocator(5))
        place.xaxis.set_major_formatter(EngFormatter(sep=""))


def _by_colour(study: Study) -> list[Facet]:
    layout, found = study.layout, []
    for title, rows in panels_of(study):
        along = [("", rows)]
        if layout.x is not None:
            along = [
                (f"{layout.names[layout.x]} = {text(v)}", group)
                for v, group in rows.groupby(layout.x)
            ]
        for name, group in along:
            lines = {i: study.looks[value] for i, value in group[layout.colour].items()}
            found.append(Facet("\n".join(part for part in (name, title) if part), lines))
    return found


def _panel_settings(study: Study, cell) -> list[int]:
    """Every setting that shares the panel axes' values with this cell."""
    rows = study.table
    for axis, value in zip(study.layout.cell, cell.values, strict=True):
        rows = rows if axis == study.layout.x else rows[rows[axis] == value]
    return list(rows.index)


def _line(rows: pd.DataFrame, column: str, worst: float | None) -> Line | None:
    steps = rows.groupby("update")["env_steps"].first()
    values = rows.pivot(index="run_id", columns="update", values=column).to_numpy(float)
    ended = rows.groupby("run_id")["diverged_at"].first()
    ended = ended.reindex(sorted(set(rows["run_id"]))).astype(float).to_numpy()
    stretch = -(-len(steps) // MAX_POINTS)
    bins = np.split(np.arange(len(steps)), range(stretch, len(steps), stretch))
    binned = np.stack([_mean(values[:, index]) for index in bins], axis=1)
    last = np.array([steps.index[index[-1]] for index in bins])
    filled = pd.DataFrame(binned).ffill(axis=1).to_numpy()
    over = last[None] >= np.where(np.isnan(ended), np.inf, ended)[:, None]
    known = (~np.isnan(filled) | over).all(0)  # before that, some run has not finished an episode
    if worst is not None:
        filled = np.where(over, worst, filled)
        steps, filled = steps.to_numpy()[[i[-1] for i in bins]][known], filled[:, known]
    else:
        steps, filled = steps.to_numpy()[[i[-1] for i in bins]], filled[np.isnan(ended)]
        known = ~np.isnan(filled).any(0)
        steps, filled = steps[known], filled[:, known]
    if not filled.size:
        return None
    return Line(steps, statistics.curve_ci(filled))


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is there; NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(-1)
    total = np.where(there, values, 0.0).sum(-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _draw_facet(
    place: Axes, facet: Facet, lines: dict[int, Line], least: float | None = None
) -> None:
    for setting, look in facet.lines.items():
        if setting in lines:
            steps, (low, point, high) = lines[setting]
            if least is not None:
                low, point, high = (np.maximum(end, least) for end in (low, point, high))
            place.plot(steps, point, color=look.colour, linestyle=look.dash, linewidth=1.6)
            place.fill_between(steps, low, high, color=look.colour, alpha=0.15, linewidth=0)


def _logarithms(place: Axes, lines: dict[int, Line], limit: float | None) -> None:
    """Whole decades around everything that is drawn."""
    ends = [
        end
        for line in lines.values()
        for end in (line.interval.point.min(), line.interval.point.max())
    ]
    ends += [] if limit is None else [limit]
    low, high = (np.log10(max(end, SMALLEST)) for end in (min(ends), max(ends)))
    place.set_yscale("log")
    place.set_ylim(10.0 ** np.floor(low), 10.0 ** (np.floor(high) + 1.0))
    place.yaxis.set_major_formatter("{x:g}")
    place.yaxis.set_minor_locator(NullLocator())


def _spaced(values: list, count: int) -> list:
    """At most `count` of the values, evenly spaced, the first and the last among them."""
    if len(values) <= count:
        return values
    return [values[i] for i in np.linspace(0, len(values) - 1, count).round().astype(int)]


def _legend_name(study: Study) -> str:
    return study.layout.names.get(study.layout.colour or study.layout.x, "")
