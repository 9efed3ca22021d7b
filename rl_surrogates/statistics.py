"""What may be said about a method from a handful of seeds?

Everything takes `scores[runs, tasks]` (a single axis is one task), higher is better, and runs on
NumPy and SciPy. Intervals come from a bootstrap over runs, stratified by task: the seeds are the
sample, never the episodes.

A NaN is a diverged run. It is never skipped: it counts as the worst, which is the lowest score of
its task among all the scores given, or `worst` where that is said. Where runs are only ranked
(`performance_profile`, `probability_of_improvement`) it is below every number. Where a task has no
number at all, the result is NaN. `num_diverged` counts them, to be reported beside every figure.

Source: Agarwal et al. 2021, arXiv:2108.13264; their published values are goldens of the tests.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy

Statistic = Callable[[np.ndarray], np.ndarray]  # scores [runs, tasks] -> a number or an array
METHODS = ("percentile", "basic", "bc", "bca")
_BATCH = 4_000_000  # scores resampled at once: bounds the memory


class Interval(NamedTuple):
    """A statistic and its bootstrap interval; the ends are NaN where there is one run only."""

    low: np.ndarray
    point: np.ndarray
    high: np.ndarray


def iqm(scores, *, worst: float | None = None) -> np.ndarray:
    """Interquartile mean: the mean over runs and tasks, less the lowest and the highest quarter.

    Of n scores, floor(n / 4) are left out at each end.
    """
    return _middle(_flat(_filled(scores, worst)), axis=-1)


def mean(scores, *, worst: float | None = None) -> np.ndarray:
    """Mean over runs and tasks."""
    return _flat(_filled(scores, worst)).mean(-1)


def median(scores, *, worst: float | None = None) -> np.ndarray:
    """Median over tasks of the mean over runs."""
    return np.median(_filled(scores, worst).mean(-2), axis=-1)


def optimality_gap(scores, target: float = 1.0, *, worst: float | None = None) -> np.ndarray:
    """How far the runs stay below `target` on average; what lies above it counts as `target`."""
    return target - np.minimum(_flat(_filled(scores, worst)), target).mean(-1)


def num_diverged(scores) -> int:
    """How many runs have no score."""
    return int(np.isnan(_as_scores(scores)).sum())


def performance_profile(scores, thresholds) -> np.ndarray:
    """Share of runs strictly above each threshold, averaged over tasks: `[..., thresholds]`."""
    above = _as_scores(scores)[..., None] > np.asarray(thresholds, float)  # NaN is above nothing
    return above.mean((-3, -2))


def probability_of_improvement(x, y) -> float:
    """P(a run of x beats a run of y), averaged over tasks; a tie counts half.

    The scaled Mann-Whitney statistic. `x` and `y` need the same tasks, not the same number of runs.
    """
    return float(_wins(x, y).mean())


def area_under_curve(x, y) -> np.ndarray:
    """Mean height of the curves `y[..., points]` over `x[points]`, by the trapezoid rule."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    if len(x) < 2 or not np.all(np.diff(x) > 0):
        raise ValueError("x must have two points or more and increase")
    return np.trapezoid(y, x, axis=-1) / (x[-1] - x[0])


def share_above(settings, threshold: float) -> float:
    """Share of settings strictly above `threshold`; a setting without a score is not."""
    return float(np.mean(np.asarray(settings, float) > threshold))


def best_minus_median(settings) -> float:
    """What tuning gains over the middle setting; one without a score counts as the worst."""
    filled = _filled(settings, None)
    return float(filled.max() - np.median(filled))


def bootstrap_ci(
    scores,
    statistic: Statistic = iqm,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    method: str = "percentile",
    worst: float | None = None,
) -> Interval:
    """Interval of a statistic over the runs, resampled within each task.

    Args:
      scores: `[runs, tasks]` or `[runs]`.
      statistic: one of this module, or any function of `[runs, tasks]`, number- or array-valued.
      confidence: coverage aimed at, in (0, 1).
      resamples: how many bootstrap samples.
      seed: of the resampling; equal arguments give equal intervals.
      method: percentile, basic, bc (bias-corrected) or bca (accelerated by a jackknife over runs).
      worst: what a diverged run counts as.
    """
    ranked = _underlying(statistic) is performance_profile
    scores = _as_scores(scores) if ranked else _filled(scores, worst)
    return _bootstrapped(partial(_apply, statistic), [scores], confidence, resamples, seed, method)


