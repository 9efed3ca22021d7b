"""A worker that dies, an item that cannot be trained, a device that is too small."""

import os
import signal

import jax
import pytest

from rl_surrogates.store import open_results
from rl_surrogates.sweep import engine, executors, make_plan, run_sweep, status_of
from rl_surrogates.sweep.executors import inline, local
from rl_surrogates.sweep.job import from_line, make_job, to_line
from rl_surrogates.sweep.lanes import Lanes
from rl_surrogates.sweep.progress import Progress
from tests.reliability.sweeping import UPDATES, ask, assert_same, tables


class Mortal(inline.Inline):
    """Dies whenever `doomed(job, event)` says so."""

    doomed = staticmethod(lambda job, event: False)

    def run(self, job):
        for event in super().run(job):
            yield event
            if self.doomed(job, event):
                yield {"event": "died", "traceback": "Fatal error\nended with status -11"}
                return


@pytest.fixture
def mortal(cheap, monkeypatch):
    """The executor that dies, in place of the usual one."""
    devices = executors.local_devices
    monkeypatch.setitem(engine.EXECUTORS, "inline", lambda told: Mortal(devices(told)))
    return lambda doomed: monkeypatch.setattr(Mortal, "doomed", staticmethod(doomed))


def test_a_worker_that_dies_is_replaced_and_the_item_goes_on(reference, tmp_path, mortal):
    deaths = []

    def twice(job, event):
        if event["event"] == "checkpoint" and len(deaths) < 2:
            deaths.append(event["path"])
            return True
        return False

    mortal(twice)
    run_sweep(ask(), out=tmp_path)
    assert [path.split(".")[1] for path in deaths] == ["1", "2"]
    assert_same(tables(tmp_path / "tiny"), reference)


def test_an_item_that_kills_every_worker_is_given_up_and_the_rest_goes_on(
    reference, tmp_path, mortal, capsys
):
    first = make_plan(ask(), jax.local_device_count()).items()[0].item
    tries = []

    def always(job, event):
        if job.item.item == first and event["event"] == "resumed":
            tries.append(event["update"])
            return True
        return False

    mortal(always)
    found = run_sweep(ask(), out=tmp_path)
    assert len(tries) == engine.ATTEMPTS["died"] == 3
    runs = found.runs().set_index("item")
    assert set(runs.loc[first, "status"]) == {"failed"} and len(runs.loc[first]) == 4
    assert set(runs.drop(index=first)["status"]) == {"done"}
    told = capsys.readouterr().err
    assert told.count("trying again") == 2 and "given up, see" in told
    path = tmp_path / "tiny" / "parts" / f"{first}.traceback.txt"
    assert str(path) in told and path.read_text().endswith("ended with status -11")
    stands = status_of(tmp_path / "tiny")
    assert (stands.done, stands.failed, stands.waiting, stands.missing_steps) == (1, 1, 0, 0)

    mortal(lambda job, event: False)  # whatever it was is mended: only what failed runs again
    run_sweep(ask(), out=tmp_path)
    assert_same(tables(tmp_path / "tiny"), reference)
    assert open_results(tmp_path / "tiny").missing == []


def test_an_error_is_kept_with_its_traceback(tmp_path, cheap, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a fault in the program")

    monkeypatch.setattr(Lanes, "advance", broken)
    found = run_sweep(ask(seeds=1), out=tmp_path)
    assert set(found.runs()["status"]) == {"failed"}
    (text,) = (path.read_text() for path in (tmp_path / "tiny" / "parts").glob("*.txt"))
    assert "Traceback" in text and "ZeroDivisionError: a fault in the program" in text


def test_a_device_that_is_too_small_halves_the_width_until_it_fits(
    reference, tmp_path, cheap, monkeypatch, capsys
):
    whole = Lanes.advance

    def small(self, state, hypers, count):
        if len(hypers.ent_coef) > 4:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory: 1 byte.")
        return whole(self, state, hypers, count)

    monkeypatch.setattr(Lanes, "advance", small)
    run_sweep(ask(lanes=8), out=tmp_path)
    assert "going on with 4" in capsys.readouterr().err
    assert_same(tables(tmp_path / "tiny"), reference)  # four lanes are what the reference has


def test_what_does_not_fit_however_narrow_is_given_up(tmp_path, cheap, monkeypatch):
    def none(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory: 1 byte.")

    monkeypatch.setattr(Lanes, "advance", none)
    monkeypatch.setattr(Lanes, "init", none)
    found = run_sweep(ask(seeds=1), out=tmp_path)
    assert set(found.runs()["status"]) == {"failed"}


def test_a_job_survives_the_way_to_a_worker(tmp_path, finished):
    from rl_surrogates.store import Store

    plan = make_plan(ask({"network.hidden": [[4, 4], [8]], "objective.epsilon": [0.1, 0.3]}))
    opened = Store.open(tmp_path, "tiny", plan.as_json(), {})
    for item in plan.items():
        job = make_job(plan, item, opened)
        assert from_line(to_line(job)) == job
        assert "\n" not in to_line(job)


def test_the_local_worker_may_be_killed_and_the_tables_are_the_same(
    tmp_path, reference, shared, monkeypatch
):
    """A real process and a real kill -9, after its second checkpoint."""
    hands, seen = [], []
    start, tell = local.Local._start, Progress.tell
    monkeypatch.setattr(local.Local, "_start", lambda hand: (hands.append(hand), start(hand)))

    def kill(progress, event):
        tell(progress, event)
        seen.append(event)
        if event["event"] == "checkpoint" and seen.count(event) == 1 and len(hands) == 1:
            if event["path"].endswith(".2.ckpt"):
                os.kill(hands[0].process.pid, signal.SIGKILL)

    monkeypatch.setattr(Progress, "tell", kill)
    for name, value in shared.items():
        monkeypatch.setenv(name, value)
    run_sweep(ask(), out=tmp_path, executor="local")
    assert len(hands) == 2
    resumed = [event["update"] for event in seen if event["event"] == "resumed"]
    assert resumed[0] == 0 and resumed[1] >= 2 and len(resumed) == 3
    chunks = sum(event["event"] == "chunk" for event in seen)
    assert 2 * UPDATES <= chunks <= 2 * UPDATES + 1
    assert_same(tables(tmp_path / "tiny"), reference)
    hands[0].close()


@pytest.mark.slow
def test_a_worker_that_started_with_other_devices_is_replaced_by_one_that_has_the_plan_s(
    tmp_path, reference, shared, monkeypatch, capsys
):
    for name, value in shared.items():
        monkeypatch.setenv(name, value)
    with executors.early_worker("local") as hand:
        hand.close()
        hand.devices = jax.local_device_count() + 1
        hand._start()
        run_sweep(ask(), out=tmp_path, executor=hand)
    assert capsys.readouterr().err.count("trying again") == 1
    assert_same(tables(tmp_path / "tiny"), reference)
