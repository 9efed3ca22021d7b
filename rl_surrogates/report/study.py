"""What does every section read? The results, the scores, and which axis is drawn how."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rl_surrogates.report import style, ways
from rl_surrogates.report.layout import Layout, in_order, lay_out
from rl_surrogates.report.scores import Scores, hashable, read_scores, tabulate
from rl_surrogates.store import Results


class Study(NamedTuple):
    """One sweep, ready to be written about."""

    results: Results
    runs: pd.DataFrame
    scores: Scores
    table: pd.DataFrame  # the summary, a row per setting
    layout: Layout
    axes: dict[str, list]  # swept axis -> its values, in the order of the question

    @property
    def metric(self) -> str:
        """What was scored, in words."""
        family, _, column = self.scores.metric.rpartition("/")
        return f"greedy evaluation {column}" if family == "evaluation" else f"training {column}"

    @property
    def looks(self) -> dict[Any, style.Look]:
        """Value of the coloured axis -> how it is drawn; None where there is no such axis."""
        colour = self.layout.colour
        if colour is None:
            return style.looks([None])
        return style.looks(in_order(self.table[colour], self.axes, colour))

    @property
    def swept(self) -> list[str]:
        """The axes of the question."""
        return [axis for axis in self.axes if axis in self.table]

    def describe(self, setting: int) -> str:
        """A setting by the values of its axes."""
        return self.layout.describe(self.swept, tuple(self.table.loc[setting, self.swept]))


def examine(results: Results) -> Study:
    """Reads the scores and chooses what each axis becomes."""
    scores = read_scores(results)
    table = tabulate(results, scores)
    axes = {path: [hashable(v) for v in each] for path, each in results.plan["axes"].items()}
    table, axes = ways.join(table, axes, results.plan.get("method", ""))
    return Study(results, results.runs(), scores, table, lay_out(table, axes), axes)


def digits(*values: float) -> list[str]:
    """Numbers that belong together, with equal decimals: three digits of the largest."""
    there = [abs(value) for value in values if np.isfinite(value) and value != 0.0]
    decimals = 2 - int(np.floor(np.log10(max(there)))) if there else 0
    decimals = min(max(decimals, 0), 12)
    return [f"{value:.{decimals}f}" if np.isfinite(value) else "?" for value in values]


def bracket(point: float, low: float, high: float) -> str:
    """`482 [478, 486]`; the number alone where there is no interval."""
    if not (np.isfinite(low) and np.isfinite(high)):
        return digits(point)[0]
    return "{} [{}, {}]".format(*digits(point, low, high))
