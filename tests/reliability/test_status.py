"""How a sweep stands, from the folder alone."""

import os
import shutil

import jax
import pytest

from rl_surrogates.cli import main
from rl_surrogates.store import Leases, Store
from rl_surrogates.sweep import held, make_plan, run_sweep, status_of
from rl_surrogates.sweep.status import speed
from tests.reliability.sweeping import UPDATES, ask

STEPS = 16 * UPDATES  # of a run


def test_what_runs_where_how_fast_and_how_long_it_will_take(tmp_path):
    plan = make_plan(ask(), jax.local_device_count())
    first, second = plan.items()
    folder = Store.open(tmp_path, "tiny", plan.as_json(), {}).path
    one = Leases(folder, clock=lambda: 1010.0, host="one", pid=11)
    lost = Leases(folder, clock=lambda: 940.0, host="two", pid=22)
    lost.claim(second.item)
    lease = one.claim(first.item, of=UPDATES)
    one.renew(lease, update=UPDATES // 2, steps=190, timed=[1000.0, 40])

    found = status_of(folder, clock=lambda: 1020.0)
    assert (found.items, found.done, found.failed, found.waiting) == (2, 0, 0, 0)
    assert [(each.item, each.host) for each in found.running] == [(first.item, "one")]
    assert [(each.item, each.host) for each in found.lost] == [(second.item, "two")]
    assert found.age(found.running[0]) == 10.0
    assert found.steps_per_second == 15.0  # 150 steps in 10 s, those that it compiled not counted
    assert (found.done_steps, found.total_steps) == (2 * STEPS, 8 * STEPS)  # half of one of two
    assert found.seconds_left == 6 * STEPS / 15.0

    named = {f"checkpoints/{second.item}.{n}.0123456789abcdef.ckpt": {} for n in (1, 2)}
    lost.renew(lost.find(second.item), checkpoints=named)
    found = status_of(folder, clock=lambda: 1020.0)  # a third of the other is saved
    assert found.done_steps == 2 * STEPS + 4 * STEPS // 3
    assert found.missing_steps == 8 * STEPS - found.done_steps


def test_speed_is_of_what_follows_the_first_chunk_which_is_compiled(tmp_path, monkeypatch):
    clock = [1000.0]
    leases = Leases(tmp_path, clock=lambda: clock[0])
    monkeypatch.setattr(held, "PAUSE", -1.0)  # every chunk is reported
    chunk = {"event": "chunk", "update": 1, "score": None, "diverged": 0}
    with held.Held(leases, leases.claim("a")) as holder:
        holder.begin(of=UPDATES)
        assert speed(leases.find("a")) == 0.0
        clock[0] = 1100.0
        holder.tell({**chunk, "steps": 40})
        assert speed(leases.find("a")) == 0.0
        clock[0] = 1110.0
        holder.tell({**chunk, "steps": 150})
        assert speed(leases.find("a")) == 15.0


@pytest.mark.usefixtures("cheap")
def test_runs_that_an_earlier_plan_stored_are_done_in_this_one(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "tiny")
    found = status_of(tmp_path / "tiny")
    assert (found.done, found.items, found.waiting, found.running) == (2, 2, 0, [])
    assert found.done_steps == found.total_steps == 8 * STEPS and found.seconds_left is None
    run_sweep(ask(seeds=5), out=tmp_path)
    again = status_of(tmp_path / "tiny")
    assert again.done == again.items == 3


def test_the_command_shows_it_and_writes_nothing(finished, capsys):
    before = {path: os.stat(path).st_mtime_ns for path in finished.rglob("*")}
    assert main(["status", str(finished)]) == 0
    assert "2 of 2 work items done" in capsys.readouterr().out
    assert before == {path: os.stat(path).st_mtime_ns for path in finished.rglob("*")}


def test_a_folder_without_results_is_named(tmp_path, capsys):
    assert main(["status", str(tmp_path / "none")]) == 2
    assert f"{tmp_path / 'none'}: no results here" in capsys.readouterr().err
