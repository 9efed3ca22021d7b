"""A sweep keeps the policies that it trained, and gives each back by its run."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rl_surrogates as rls
from rl_surrogates import cli
from rl_surrogates.store import StoreError, StoreWarning
from rl_surrogates.sweep import item, outcome, run_sweep


@pytest.fixture(scope="module")
def questions(ask):
    """The tiny question, once without and once with its policies kept."""
    silent = ask()
    execution = silent.execution.model_copy(update={"save_policies": True})
    return silent, silent.model_copy(update={"execution": execution})


@pytest.fixture(scope="module")
def finished(questions, tmp_path_factory):
    root = tmp_path_factory.mktemp("kept")
    run_sweep(questions[1], out=root)
    return root / "tiny"


@pytest.fixture
def folder(finished, tmp_path):
    """A copy, to be harmed."""
    shutil.copytree(finished, tmp_path / "results" / "tiny")
    return tmp_path / "results" / "tiny"


@pytest.fixture
def trained(monkeypatch):
    """Records the runs that are really trained."""
    runs, train = [], item.train

    def watched(job, lanes, stopping):
        runs.extend(run.run_id for run in job.item.runs)
        return train(job, lanes, stopping)

    monkeypatch.setattr(item, "train", watched)
    return runs


def test_every_run_gives_back_the_very_parameters_that_it_ended_with(finished):
    results = rls.open_results(finished)
    for run in results.runs().to_dict("records"):
        policy = results.policy(run["run_id"])
        assert policy.config.objective.name == run["objective.name"]
        lanes = jax.tree.map(lambda leaf: np.asarray(leaf)[None], policy.actor.params)
        assert outcome.params_sha256(lanes, 1) == [run["params_sha256"]]
    assert policy(jnp.zeros(4)).shape == ()


def test_policies_are_kept_where_asked_for_and_trained_again_where_they_were_not(
    folder, questions, trained
):
    silent, keeping = questions
    for question in questions:  # nor is what was kept thrown away
        run_sweep(question, out=folder.parent)
    assert not trained
    for path in (folder / "parts").glob("*.policies"):
        path.unlink()
    with pytest.warns(StoreWarning, match="policies"):
        results = run_sweep(silent, out=folder.parent)
    first, hashes = list(trained), results.runs()["params_sha256"].tolist()
    assert len(first) == 4
    with pytest.raises(StoreError, match=r"execution\.save_policies=true"):
        results.policy(first[0])
    results = run_sweep(keeping, out=folder.parent)
    assert trained == first * 2 and results.policy(first[0])(jnp.zeros(4)).shape == ()
    assert results.runs()["params_sha256"].tolist() == hashes


def test_a_run_without_a_policy_is_told_why(finished):
    results = rls.open_results(finished)
    known = results.runs()["run_id"][0]
    with pytest.raises(StoreError, match=f"no run '{known[:-1]}x' is stored; nearest: {known}"):
        results.policy(f"{known[:-1]}x")
    for status, said in (("diverged", "diverged at update 3: no policy"), ("failed", "failed")):
        results.__dict__["_runs"] = results.runs().assign(status=status, diverged_at=3)
        with pytest.raises(StoreError, match=said):
            results.policy(known)


def test_a_policy_is_copied_into_a_file_of_its_own(finished, tmp_path, capsys):
    results = rls.open_results(finished)
    run_id, file = results.runs()["run_id"][3], tmp_path / "new" / "best.policy"
    assert cli.main(["export", str(finished), "--policy", run_id, "--out", str(file)]) == cli.DONE
    assert capsys.readouterr().out.strip() == str(file)
    observations = jnp.linspace(-1.0, 1.0, 40).reshape(10, 4)
    one, other = rls.load_policy(file), results.policy(run_id)
    np.testing.assert_array_equal(one(observations), other(observations))
    assert cli.main(["export", str(finished), "--policy", "none"]) == cli.BAD_INPUT
    assert "no run 'none' is stored" in capsys.readouterr().err


def test_a_damaged_file_of_policies_is_named(folder):
    path = min((folder / "parts").glob("*.policies"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(StoreError, match=path.name):
        rls.open_results(folder)
