"""Who beats whom? Paired differences in each cell, and the share of wins over all cells."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rl_surrogates import statistics
from rl_surrogates.report import style, tasks
from rl_surrogates.report.layout import clipped, text
from rl_surrogates.report.outcomes import MARKED
from rl_surrogates.report.study import Study

MAX_ROWS = 24  # cells of a forest plot
MANY = 6  # values whose names do not fit side by side
POINTS = 101  # thresholds of a performance profile


def paired_table(study: Study) -> pd.DataFrame:
    """A row per cell and value of the coloured axis: its IQM less that of the axis' first value."""
    layout = study.layout
    reference = next(iter(study.looks), None)
    if layout.colour is None or len(study.looks) < 2:
        return pd.DataFrame()
    there = study.table[study.table["runs"] > 0]
    groups = there.groupby(layout.cell, sort=True) if layout.cell else [((), there)]
    rows = []
    for values, group in groups:
        of = {value: setting for setting, value in group[layout.colour].items()}
        if reference not in of:
            continue
        for value in study.looks:
            if value in of and value != reference:
                interval, seeds = study.scores.difference(of[value], of[reference])
                cell = dict(zip(layout.cell, values, strict=True))
                rows.append({**cell, layout.colour: value, **_difference(interval), "seeds": seeds})
    return pd.DataFrame(rows)


