"""How much a method depends on its settings, on tables made by hand."""

import numpy as np
import pytest

from rl_surrogates.report import sensitivity
from rl_surrogates.report.study import examine
from rl_surrogates.store import open_results


def study_of(path, scores, sign=1):
    """The founding question with these interquartile means, two objectives x six settings."""
    study = examine(open_results(path))
    table = study.table[study.table["objective.name"].isin(["policy_gradient", "spo"])].copy()
    table["iqm"] = scores
    table["runs"] = 8
    goal = "maximize" if sign > 0 else "minimize"
    return study._replace(table=table, scores=study.scores._replace(goal=goal))


SCORES = [0.0, 10.0, 20.0, 30.0, 40.0, 50.0] + [60.0, 70.0, 95.0, 92.0, 100.0, 80.0]


def test_each_method_s_best_median_and_share_near_the_best(founding):
    table = sensitivity.tabulate(study_of(founding, SCORES)).set_index("objective")
    assert list(table["best"]) == [50.0, 100.0]
    assert list(table["median"]) == [25.0, 86.0]  # (20 + 30) / 2, (80 + 92) / 2
    assert list(table["best - median"]) == [25.0, 14.0]
    assert list(table["share near the best"]) == [0.0, 0.5]  # beyond 90: 92, 95, 100
    assert list(table["settings"]) == [6, 6]


def test_where_lower_is_better_the_lowest_is_the_best(founding):
    table = sensitivity.tabulate(study_of(founding, SCORES, sign=-1)).set_index("objective")
    assert list(table["best"]) == [0.0, 60.0]
    assert list(table["best - median"]) == [25.0, 26.0]
    assert list(table["share near the best"]) == [1 / 6, 0.0]  # below 10: 0


def test_a_setting_without_a_score_counts_as_the_worst(founding):
    scores = [np.nan, *SCORES[1:]]
    table = sensitivity.tabulate(study_of(founding, scores)).set_index("objective")
    assert table["median"]["policy_gradient"] == 25.0 and table["settings"]["policy_gradient"] == 6
    assert sensitivity.threshold(study_of(founding, scores)) == pytest.approx(10.0 + 0.9 * 90.0)


def test_the_area_is_the_mean_height_of_the_training_curve(founding):
    study = examine(open_results(founding))
    curves = study.results.curves(["episode_return"])
    runs = set(study.runs[study.runs["setting"] == 17]["run_id"])
    mean = curves[curves["run_id"].isin(runs)]["episode_return"].mean()
    assert sensitivity.area(study, 17) == pytest.approx(mean, rel=0.05)


def test_a_question_without_several_settings_a_method_has_no_sensitivity(synthetic, tmp_path):
    axes = {"objective.name": ["spo", "ppo_clip"]}
    path = synthetic.write_results(tmp_path, seeds=2, updates=4, episodes=2, axes=axes)
    assert sensitivity.section(examine(open_results(path)), {}) == []
