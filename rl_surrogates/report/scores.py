"""What did each setting reach? Scores per setting and seed, and one row of figures per setting.

A diverged run counts as the worst score of the whole sweep, in every figure of the report; a run
that failed or was not run is left out, and said to be missing.
"""

import json
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rl_surrogates import statistics
from rl_surrogates.statistics import Interval
from rl_surrogates.store import Results

COLUMNS = ("iqm", "low", "high", "runs", "diverged")  # of a summary, after the axes
NOTHING = Interval(np.nan, np.nan, np.nan)
TRAINING_RETURN = "training/episode_return"


class Scores(NamedTuple):
    """The scores of a sweep, and how to compare them."""

    metric: str  # what was scored
    goal: str  # maximize or minimize
    by_setting: dict[int, pd.Series]  # setting -> score by seed; NaN where a run diverged
    worst: float | None  # what a diverged run counts as; None where no run has a score
    unscored: int  # runs that are done, but have no score: they count as the worst as well

    def interval(self, setting: int) -> Interval:
        """IQM of a setting over its seeds."""
        return self._turned(statistics.bootstrap_ci(self.upward(setting), worst=self.floor))

    def difference(self, setting: int, other: int, chances: int = 1) -> tuple[Interval, int]:
        """IQM of a setting less that of another over their common seeds, and how many these are.

        The interval holds at 95 % for all of `chances` comparisons at once (Bonferroni).
        """
        x, y = self.by_setting[setting], self.by_setting[other]
        common = x.index.intersection(y.index)
        if common.empty:
            return NOTHING, 0
        x, y = (self.sign * scores[common].to_numpy() for scores in (x, y))
        interval = statistics.paired_difference_ci(
            x,
            y,
            confidence=1.0 - 0.05 / chances,
            resamples=2000 if chances == 1 else 20_000,
            worst=self.floor,
        )
        return self._turned(interval), len(common)

    def upward(self, setting: int) -> np.ndarray:
        """Scores of a setting, higher is better."""
        return self.sign * self.by_setting[setting].to_numpy()

    @property
    def sign(self) -> int:
        """1 where higher is better, else -1."""
        return -1 if self.goal == "minimize" else 1

    @property
    def floor(self) -> float | None:
        """`worst`, where higher is better."""
        return None if self.worst is None else self.sign * self.worst

    def _turned(self, upward: Interval) -> Interval:
        return upward if self.sign > 0 else Interval(-upward.high, -upward.point, -upward.low)


def summary(results: Results) -> pd.DataFrame:
    """One row per setting, in the order of the plan, indexed by `setting`.

    Columns: the swept axes under their dotted paths; `iqm, low, high` of the plan's metric (greedy
      evaluation) with a 95 %
    bootstrap interval over seeds; `runs` that are there, `diverged` among them.
    """
    return tabulate(results, read_scores(results))


def read_scores(results: Results) -> Scores:
    """The scores of the plan's metric; of the training return where nothing was evaluated."""
    metric = results.plan.get("metric", {})
    name, goal = metric.get("name", "evaluation/return"), metric.get("goal", "maximize")
    rows = results.scores(name)
    if (
        rows["score"].isna().all()
        and name.startswith("evaluation/")
        and (rows["status"] == "done").any()
    ):
        name = TRAINING_RETURN
        rows = results.scores(name)
    rows = rows[rows["status"] != "failed"]
    by_setting = {
        int(setting): pd.Series(group["score"].to_numpy(), group["seed"].to_numpy())
        for setting, group in rows.groupby("setting")
    }
    there = rows["score"].dropna()
    worst = None if there.empty else float(there.max() if goal == "minimize" else there.min())
    unscored = int((rows["score"].isna() & (rows["status"] == "done")).sum())
    return Scores(name, goal, by_setting, worst, unscored)


def tabulate(results: Results, scores: Scores) -> pd.DataFrame:
    """`summary`, from scores that were read before."""
    runs = results.runs()
    diverged = runs[runs["status"] == "diverged"].groupby("setting").size()
    rows = []
    for setting in results.plan.get("settings", []):
        index = setting["index"]
        there = scores.by_setting.get(index, ())
        interval = scores.interval(index) if len(there) else NOTHING
        rows.append(
            {
                "setting": index,
                **{path: hashable(value) for path, value in setting["axes"].items()},
                "iqm": interval.point,
                "low": interval.low,
                "high": interval.high,
                "runs": len(there),
                "diverged": int(diverged.get(index, 0)),
            }
        )
    swept = {path for setting in results.plan.get("settings", []) for path in setting["axes"]}
    axes = [path for path in results.plan.get("axes", swept) if path in swept]
    return pd.DataFrame(rows, columns=["setting", *axes, *COLUMNS]).set_index("setting")


def hashable(value: Any) -> Any:
    """An axis value as it can be grouped by: a list becomes its JSON text, null is `off`.

    A null left in a column of numbers would become NaN, as where an axis does not apply.
    """
    if value is None:
        return "off"
    return json.dumps(value) if isinstance(value, (list, dict)) else value
