"""A question becomes results: once, whatever interrupts it, and with the same bits."""

import hashlib
import shutil

import numpy as np
import pandas as pd
import pytest

import rl_surrogates as rls
from rl_surrogates.store import StoreError, StoreWarning
from rl_surrogates.sweep import engine, item
from rl_surrogates.sweep import run_sweep as ask_for
from rl_surrogates.sweep.lanes import Lanes
from rl_surrogates.sweep.progress import Progress


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def tables(results):
    """The three tables without what may differ between two runs of one sweep."""
    runs = results.runs().drop(columns=["wall_s", "device"])
    keys = {"runs": "run_id", "curves": ["run_id", "update"]}
    found = {"runs": runs, "curves": results.curves(), "evaluations": results.evaluations()}
    keys["evaluations"] = ["run_id", "env_steps", "mode", "episode"]
    return {
        name: table.sort_values(keys[name]).reset_index(drop=True) for name, table in found.items()
    }


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        pd.testing.assert_frame_equal(one[name], other[name], check_exact=True)


@pytest.fixture(scope="module")
def finished(ask, tmp_path_factory):
    """The tiny question, answered; tests copy the folder before they harm it."""
    root = tmp_path_factory.mktemp("finished")
    ask_for(ask(), out=root)
    return root


@pytest.fixture
def results(finished, tmp_path):
    """A copy of the finished results."""
    shutil.copytree(finished, tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def trained(monkeypatch):
    """Records which work items are really trained."""
    items = []

    def watched(job, lanes, stopping):
        items.append(job.item)
        return train(job, lanes, stopping)

    train = item.train
    monkeypatch.setattr(item, "train", watched)
    return items


def test_every_run_leaves_one_row_all_its_updates_and_all_its_episodes(finished, ask):
    found = rls.open_results(finished / "tiny")
    runs, curves, evaluations = found.runs(), found.curves(), found.evaluations()
    assert len(runs) == 4 and set(runs["status"]) == {"done"} and set(runs["width"]) == {2}
    assert curves.groupby("run_id").size().tolist() == [6] * 4
    one = curves[curves["run_id"] == runs["run_id"][0]].sort_values("update")
    assert one["update"].tolist() == [1, 2, 3, 4, 5, 6]
    assert one["env_steps"].tolist() == [16, 32, 48, 64, 80, 96]
    assert evaluations.groupby(["run_id", "mode"]).size().tolist() == [2] * 8
    assert set(evaluations["env_steps"]) == {96}
    for name in (
        "policy_loss value_loss entropy approx_kl clip_fraction first_ratio_error grad_norm "
        "explained_variance episode_return episode_length episodes learning_rate finite"
    ).split():
        assert name in curves, name
    assert (curves["finite"] == 1).all()
    assert (curves["first_ratio_error"] <= 1e-5).all()


def test_the_runs_of_a_question_differ(finished):
    found = rls.open_results(finished / "tiny")
    assert found.curves().groupby("run_id")["policy_loss"].sum().nunique() == 4


def test_asking_again_trains_nothing_and_changes_no_byte(results, ask, trained):
    before = digests(results)
    ask_for(ask(), out=results)
    assert not trained
    assert digests(results) == before


def test_one_changed_value_trains_the_runs_that_it_changes_and_no_other(results, ask, trained):
    runs = rls.open_results(results / "tiny").runs()
    kept = set(runs.loc[runs["objective.name"] == "policy_gradient", "run_id"])
    found = ask_for(ask(objective__epsilon=0.3), out=results)  # ppo_clip's; the other has none
    retrained = {run.run_id for item in trained for run in item.runs}
    assert len(retrained) == 2 and not retrained & kept
    assert set(found.runs()["run_id"]) == retrained | kept


def test_a_lost_part_is_made_again_and_only_that(results, finished, ask, trained):
    min((results / "tiny" / "parts").rglob("*.parquet")).unlink()
    with pytest.warns(StoreWarning):
        found = ask_for(ask(), out=results)
    assert len(trained) == 1
    assert_same(tables(found), tables(rls.open_results(finished / "tiny")))


def test_an_interruption_keeps_what_is_finished_and_asking_again_makes_the_same_tables(
    finished, ask, tmp_path, monkeypatch, trained
):
    def second_item(progress, event):
        if progress.finished_items == 1 and event["event"] == "chunk":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "tell", second_item)
        with pytest.raises(KeyboardInterrupt):
            ask_for(ask(), out=tmp_path)
    first = trained[0].runs
    found = rls.open_results(tmp_path / "tiny", partial=True)
    assert set(found.runs()["run_id"]) == {run.run_id for run in first}
    assert found.missing
    trained.clear()
    again = ask_for(ask(), out=tmp_path)
    assert not {run.run_id for item in trained for run in item.runs} & {r.run_id for r in first}
    assert_same(tables(again), tables(rls.open_results(finished / "tiny")))


@pytest.mark.parametrize(
    ("more", "when"),
    [
        ({"every": 1}, [1, 2, 3, 4, 5, 6]),
        ({"every": 5}, [5, 6]),
        ({"untrained": True}, [0, 6]),
    ],
)
def test_evaluating_more_often_changes_no_bit_of_training(finished, ask, tmp_path, more, when):
    constants = {f"evaluation__{name}": value for name, value in more.items()}
    found = ask_for(ask(**constants), out=tmp_path)
    silent = rls.open_results(finished / "tiny")
    keys = ["setting", "seed", "update"]

    def curves(results):
        joined = results.curves().merge(results.runs()[["run_id", "setting", "seed"]], on="run_id")
        return joined.drop(columns="run_id").sort_values(keys).reset_index(drop=True)

    pd.testing.assert_frame_equal(curves(found), curves(silent), check_exact=True)
    assert sorted(found.evaluations()["env_steps"].unique() // 16) == when
    assert found.scores(env_steps=16 * when[0])["score"].notna().all()
    assert found.scores(env_steps=1)["score"].isna().all()
    last = found.scores(env_steps=16 * when[-1])["score"]
    np.testing.assert_array_equal(last, silent.scores()["score"])


def test_a_diverged_run_is_recorded_and_changes_no_bit_of_its_neighbour(
    finished, ask, tmp_path, monkeypatch
):
    hypers = Lanes.hypers

    def poisoned(self, configs):
        found = hypers(self, configs)
        rates = np.where([False, True], np.float32(np.nan), found.ascent.learning_rate)
        return found._replace(ascent=found.ascent._replace(learning_rate=rates))

    monkeypatch.setattr(Lanes, "hypers", poisoned)
    found, clean = ask_for(ask(), out=tmp_path), rls.open_results(finished / "tiny")
    runs = found.runs().sort_values(["item", "lane"])
    assert runs["status"].tolist() == ["done", "diverged"] * 2
    assert runs["diverged_at"].isna().tolist() == [True, False] * 2
    assert runs["diverged_at"].dropna().tolist() == [1, 1]
    sound = set(runs.loc[runs["lane"] == 0, "run_id"])
    one, other = (
        {name: table[table["run_id"].isin(sound)] for name, table in tables(results).items()}
        for results in (found, clean)
    )
    for name in ("curves", "evaluations"):
        pd.testing.assert_frame_equal(
            one[name].reset_index(drop=True), other[name].reset_index(drop=True), check_exact=True
        )
    assert len(one["curves"]) == 12


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_planned(
    ask, tmp_path, monkeypatch
):
    monkeypatch.setattr(engine, "make_plan", lambda *_: pytest.fail("planned first"))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        ask_for(ask(), out=tmp_path / "file")
