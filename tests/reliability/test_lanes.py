"""The lanes of a work item: spread over the devices, the last ones padding, the state consumed."""

import jax
import numpy as np
import pytest

from rl_surrogates.store import open_results
from rl_surrogates.sweep import make_plan, run_sweep
from tests.reliability.sweeping import ask, assert_same, tables

pytestmark = pytest.mark.usefixtures("cheap")


def test_lanes_are_spread_over_the_devices_and_the_state_of_a_chunk_is_consumed(finished, compiled):
    devices = jax.local_device_count()
    plan = make_plan(ask(), devices)
    lanes, item = compiled[plan.programs[0].digest], plan.items()[0]
    seeds = np.array([run.seed for run in item.runs], np.uint32)
    hypers = lanes.hypers([plan.settings[run.setting].config for run in item.runs])
    before = lanes.init(seeds, hypers)
    after, _ = lanes.advance(before, hypers, 1)
    for leaf in jax.tree.leaves(after.learner.params):
        assert len(leaf.sharding.device_set) == devices
        assert {shard.data.shape[0] for shard in leaf.addressable_shards} == {4 // devices}
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before.learner))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(after))


def test_lanes_beyond_the_runs_leave_no_row_and_change_no_bit(reference, tmp_path):
    # Three seeds of two settings in items of four lanes: the second item has two runs and two lanes
    # of padding, and the same program and width as the sweep of four seeds.
    found = run_sweep(ask(seeds=3), out=tmp_path)
    runs = found.runs()
    assert len(runs) == 6 and sorted(runs.groupby("item").size()) == [2, 4]
    assert set(runs["width"]) == {4}
    kept = {name: t[t["run_id"].isin(runs["run_id"])] for name, t in reference.items()}
    columns = ["run_id", "seed", "status", "diverged_at", "params_sha256"]
    same = [t.sort_values("run_id")[columns].reset_index(drop=True) for t in (runs, kept["runs"])]
    assert same[0].equals(same[1])
    for name in ("curves", "evaluations"):
        by = ["run_id", "env_steps", *(["mode", "episode"] if name == "evaluations" else [])]
        both = [
            t.sort_values(by).reset_index(drop=True) for t in (getattr(found, name)(), kept[name])
        ]
        assert_same({name: both[0]}, {name: both[1]})


def test_resume_goes_on_with_what_its_folder_says(reference, tmp_path, monkeypatch, capsys):
    from rl_surrogates.cli import main
    from tests.reliability.sweeping import interrupt_after

    interrupt_after(monkeypatch, tmp_path, ask(), 7)
    assert open_results(tmp_path / "tiny", partial=True).missing
    assert main(["resume", str(tmp_path / "tiny"), "--executor", "inline"]) == 0
    assert "8 runs" in capsys.readouterr().out
    assert_same(tables(tmp_path / "tiny"), reference)
    assert main(["resume", str(tmp_path / "nowhere"), "--executor", "inline"]) == 2
    assert str(tmp_path / "nowhere") in capsys.readouterr().err
