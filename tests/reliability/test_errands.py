"""What a worker elsewhere is sent, what it refuses, and what a person is told who starts it."""

import json
import os
import re
import signal

import pytest

from rl_surrogates.config import ConfigError
from rl_surrogates.store import Leases, StoreError
from rl_surrogates.sweep import (
    engine,
    leased,
    make_plan,
    run_sweep,
    session,
    use_every_core,
)
from rl_surrogates.sweep.executors.protocol import ENDINGS
from rl_surrogates.sweep.progress import Progress
from tests.reliability.hands import Beside, far, opened_job
from tests.reliability.sweeping import ask, assert_same, clean, tables

pytestmark = pytest.mark.usefixtures("executors")


def test_a_worker_goes_on_from_what_the_last_holder_reported(tmp_path, cheap, reference):
    job, line = opened_job(tmp_path)
    folder, item = job.folder, job.item.item
    told = iter([False, False, False, True])
    first = json.loads(leased.work(line, lambda: next(told, True)))
    assert first == {"event": "stopped"}
    left = Leases(folder).find(item)
    assert left.released and left.report["update"] > 0 and left.report["checkpoints"]
    second = json.loads(leased.work(line))
    assert second["event"] == "finished"
    resumed = Leases(folder).find(item).report["resumed"]
    assert resumed["update"] == left.report["update"] and not resumed["damaged"]
    again = json.loads(leased.work(line))  # whoever finished it: the same files, nothing trained
    assert again == second and Leases(folder).find(item).generation == 2


def test_of_an_item_that_is_held_elsewhere_nothing_is_trained(tmp_path, cheap):
    job, line = opened_job(tmp_path)
    Leases(job.folder, host="elsewhere").claim(job.item.item)
    answer = leased.work(line, lambda: True)
    assert json.loads(answer) == {"event": "stopped"}
    assert not list((job.folder / "parts").iterdir())


@pytest.mark.parametrize(
    "change, message",
    [
        ({"versions": {"jax": "0.1.0"}}, r"has jax \d.*, the sweep is driven with 0\.1\.0"),
        ({"versions": {"rl-surrogates": "9"}}, "has rl-surrogates .* driven with 9"),
        ({"folder": "/nowhere/tiny"}, "does not see /nowhere/tiny; take a folder that all"),
        ({"folder": "memory://nowhere/tiny"}, "does not see memory://nowhere/tiny; take a"),
        ({"folder": "s4://bucket/tiny"}, "s4://bucket/tiny: unknown scheme 's4'; nearest"),
        ({"session": "0" * 32}, "sees another folder as .*; take one that all machines share"),
        ({"devices": 1000}, r"has \d+ devices, the sweep is planned for 1000"),
    ],
)
def test_a_worker_that_can_do_nothing_right_refuses_and_says_why(change, message, tmp_path):
    line = opened_job(tmp_path)[1]
    event = json.loads(leased.work(json.dumps({**json.loads(line), **change})))
    assert event["event"] == "refused" and event["event"] in ENDINGS
    assert re.search(f"the worker on host .* {message}", event["message"])


def test_a_worker_that_finds_no_sweep_in_the_folder_trains_nothing_there(tmp_path):
    job, line = opened_job(tmp_path)
    session.end(job.folder)
    event = json.loads(leased.work(line))
    assert event["event"] == "refused" and "sees another folder as" in event["message"]
    assert not list((job.folder / "leases").iterdir())


def test_a_sweep_with_workers_that_refuse_ends_with_one_line(tmp_path, cheap, monkeypatch):
    monkeypatch.setattr(leased, "own_versions", lambda: {"jax": "0.1.0"})
    with pytest.raises(ConfigError, match="execution.executor: the worker on host .* jax 0.1.0"):
        run_sweep(ask(execution=far()), out=tmp_path, executor="beside")
    assert not session.lasts(tmp_path / "tiny")


def test_an_item_whose_workers_are_lost_again_and_again_is_given_up(tmp_path, cheap, monkeypatch):
    first, sent = make_plan(ask(), use_every_core()).items()[0].item, []

    class Leaky(Beside):
        def answer(self, handle):
            item = json.loads(json.loads(handle[0])["job"])["item"]["item"]
            sent.append(item)
            lost = {"event": "lost", "message": "no machine is left"}
            return lost if item == first else super().answer(handle)

    monkeypatch.setitem(engine.EXECUTORS, "leaky", Leaky)
    found = run_sweep(ask(execution=far()), out=tmp_path, executor="leaky")
    assert sent.count(first) == engine.ATTEMPTS["lost"] == 10 and len(set(sent)) == 2
    assert set(found.runs().query("item == @first")["status"]) == {"failed"}
    assert set(found.runs().query("item != @first")["status"]) == {"done"}


def test_a_stopped_sweep_is_heard_by_its_workers(tmp_path, cheap, reference, monkeypatch):
    tell = Progress.tell

    def stop(progress, event):
        tell(progress, event)
        if event["event"] == "resumed":
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "tell", stop)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(ask(execution=far()), out=tmp_path, executor="beside")
    run_sweep(ask(execution=far()), out=tmp_path, executor="inline")
    assert_same(tables(tmp_path / "tiny"), reference)
    assert clean(tmp_path / "tiny")


def test_a_local_sweep_leaves_alone_what_a_worker_elsewhere_still_trains(tmp_path, cheap):
    job, _ = opened_job(tmp_path)
    Leases(job.folder, host="elsewhere", pid=7).claim(job.item.item)
    with pytest.raises(StoreError, match="process 7 on host 'elsewhere' still trains work item"):
        run_sweep(ask(), out=tmp_path)
    (job.folder / "leases" / f"{job.item.item}.0").write_bytes(b"")
    with pytest.raises(StoreError, match="a process whose lease cannot be read still trains"):
        run_sweep(ask(), out=tmp_path)
