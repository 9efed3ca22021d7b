"""What must the figures reach? One row per bar; a regression is judged on the same figures.

A bar that was not measured is neither met nor missed.
"""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from benchmarks.contest import Figure

MET = {"at least": operator.ge, "at most": operator.le}
LOST = 0.10  # a ratio may be so much worse than it was


class Bar(NamedTuple):
    """A figure and what it must reach."""

    figure: str
    sense: str  # a key of MET
    value: float


def _wide(task: str, sweep: float) -> list[Bar]:
    """The bars of 16 and of 64 lanes."""
    return [
        Bar(f"{task}, lanes {lanes}: {side} / rejax", "at least", value)
        for lanes in (16, 64)
        for side, value in (("ours", 1.15), ("sweep", sweep))
    ]


CPU = (
    Bar("cartpole, lanes 1: ours / rejax", "at least", 1.1),
    Bar("breakout, lanes 1: ours / rejax", "at least", 1.1),
    *_wide("cartpole", 1.5),
    *_wide("breakout", 1.3),
    Bar("cartpole, lanes 1: ours / sb3", "at least", 25),
    Bar("breakout, lanes 1: ours / sb3", "at least", 25),
    Bar("trpo, lanes 1: ours / sb3_contrib", "at least", 10),
    Bar("trpo, lanes 16: sweep / sb3_contrib", "at least", 20),
    Bar("end to end: rejax, settings traced / sweep", "at least", 3),
    Bar("end to end: rejax, one program per setting / sweep", "at least", 3),
    Bar("end to end: one process each, this project / sweep", "at least", 50),
    Bar("end to end: one process each, Stable-Baselines3 / sweep", "at least", 50),
    Bar("cartpole, lanes 1: compile time, ours / rejax", "at most", 1.2),
    Bar("cartpole, lanes 16: compile time, ours / rejax", "at most", 1.2),
    Bar("second start to the first update", "at most", 5),
    Bar("cartpole: memory of 100 x the steps", "at most", 1),
    Bar("breakout: memory of 100 x the steps", "at most", 1),
    Bar("cartpole, lanes 16: memory / needed", "at most", 1.5),
    Bar("cartpole, lanes 128: memory / needed", "at most", 1.5),
    Bar("breakout, lanes 2: memory / needed", "at most", 1.5),
    Bar("breakout, lanes 128: memory / needed", "at most", 1.5),
    Bar("cartpole, lanes 16: ascent / products", "at least", 0.4),
    Bar("cartpole, lanes 16: ascent_sweep / products_sweep", "at least", 0.4),
    Bar("breakout, lanes 16: ascent / products", "at least", 0.4),
    Bar("breakout, lanes 16: ascent_sweep / products_sweep", "at least", 0.4),
)
GPU = (
    Bar("cartpole, lanes 1024: ours / rejax", "at least", 2),
    Bar("cartpole: results that differ, flag set", "at most", 0),
    Bar("breakout: results that differ, flag set", "at most", 0),
)
BARS = {"cpu": CPU, "gpu": GPU}


def judged(figures: Mapping[str, Figure], platform: str) -> Iterable[dict[str, Any]]:
    """One row per bar of a platform."""
    for bar in BARS[platform]:
        found = figures.get(bar.figure)
        verdict = "not measured"
        if found:
            verdict = "met" if MET[bar.sense](found.median, bar.value) else "missed"
        yield {
            "figure": bar.figure,
            "bar": f"{bar.sense} {bar.value:g}{' s' if found and found.unit == 's' else ''}",
            "measured": found,
            "verdict": verdict,
        }


def regressions(old: Mapping[str, Figure], new: Mapping[str, Figure]) -> Iterable[dict[str, Any]]:
    """Ratios that have become worse by more than `LOST` and that no turn of before was as bad as.

    Absolute numbers are left out: they belong to a machine and to its load.
    """
    small = {bar.figure for bars in BARS.values() for bar in bars if bar.sense == "at most"}
    for name in sorted(old.keys() & new.keys()):
        before, now = old[name], new[name]
        if before.unit != "x":
            continue
        if name in small or name.startswith("compile time"):
            worse = now.median > before.median * (1 + LOST) and now.median > before.high
        else:
            worse = now.median < before.median * (1 - LOST) and now.median < before.low
        if worse:
            yield {"figure": name, "before": before, "now": now}
