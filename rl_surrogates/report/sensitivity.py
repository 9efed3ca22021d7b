"""How much does a method depend on its settings, and how early does it learn?

    best, median      of the interquartile means of its settings
    best - median     what tuning gains; small is robust
    share near best   of its settings, those beyond 90 % of the way from the worst to the best
    area              mean height of the training curve of its best setting: early counts

Settings without a score count as the worst, and are never left out.
"""

import numpy as np
import pandas as pd

from rl_surrogates import statistics
from rl_surrogates.report import html
from rl_surrogates.report.curves import RETURN, read_lines
from rl_surrogates.report.layout import text
from rl_surrogates.report.study import Study
from rl_surrogates.report.tasks import has_tasks

NEAR_BEST = 0.9  # of the way from the worst setting of the sweep to its best


def section(study: Study, drawings: dict) -> list[str]:
    """The table; nothing where no method has several settings."""
    table = pd.DataFrame() if has_tasks(study) else tabulate(study)  # returns share no scale there
    if table.empty:
        return []
    best, level = _ends(study)[1], threshold(study)
    name = study.layout.names[study.layout.colour]
    note = (
        f"Over the settings of each value of {name}, interquartile means of the {study.metric}."
        f" Near the best: beyond {html.cell(level)}, which is {NEAR_BEST:.0%} of the way from the"
        f" worst setting of the sweep to its best ({html.cell(best)}). Area: mean height of the"
        " training curve of the best setting. A setting without a score counts as the worst; an"
        " empty cell has no curve."
    )
    parts = [html.element("h2", "Sensitivity"), html.element("p", note, "note")]
    return [*parts, html.table(table), html.as_csv("Sensitivity", table)]


def tabulate(study: Study) -> pd.DataFrame:
    """A row per value of the coloured axis."""
    colour, sign = study.layout.colour, study.scores.sign
    there = study.table[study.table["runs"] > 0]
    if colour is None or there["iqm"].isna().all() or there.groupby(colour).size().max() < 2:
        return pd.DataFrame()
    worst = _ends(study)[0]
    rows = []
    for value in study.looks:
        mine = there[there[colour] == value]
        if mine.empty:
            continue
        upward = sign * mine["iqm"].fillna(worst)  # both in units of the score
        best = upward.idxmax()
        rows.append(
            {
                study.layout.names[colour]: text(value),
                "settings": len(mine),
                "best": sign * float(upward[best]),
                "median": sign * float(upward.median()),
                "best - median": statistics.best_minus_median(upward),
                "share near the best": statistics.share_above(upward, sign * threshold(study)),
                "area": area(study, best),
                "best setting": study.describe(best),
            }
        )
    return pd.DataFrame(rows)


def threshold(study: Study) -> float:
    """The score beyond which a setting is near the best of the sweep."""
    worst, best = _ends(study)
    return worst + NEAR_BEST * (best - worst)


def area(study: Study, setting: int) -> float:
    """Mean height of a setting's training curve (its IQM over seeds); NaN without a curve."""
    if RETURN not in study.results.metrics:
        return np.nan
    line = read_lines(study, RETURN, [setting]).get(setting)
    if line is None or len(line.env_steps) < 2:
        return np.nan
    return float(statistics.area_under_curve(line.env_steps, line.interval.point))


def _ends(study: Study) -> tuple[float, float]:
    """The worst and the best interquartile mean of the sweep."""
    upward = study.scores.sign * study.table["iqm"].dropna()
    return study.scores.sign * float(upward.min()), study.scores.sign * float(upward.max())
