import time
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from rl_surrogates import statistics
from rl_surrogates.statistics import bootstrap_ci, iqm, paired_difference_ci

# Published values of rliable 1.2, `metrics_test.py`: scores[runs, tasks]
X = np.array([[1, 2], [2, 2], [1, 1], [2, 1]])
Y = np.array([[1, 1], [2, 2], [3, 3]])
AGGREGATES = [statistics.iqm, statistics.mean, statistics.median, statistics.optimality_gap]


def normal(runs=20, tasks=3, seed=0):
    return np.random.default_rng(seed).normal(size=(runs, tasks))


@pytest.mark.parametrize("statistic", [statistics.median, statistics.mean, statistics.iqm])
def test_aggregates_agree_with_published_values(statistic):
    assert statistic(X) == 1.5
    assert statistic(Y) == 2.0
    assert statistic(np.arange(80).reshape(5, 16)) == 39.5


def test_iqm_leaves_out_the_lowest_and_the_highest_quarter():
    assert iqm([0, 0, 1, 2, 3, 4, 10, 100]) == 2.5  # (1 + 2 + 3 + 4) / 4
    assert statistics.mean([0, 0, 1, 2, 3, 4, 10, 100]) == 15.0


@pytest.mark.parametrize("runs", [1, 2, 3, 4, 5, 8, 11, 16])
def test_the_iqm_has_the_bits_of_scipys_trimmed_mean(runs):
    scores = np.random.default_rng(runs).normal(size=(3, runs, 1)) ** 3
    assert np.array_equal(iqm(scores), stats.trim_mean(scores[..., 0], 0.25, axis=1))


def test_median_is_over_tasks_of_the_mean_over_runs():
    scores = [[0.0, 10.0, 2.0], [2.0, 30.0, 4.0]]  # means 1, 20, 3
    assert statistics.median(scores) == 3.0


def test_optimality_gap_does_not_reward_what_lies_above_the_target():
    assert_allclose(statistics.optimality_gap([0.5, 3.0], target=1.0), 0.25)  # 1 - (0.5 + 1) / 2


def test_probability_of_improvement_counts_a_tie_half():
    assert_allclose(statistics.probability_of_improvement(X, Y), 1 / 3)
    assert statistics.probability_of_improvement([1.0, 1.0], [1.0]) == 0.5


def test_probability_of_improvement_is_the_mann_whitney_share():
    x, y = normal(8, 1, 0)[:, 0], normal(11, 1, 1)[:, 0]
    wins = stats.mannwhitneyu(x, y).statistic / (8 * 11)
    assert_allclose(statistics.probability_of_improvement(x, y), wins)


def test_performance_profile_counts_strictly_above():
    profile = statistics.performance_profile([[0.0, 1.0], [1.0, 2.0]], [0.0, 1.0, 2.0])
    assert_allclose(profile, [0.75, 0.25, 0.0])


def test_performance_profile_takes_leading_axes():
    scores = normal(4, 3)
    both = statistics.performance_profile(np.stack([scores, scores + 1.0]), [0.0, 0.5])
    assert_allclose(both[1], statistics.performance_profile(scores + 1.0, [0.0, 0.5]))


def test_area_under_a_curve_is_its_mean_height():
    assert statistics.area_under_curve([0, 10, 30], [0.0, 1.0, 1.0]) == pytest.approx(25 / 30)
    with pytest.raises(ValueError, match="increase"):
        statistics.area_under_curve([0, 0], [1.0, 1.0])


def test_sensitivity_counts_a_setting_without_a_score_as_bad():
    assert statistics.share_above([1.0, 2.0, np.nan, 4.0], 1.0) == 0.5
    assert statistics.best_minus_median([1.0, 5.0, np.nan, 2.0]) == 3.5  # 5 - (1 + 2) / 2


@pytest.mark.parametrize("statistic", AGGREGATES)
def test_aggregates_take_leading_axes(statistic):
    batch = np.stack([normal(seed=i) for i in range(4)])
    assert_allclose(statistic(batch), [statistic(scores) for scores in batch])


@pytest.mark.parametrize("statistic", AGGREGATES)
def test_a_diverged_run_counts_as_the_worst_and_is_never_skipped(statistic):
    scores = np.array([0.5, 0.1, 0.9, np.nan, 0.7])
    counted = statistic(scores)
    assert counted == statistic(np.where(np.isnan(scores), 0.1, scores))
    assert counted != statistic(scores[~np.isnan(scores)])
    assert statistic(scores, worst=-0.3) == statistic(np.where(np.isnan(scores), -0.3, scores))


def test_one_diverged_seed_of_ten_changes_the_aggregate_and_the_count():
    scores = np.arange(10.0)
    broken = np.where(scores == 7.0, np.nan, scores)
    assert iqm(broken) < iqm(scores)
    assert (statistics.num_diverged(scores), statistics.num_diverged(broken)) == (0, 1)


def test_the_worst_is_that_of_the_run_s_own_task():
    scores = np.array([[1.0, 100.0], [np.nan, np.nan]])
    assert statistics.mean(scores) == (1 + 100 + 1 + 100) / 4


@pytest.mark.parametrize("statistic", AGGREGATES)
def test_a_task_without_any_score_gives_no_number(statistic):
    scores = np.ones((4, 9))
    scores[:, 0] = np.nan  # few enough for a trimmed mean to lose them silently
    assert np.isnan(statistic(scores))


