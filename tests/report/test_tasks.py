"""Returns of different tasks share no scale; the report gives them one before it joins them."""

import numpy as np
import pytest

from rl_surrogates import statistics
from rl_surrogates.report import tasks
from rl_surrogates.report.answer import answer
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


def test_where_untrained_policies_were_evaluated_they_score_zero(study, monkeypatch):
    floors = {"CartPole-v1": 20.0, "Acrobot-v1": -2000.0}
    monkeypatch.setattr(tasks, "untrained", lambda study: floors)
    best = study.table.groupby("env.name")["iqm"].max()
    assert tasks.scales(study) == {task: (floors[task], best[task]) for task in floors}
    assert "(0: untrained policy of a task, 1: its best setting)" in answer(study)[0]
    cell = study.table[study.table["env.name"] == "CartPole-v1"]
    first = study.scores.by_setting[cell.index[0]].to_numpy()
    worked = (first - 20.0) / (best["CartPole-v1"] - 20.0)
    scores = complete_scores(study)[cell["objective.name"].iloc[0]]
    assert any(np.allclose(column, worked) for column in scores.T)


def test_a_task_in_which_nothing_is_learned_is_left_out_and_said_to_be(study, monkeypatch):
    floors = {"CartPole-v1": 20.0, "Acrobot-v1": 1e6}
    monkeypatch.setattr(tasks, "untrained", lambda study: floors)
    assert complete_scores(study)["ppo_clip"].shape == (8, 2)  # the epochs of one task
    assert answer(study)[-1] == ("Left out, as no setting is above the score 0 there: Acrobot-v1.")


def test_untrained_policies_are_scored_by_their_sampled_episodes_before_the_first_update(
    synthetic, tmp_path
):
    axes = {"objective.name": ["policy_gradient", "ppo_clip"], "env.name": ["A", "B"]}
    path = synthetic.write_results(tmp_path, seeds=5, updates=4, episodes=2, axes=axes)
    study = examine(open_results(path))
    assert tasks.untrained(study) == {}  # nothing was evaluated then
    rows = study.runs[["run_id", "setting", "seed"]]
    floor = rows["setting"].map(study.table["env.name"]).map({"A": 10.0, "B": -300.0})
    # Of 0, 1, 2, 3, 40 one is left out at each end: the middle is 2.
    score = floor + rows["seed"].map(dict(enumerate((0.0, 1.0, 2.0, 3.0, 40.0))))
    before = rows.assign(score=score, status="done")

    class Evaluated:
        def scores(self, metric, mode, env_steps):
            assert (metric, mode, env_steps) == ("evaluation/return", "sampled", 0)
            return before

    assert tasks.untrained(study._replace(results=Evaluated())) == {"A": 12.0, "B": -298.0}