def paired_difference_ci(
    x,
    y,
    statistic: Statistic = iqm,
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    method: str = "percentile",
    worst: float | None = None,
) -> Interval:
    """Interval of `statistic(x) - statistic(y)`, where run i of x and run i of y share their seed.

    The same runs are drawn from both, so that what a seed does to both cancels.

    Args:
      x: `[runs, tasks]` or `[runs]`.
      y: as `x`, run for run.

    The other arguments are those of `bootstrap_ci`; a diverged run counts as the lowest score of
    its task in x and y.
    """
    x, y = _as_scores(x), _as_scores(y)
    if x.shape != y.shape:
        raise ValueError(f"paired scores need one shape; got {x.shape} and {y.shape}")
    x, y = np.split(_filled(np.concatenate([x, y]), worst), 2)

    def difference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _apply(statistic, x) - _apply(statistic, y)

    return _bootstrapped(difference, [x, y], confidence, resamples, seed, method)


def probability_of_improvement_ci(
    x, y, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile interval of `probability_of_improvement`; x and y are resampled independently."""
    wins = _wins(x, y)  # [tasks, runs of x, runs of y]
    tasks, *sizes = wins.shape
    random = np.random.default_rng(seed)
    drawn = [random.multinomial(n, np.full(n, 1.0 / n), (tasks, resamples)) / n for n in sizes]
    draws = np.einsum("trx,trx->r", drawn[0] @ wins, drawn[1]) / tasks
    return _interval(wins.mean(), draws, confidence, min(sizes))


def curve_ci(curves, *, confidence: float = 0.95, resamples: int = 200, seed: int = 0) -> Interval:
    """IQM over runs at each point of `curves[runs, points]`; whole curves are resampled."""
    curves = _filled(curves, None)
    runs, random = len(curves), np.random.default_rng(seed)
    draws = [
        _middle(curves[random.integers(runs, size=(size, runs))], axis=1)
        for size in _batches(resamples, curves.size)
    ]
    return _interval(_middle(curves, axis=0), np.concatenate(draws), confidence, runs)


def _as_scores(scores) -> np.ndarray:
    """`[..., runs, tasks]` floats; a single axis is one task."""
    scores = np.asarray(scores, float)
    scores = scores[:, None] if scores.ndim == 1 else scores
    if scores.ndim < 2 or 0 in scores.shape:
        raise ValueError(f"scores need runs and tasks; got the shape {scores.shape}")
    return scores


def _filled(scores, worst: float | None) -> np.ndarray:
    """Scores in which a diverged run has the worst score of its task."""
    scores = _as_scores(scores)
    diverged = np.isnan(scores)
    if not diverged.any():
        return scores
    if worst is None:
        lowest = np.where(diverged, np.inf, scores).min(-2, keepdims=True)
        worst = np.where(np.isinf(lowest), np.nan, lowest)
    return np.where(diverged, worst, scores)


def _flat(scores: np.ndarray) -> np.ndarray:
    return scores.reshape(*scores.shape[:-2], -1)


def _middle(values: np.ndarray, axis: int) -> np.ndarray:
    """Interquartile mean along an axis; NaN where a value is missing, never that of the rest."""
    runs = values.shape[axis]
    kept = np.arange(runs // 4, runs - runs // 4)  # scipy.stats takes half a second to import
    middle = np.partition(values, kept[[0, -1]], axis).take(kept, axis).mean(axis)
    return np.where(np.isnan(values).any(axis), np.nan, middle)[()]


def _wins(x, y) -> np.ndarray:
    """`[tasks, runs of x, runs of y]`: 1 where x is higher, 1/2 for a tie; NaN is the lowest."""
    x, y = _as_scores(x), _as_scores(y)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"both need the same tasks; got {x.shape[-1]} and {y.shape[-1]}")
    x, y = (np.where(np.isnan(s), -np.inf, s).T for s in (x, y))
    x, y = x[:, :, None], y[:, None, :]
    return (x > y) + 0.5 * (x == y)


def _underlying(statistic: Statistic) -> Callable:
    return _underlying(statistic.func) if isinstance(statistic, partial) else statistic


def _apply(statistic: Statistic, samples: np.ndarray) -> np.ndarray:
    """The statistic of each of `[samples, runs, tasks]`; at once where it is one of ours."""
    if _underlying(statistic) in (iqm, mean, median, optimality_gap, performance_profile):
        return statistic(samples)
    return np.stack([np.asarray(statistic(sample)) for sample in samples])


def _bootstrapped(
    statistic: Callable[..., np.ndarray],
    scores: list[np.ndarray],
    confidence: float,
    resamples: int,
    seed: int,
    method: str,
) -> Interval:
    """Interval of a statistic of one or more `[runs, tasks]`, of which the same runs are drawn."""
    if method not in METHODS:
        raise ValueError(f"{method!r}: not a method; there are {', '.join(METHODS)}")
    random, shape = np.random.default_rng(seed), scores[0].shape
    draws = []
    for size in _batches(resamples, scores[0].size):
        index = random.integers(shape[0], size=(size, *shape))  # task by task
        draws.append(statistic(*(np.take_along_axis(s[None], index, axis=1) for s in scores)))
    point, draws = statistic(*(s[None] for s in scores))[0], np.concatenate(draws)
    if method in ("percentile", "basic") or shape[0] < 2:
        return _interval(point, draws, confidence, shape[0], mirrored=method == "basic")
    without = np.array([np.delete(np.arange(shape[0]), i) for i in range(shape[0])])
    jackknife = statistic(*(s[without] for s in scores)) if method == "bca" else None
    return _corrected(point, draws, confidence, jackknife)


def _batches(resamples: int, size: int) -> Iterator[int]:
    if resamples < 1:
        raise ValueError(f"resamples must be 1 or more; got {resamples}")
    step = max(1, _BATCH // size)
    for start in range(0, resamples, step):
        yield min(step, resamples - start)


def _interval(
    point: np.ndarray, draws: np.ndarray, confidence: float, runs: int, mirrored: bool = False
) -> Interval:
    """Percentile interval of the draws; `mirrored` at the point, it is the basic one."""
    low, high = np.quantile(draws, _tails(confidence), axis=0)
    if runs < 2:
        low = high = np.full_like(low, np.nan)
    if mirrored:
        low, high = 2.0 * point - high, 2.0 * point - low
    return _plain(Interval(low, point, high))


def _corrected(point, draws, confidence: float, jackknife: np.ndarray | None) -> Interval:
    """Quantiles moved for the bias of the draws and, by a jackknife, the skew (Efron 1987)."""
    if np.ndim(point):
        raise ValueError("bc and bca are for statistics that are one number")
    below = np.mean(draws < point) + 0.5 * np.mean(draws == point)
    bias = scipy.special.ndtri(np.clip(below, 1e-6, 1.0 - 1e-6))
    skew = 0.0
    if jackknife is not None:
        away = jackknife.mean() - jackknife
        spread = np.sum(away**2) ** 1.5
        skew = np.sum(away**3) / (6.0 * spread) if spread > 0.0 else 0.0
    z = bias + scipy.special.ndtri(_tails(confidence))
    low, high = np.quantile(draws, scipy.special.ndtr(bias + z / (1.0 - skew * z)))
    return _plain(Interval(low, point, high))


def _tails(confidence: float) -> tuple[float, float]:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie in (0, 1); got {confidence}")
    return (1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0


def _plain(interval: Interval) -> Interval:
    """Python floats where the statistic is one number."""
    return Interval(*(float(end) if np.ndim(end) == 0 else np.asarray(end) for end in interval))