def draw_forest(figure: Figure, study: Study, pairs: pd.DataFrame) -> None:
    """Paired differences: a row per cell, an interval per value of the coloured axis.

    A panel per task: what is a small difference of returns in one may be all there is in another.
    """
    layout = study.layout
    others = [value for value in study.looks if value in set(pairs[layout.colour])]
    panels = _panels_of_forest(study, pairs)
    for place, (title, rows) in zip(style.grid_of(figure, 1, len(panels))[0], panels, strict=True):
        axes = [axis for axis in layout.cell if not (title and axis == tasks.TASK)]
        groups = list(rows.groupby(axes, sort=True)) if axes else [((), rows)]
        for row, (_, group) in enumerate(groups):
            for i, value in enumerate(others):
                mine = group[group[layout.colour] == value]
                y = np.full(len(mine), row + _offset(i, len(others)))
                look = study.looks[value]
                place.hlines(y, mine["low"], mine["high"], color=look.colour, linewidth=1.8)
                place.plot(mine["difference"], y, look.marker, color=look.colour, **MARKED)
        place.axvline(0.0, color=style.INK, linewidth=1.0)
        labels = [clipped(layout.describe(axes, tuple(v)), 90 // len(panels)) for v, _ in groups]
        place.set_yticks(range(len(groups)), labels=labels)
        place.set_ylim(len(groups) - 0.4, -0.6)
        place.grid(axis="y", visible=False)
        place.set_title(title, loc="left")
    reference = text(next(iter(study.looks)))
    figure.supxlabel(f"{study.metric}, IQM: difference from {reference}", fontsize=9.5)
    style.legend(figure, layout.names[layout.colour], {v: study.looks[v] for v in others})


def rows_of_forest(study: Study, pairs: pd.DataFrame) -> int:
    """How many cells the panel with most of them has."""
    cell = study.layout.cell
    if not cell:
        return 1
    return max(len(rows[cell].drop_duplicates()) for _, rows in _panels_of_forest(study, pairs))


def height_of_forest(study: Study, pairs: pd.DataFrame) -> float:
    """Inches, so that no two intervals of a cell lie on each other."""
    others = pairs[study.layout.colour].nunique()
    return 1.2 + 0.06 * others + rows_of_forest(study, pairs) * max(0.52, 0.16 * others)


def _offset(i: int, count: int) -> float:
    """Where the i-th of `count` intervals lies within the row of its cell."""
    return 0.22 * (i - (count - 1) / 2) * min(1.0, 4.0 / count)


def _panels_of_forest(study: Study, pairs: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Title and rows of each task, in the order of the question; one panel where there is one."""
    if not (tasks.has_tasks(study) and tasks.TASK in study.layout.cell):
        return [("", pairs)]
    there = [task for task in study.axes[tasks.TASK] if task in set(pairs[tasks.TASK])]
    return [(text(task), pairs[pairs[tasks.TASK] == task]) for task in there]


def complete_scores(study: Study) -> dict:
    """Value of the coloured axis -> `[seeds, cells]` scores, higher is better.

    Only the cells that have every value, and the seeds that all of these have. Where the question
    has several tasks, each is brought to one scale (`tasks`); one without a scale is left out.
    """
    layout = study.layout
    if layout.colour is None or len(study.looks) < 2:
        return {}
    there = study.table[study.table["runs"] > 0]
    whole = [(0, there)] if not layout.cell else list(there.groupby(layout.cell, sort=True))
    groups = [group for _, group in whole if set(group[layout.colour]) == set(study.looks)]
    scales = tasks.scales(study) if tasks.has_tasks(study) else None
    if scales is not None:
        groups = [group for group in groups if group[tasks.TASK].iloc[0] in scales]
    series = [study.scores.by_setting[setting] for group in groups for setting in group.index]
    if not series:
        return {}
    common = series[0].index
    for other in series[1:]:
        common = common.intersection(other.index)
    if common.empty:
        return {}
    columns = {value: [] for value in study.looks}
    for group in groups:
        scale = scales[group[tasks.TASK].iloc[0]] if scales is not None else tasks.AS_IT_IS
        for setting, value in group[layout.colour].items():
            scores = study.scores.sign * study.scores.by_setting[setting][common].to_numpy()
            columns[value].append((scores - scale.low) / (scale.best - scale.low))
    return {value: np.stack(scores, axis=1) for value, scores in columns.items()}


def improvement_table(scores: dict) -> pd.DataFrame:
    """A row per ordered pair: P(a run of x beats a run of y), over all cells."""
    rows = []
    for x, mine in scores.items():
        for y, theirs in scores.items():
            if x != y:
                interval = statistics.probability_of_improvement_ci(mine, theirs)
                rows.append({"x": text(x), "y": text(y), "P(x > y)": interval.point,
                             "low": interval.low, "high": interval.high})  # fmt: skip
    return pd.DataFrame(rows)


def draw_overall(figure: Figure, study: Study, scores: dict) -> None:
    """Left: the share of runs above each score. Right: P(row beats column)."""
    left, right = figure.subplots(1, 2, width_ratios=(2, 3) if len(scores) > MANY else (1, 1))
    _draw_profile(left, study, scores)
    _draw_matrix(right, scores)
    style.legend(figure, study.layout.names[study.layout.colour], study.looks)


def _draw_profile(place: Axes, study: Study, scores: dict) -> None:
    everything = np.concatenate([values.ravel() for values in scores.values()])
    everything = everything[np.isfinite(everything)]
    if not everything.size:
        return
    thresholds = np.linspace(everything.min(), everything.max(), POINTS)
    scaled = tasks.has_tasks(study)
    profile = partial(statistics.performance_profile, thresholds=thresholds)
    for value, look in study.looks.items():
        interval = statistics.bootstrap_ci(scores[value], profile, resamples=400)
        x = thresholds if scaled else study.scores.sign * thresholds
        place.plot(x, interval.point, color=look.colour, linestyle=look.dash)
        place.fill_between(
            x, interval.low, interval.high, color=look.colour, alpha=0.15, linewidth=0
        )
    better = "above" if study.scores.sign > 0 or scaled else "below"
    ends = f"score of a run\n{tasks.ends(study)}" if scaled else f"{study.metric} of a run"
    place.set_xlabel(ends)
    place.set_ylabel(f"share of runs {better}")
    place.set_ylim(0.0, 1.0)
    place.set_title("Performance profile, all cells", loc="left")


def _draw_matrix(place: Axes, scores: dict) -> None:
    many = len(scores) > MANY
    names = [clipped(text(value), 56 if many else 24) for value in scores]
    wins = np.array(
        [
            [statistics.probability_of_improvement(x, y) for y in scores.values()]
            for x in scores.values()
        ]
    )
    place.pcolormesh(wins, cmap="PuOr_r", vmin=0.0, vmax=1.0)
    place.invert_yaxis()
    for (row, column), value in np.ndenumerate(wins):
        if row != column:
            ink = "white" if abs(value - 0.5) > 0.32 else "black"
            place.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", color=ink)
    ticks = np.arange(len(names)) + 0.5
    if many:  # their names fit beside the rows only
        place.set_xticks(ticks, labels=[str(i + 1) for i in range(len(names))])
        names = [f"{i + 1}. {name}" for i, name in enumerate(names)]
    else:
        place.set_xticks(ticks, labels=names, rotation=20, ha="right")
    place.set_yticks(ticks, labels=names)
    place.set_title("P(a run of the row beats one of the column)", loc="left")
    place.grid(visible=False)


def _difference(interval: statistics.Interval) -> dict[str, float]:
    return {"difference": interval.point, "low": interval.low, "high": interval.high}