def test_where_runs_are_ranked_a_diverged_run_is_below_every_number():
    assert statistics.probability_of_improvement([np.nan], [-1e9]) == 0.0
    assert statistics.probability_of_improvement([np.nan], [np.nan]) == 0.5
    assert_allclose(statistics.performance_profile([1.0, np.nan], [-np.inf, 0.0]), [0.5, 0.5])


@pytest.mark.parametrize("method", statistics.METHODS)
def test_every_interval_surrounds_its_point(method):
    low, point, high = bootstrap_ci(np.arange(80).reshape(5, 16), resamples=100, method=method)
    assert point == 39.5
    assert low < point < high


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
def test_intervals_agree_with_scipy_s(method):
    scores = np.random.default_rng(3).exponential(size=40)
    mine = bootstrap_ci(scores, statistics.mean, resamples=20_000, method=method)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=20_000, method=method, rng=np.random.default_rng(1)
    ).confidence_interval
    assert_allclose([mine.low, mine.high], theirs, rtol=0.02)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    random = np.random.default_rng(0)
    found = [
        bootstrap_ci(random.normal(size=30), statistics.mean, resamples=300) for _ in range(200)
    ]
    covered = np.mean([low < 0.0 < high for low, _, high in found])
    assert 0.88 < covered < 0.99


def test_equal_arguments_give_equal_intervals_and_another_seed_another_one():
    scores = normal()
    assert bootstrap_ci(scores) == bootstrap_ci(scores)
    assert bootstrap_ci(scores) != bootstrap_ci(scores, seed=1)


def test_runs_are_resampled_within_each_task():
    scores = np.tile([0.0, 1000.0], (10, 1))  # no spread within a task, much between them
    assert bootstrap_ci(scores, statistics.mean) == (500.0, 500.0, 500.0)


def test_any_function_of_the_scores_can_be_bootstrapped():
    scores = normal()
    mine = bootstrap_ci(scores, lambda sample: sample.mean(), resamples=200)
    assert_allclose(mine, bootstrap_ci(scores, statistics.mean, resamples=200))


def test_a_statistic_may_be_an_array():
    profile = partial(statistics.performance_profile, thresholds=[-1.0, 0.0, 1.0])
    low, point, high = bootstrap_ci(normal(), profile, resamples=200)
    assert point.shape == (3,)
    assert np.all(low <= point) and np.all(point <= high)


def test_a_single_run_has_no_interval():
    low, point, high = bootstrap_ci([3.0])
    assert point == 3.0
    assert np.isnan(low) and np.isnan(high)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"confidence": 1.0}, "confidence"),
        ({"method": "magic"}, "magic"),
        ({"resamples": 0}, "resamples"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_ci([1.0, 2.0], **arguments)


@pytest.mark.parametrize("scores", [[], np.zeros((0, 3)), 1.0])
def test_scores_need_runs_and_tasks(scores):
    with pytest.raises(ValueError, match="shape"):
        iqm(scores)


def test_pairing_removes_what_a_seed_does_to_both():
    seeds = 100.0 * normal(20, 1)
    low, point, high = paired_difference_ci(seeds + 1.0, seeds)
    assert_allclose([low, point, high], 1.0)
    unpaired = bootstrap_ci(seeds)
    assert unpaired.high - unpaired.low > 10.0


def test_a_paired_difference_is_that_of_the_two_statistics():
    x, y = normal(seed=0), normal(seed=1)
    assert_allclose(paired_difference_ci(x, y).point, iqm(x) - iqm(y))
    forth, back = paired_difference_ci(x, y), paired_difference_ci(y, x)
    assert_allclose(forth, [-back.high, -back.point, -back.low])


def test_a_diverged_run_weighs_on_its_side_of_a_pair():
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0, np.nan])
    difference = paired_difference_ci(x, y, statistics.mean, resamples=50)
    assert difference.point == 0.75  # the fourth run of y counts as 1, the lowest of both


def test_paired_scores_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="shape"):
        paired_difference_ci([1.0, 2.0], [1.0])


def test_the_interval_of_an_improvement_surrounds_it():
    x, y = normal(12, 2, 0) + 0.5, normal(9, 2, 1)
    low, point, high = statistics.probability_of_improvement_ci(x, y)
    assert low < point < high
    assert point == statistics.probability_of_improvement(x, y)


def test_an_improvement_s_interval_agrees_with_slow_resampling():
    x, y = normal(10, 1, 0), normal(10, 1, 1) - 0.3
    random = np.random.default_rng(5)
    draws = [
        statistics.probability_of_improvement(
            x[random.integers(10, size=10)], y[random.integers(10, size=10)]
        )
        for _ in range(3000)
    ]
    low, _, high = statistics.probability_of_improvement_ci(x, y)
    assert_allclose([low, high], np.quantile(draws, [0.025, 0.975]), atol=0.03)


def test_a_curve_s_interval_is_that_of_each_point():
    curves = normal(16, 5)
    band = statistics.curve_ci(curves, resamples=500)
    assert_allclose(band.point, [iqm(column) for column in curves.T])
    assert np.all(band.low < band.point) and np.all(band.point < band.high)


def test_two_thousand_resamples_of_a_thousand_scores_take_under_two_seconds():
    started = time.process_time()
    bootstrap_ci(normal(100, 10))
    assert time.process_time() - started < 2.0
