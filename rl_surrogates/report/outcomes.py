"""Figures of what was reached: the first figure of a report, all settings one by one, heat maps."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from rl_surrogates.report import style
from rl_surrogates.report.layout import clipped, in_order, text
from rl_surrogates.report.study import Study, digits
from rl_surrogates.report.tasks import has_tasks

MAX_PANELS = 6
MAX_DOTS = 40  # settings drawn one by one
LOG_FROM = 8.0  # an axis that spans this factor is drawn in logarithms
MARKED = {"markeredgecolor": "white", "markeredgewidth": 0.8}


def draw_outcome(figure: Figure, study: Study) -> None:
    """IQM and interval against x: a line per colour, a panel per combination of the other axes."""
    layout, table = study.layout, study.table
    panels = shown_panels(study)
    columns = min(len(panels), 3)
    one_scale = not has_tasks(study)
    rows, share = -(-len(panels) // columns), {"sharey": one_scale, "sharex": True}
    grid = style.grid_of(figure, rows, columns, **share)
    places = style.take(grid, len(panels))
    for place, (title, rows) in zip(places, panels, strict=True):
        for value, look in study.looks.items():
            line = rows if layout.colour is None else rows[rows[layout.colour] == value]
            _draw_line(place, line.sort_values(layout.x), layout.x, look)
        place.set_title(style.wrapped(title, 120 // columns), loc="left")
        scale_x(place, table[layout.x])
    figure.supxlabel(layout.x, fontsize=9.5)
    for row in grid:
        row[0].set_ylabel(f"{study.metric}, IQM")
    if one_scale:
        floor_at_zero(places[0], table["low"].fillna(table["iqm"]))
    style.legend(figure, layout.names.get(layout.colour, ""), study.looks)


def shown_panels(study: Study) -> list[tuple[str, pd.DataFrame]]:
    """The panels of the first figure: all, or those in which the settings differ most."""
    panels = panels_of(study)
    widest = sorted(panels, key=lambda panel: -np.ptp(panel[1]["iqm"].fillna(study.scores.worst)))
    shown = [title for title, _ in widest[:MAX_PANELS]]
    return [(title, rows) for title, rows in panels if title in shown]


def draw_dots(figure: Figure, study: Study) -> None:
    """A dot and an interval per setting, the highest on top."""
    shown = dotted(study)
    place = style.grid_of(figure, 1, 1)[0][0]
    y = np.arange(len(shown))
    look = style.looks([None])[None]
    place.hlines(y, shown["low"], shown["high"], color=look.colour, linewidth=1.6)
    place.plot(shown["iqm"], y, color=look.colour, marker="o", linestyle="", **MARKED)
    labels = [clipped(study.describe(i) or "the one setting", 90) for i in shown.index]
    place.set_yticks(y, labels=labels)
    place.set_ylim(-0.7, max(len(shown), 1) - 0.3)
    place.set_xlabel(f"{study.metric}, IQM")
    place.grid(axis="y", visible=False)


def draw_panels_of_dots(figure: Figure, study: Study) -> None:
    """A panel per combination of the other axes, each with its own scale; the question's order."""
    panels, layout = shown_panels(study), study.layout
    grid = style.grid_of(figure, 1, len(panels), sharey=True)
    values = list(study.looks)[::-1]
    for place, (title, rows) in zip(grid[0], panels, strict=True):
        for value, look in study.looks.items():
            mine = rows[rows[layout.colour] == value]
            y = np.full(len(mine), values.index(value))
            place.hlines(y, mine["low"], mine["high"], color=look.colour, linewidth=1.6)
            place.plot(mine["iqm"], y, look.marker, color=look.colour, **MARKED)
        place.set_title(style.wrapped(title, 120 // len(panels)), loc="left", fontsize=9)
        place.grid(axis="y", visible=False)
    labels = [clipped(text(value), 60) for value in values]
    grid[0][0].set_yticks(range(len(values)), labels=labels)
    grid[0][0].set_ylim(-0.7, len(values) - 0.3)
    figure.supxlabel(f"{study.metric}, IQM", fontsize=9.5)


def dotted(study: Study) -> pd.DataFrame:
    """The settings that `draw_dots` shows: those with a score, at most the best `MAX_DOTS`."""
    scored = study.table[study.table["iqm"].notna()]
    ranked = scored.sort_values("iqm", ascending=study.scores.sign < 0, kind="stable")
    return ranked[:MAX_DOTS].sort_values("iqm", kind="stable")


def heat_axis(study: Study) -> str | None:
    """The second axis of a heat map beside x: the one numeric axis that makes the panels."""
    panels = study.layout.panels
    if study.layout.x is None or len(panels) != 1:
        return None
    values = study.table[panels[0]]
    return panels[0] if pd.api.types.is_numeric_dtype(values) and values.nunique() > 1 else None


def draw_heat(figure: Figure, study: Study) -> None:
    """A map per colour over x and one other numeric axis; the number is the IQM."""
    layout, table, other = study.layout, study.table, heat_axis(study)
    columns = min(len(study.looks), 4)
    grid = style.grid_of(figure, -(-len(study.looks) // columns), columns, sharex=True, sharey=True)
    places = style.take(grid, len(study.looks))
    low, high = table["iqm"].min(), table["iqm"].max()
    for place, value in zip(places, study.looks, strict=True):
        rows = table if layout.colour is None else table[table[layout.colour] == value]
        cells = rows.pivot(index=other, columns=layout.x, values="iqm")
        place.pcolormesh(cells.to_numpy(), cmap="cividis", vmin=low, vmax=high)
        label_cells(place, cells.to_numpy(), 0.5 * (low + high))
        place.set_xticks(np.arange(cells.shape[1]) + 0.5, labels=[text(v) for v in cells.columns])
        place.set_yticks(np.arange(cells.shape[0]) + 0.5, labels=[text(v) for v in cells.index])
        place.set_title("" if layout.colour is None else text(value), loc="left")
        place.set_xlabel(layout.names[layout.x])
        place.grid(visible=False)
    for row in grid:
        row[0].set_ylabel(layout.names[other])


def panels_of(study: Study) -> list[tuple[str, pd.DataFrame]]:
    """Title and rows of each panel, in the order of the question."""
    layout, found = study.layout, [("", study.table)]
    for axis in layout.panels:
        found = [
            (
                f"{title}, {layout.names[axis]} = {text(value)}".lstrip(", "),
                rows[rows[axis] == value],
            )
            for title, rows in found
            for value in in_order(study.table[axis], study.axes, axis)
        ]
    return [(title, rows) for title, rows in found if len(rows)]


def scale_x(place: Axes, values: pd.Series) -> None:
    """Ticks at the values that were tried, in logarithms where they span much."""
    ticks = sorted(set(values))
    if min(ticks) > 0 and max(ticks) / min(ticks) >= LOG_FROM:
        place.set_xscale("log")
    if len(ticks) <= 10:
        place.xaxis.set_major_locator(FixedLocator(ticks))
    place.xaxis.set_minor_locator(NullLocator())
    place.xaxis.set_major_formatter(lambda value, _: f"{value:.6g}")


def floor_at_zero(place: Axes, lows: pd.Series) -> None:
    """A return that is never negative is drawn from zero: half as high is half as much."""
    if lows.min() >= 0.0:
        place.set_ylim(bottom=0.0)


def label_cells(place: Axes, values: np.ndarray, middle: float) -> None:
    """Writes each number into its cell, in the ink that can be read there."""
    for (row, column), value in np.ndenumerate(values):
        ink = "white" if value < middle else style.INK
        label = digits(value)[0] if np.isfinite(value) else "none"
        place.text(column + 0.5, row + 0.5, label, ha="center", va="center", color=ink)


def _draw_line(place: Axes, line: pd.DataFrame, x: str, look: style.Look) -> None:
    place.plot(
        line[x], line["iqm"], color=look.colour, marker=look.marker, linestyle=look.dash, **MARKED
    )
    place.fill_between(
        line[x], line["low"], line["high"], color=look.colour, alpha=0.15, linewidth=0
    )
    place.vlines(line[x], line["low"], line["high"], color=look.colour, linewidth=1.0)
