"""Returns of different tasks share no scale; the report gives them one before it joins them."""

import numpy as np
import pytest

from rl_surrogates import statistics
from rl_surrogates.report.comparisons import complete_scores
from rl_surrogates.report.study import examine
from rl_surrogates.store import open_results


@pytest.fixture(scope="module")
def study(synthetic, tmp_path_factory):
    """Two tasks; the scores of the second are those of the first less 1000, times 10."""
    axes = {
        "objective.name": ["policy_gradient", "ppo_clip"],
        "ascent.num_epochs": [1, 16],
        "env.name": ["CartPole-v1", "Acrobot-v1"],
    }
    root = tmp_path_factory.mktemp("tasks")
    path = synthetic.write_results(root, seeds=8, updates=4, episodes=2, axes=axes)
    study = examine(open_results(path))
    by_setting, table = dict(study.scores.by_setting), study.table.copy()
    for setting, row in table.iterrows():
        if row["env.name"] == "Acrobot-v1":
            by_setting[setting] = 10.0 * by_setting[setting - 1] - 1000.0
            table.loc[setting, "iqm"] = 10.0 * table["iqm"][setting - 1] - 1000.0
    return study._replace(scores=study.scores._replace(by_setting=by_setting), table=table)


def test_each_task_goes_from_its_worst_setting_to_its_best(study):
    scores = complete_scores(study)
    assert set(scores) == {"policy_gradient", "ppo_clip"}
    assert scores["ppo_clip"].shape == (8, 4)  # seeds, and cells: epochs x tasks
    cells = np.concatenate([values.T for values in scores.values()])
    middle = [float(statistics.iqm(cell)) for cell in cells]
    assert min(middle) == pytest.approx(0.0, abs=1e-9)
    assert max(middle) == pytest.approx(1.0, abs=1e-9)


def test_the_scale_of_a_task_does_not_weigh(study):
    scores = complete_scores(study)
    for values in scores.values():
        found = sorted(tuple(np.round(column, 9)) for column in values.T)
        assert found[0] == found[1] and found[2] == found[3]  # both tasks alike
