"""On which scale are returns of different tasks joined?

    score = (return - low) / (best - low)

`best` is the task's best setting, and `low` its untrained policies, with sampled actions, where
these were evaluated (`evaluation.untrained`), else its worst setting. An untrained policy is nearly
uniform: it stands for the random policy that Table 1 of Schulman et al. 2017 (arXiv:1707.06347)
gives the score 0.
"""

from typing import NamedTuple

from rl_surrogates import statistics
from rl_surrogates.report.study import Study

TASK = "env.name"


class Scale(NamedTuple):
    """The ends of a task, as returns of which higher is better."""

    low: float  # scores 0
    best: float  # scores 1


AS_IT_IS = Scale(0.0, 1.0)


def has_tasks(study: Study) -> bool:
    """Whether returns of different environments are compared, which share no scale."""
    return TASK in study.table and study.table[TASK].nunique() > 1


def scales(study: Study) -> dict[str, Scale]:
    """The scale of each task that has one: its best setting is above its low end."""
    floors, found = untrained(study), {}
    for task, rows in study.table.groupby(TASK, sort=False):
        upward = study.scores.sign * rows["iqm"].dropna()
        if upward.empty:
            continue
        low = study.scores.sign * floors[task] if floors else float(upward.min())
        if float(upward.max()) > low:
            found[task] = Scale(low, float(upward.max()))
    return found


def untrained(study: Study) -> dict[str, float]:
    """What the policies of each task reach before training: the IQM over seeds.

    Nothing where one of the tasks does not know it: one kind of scale serves all of them.
    """
    if not study.scores.metric.startswith("evaluation/"):
        return {}
    rows = study.results.scores(study.scores.metric, "sampled", env_steps=0).dropna()
    rows = rows.assign(task=rows["setting"].map(study.table[TASK]))
    by_seed = rows.groupby(["task", "seed"])["score"].mean()  # settings share what they start from
    found = {t: float(statistics.iqm(mine.to_numpy())) for t, mine in by_seed.groupby("task")}
    return found if set(found) == set(study.table[TASK]) else {}


def ends(study: Study) -> str:
    """What 0 and 1 are, in words."""
    low = "untrained policy" if untrained(study) else "worst setting"
    return f"0: {low} of a task, 1: its best setting"


def without_scale(study: Study) -> list[str]:
    """The tasks that are left out where tasks are joined: nothing in them is above the low end."""
    known = scales(study)
    return [task for task in dict.fromkeys(study.table[TASK]) if task not in known]
