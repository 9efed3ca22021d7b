"""What holds for every executor: the same tables, whoever trains and whoever is killed."""

import importlib.util
import json
import os
import random
import re
import signal
import sys
import time
from collections import deque

import jax
import pytest

from rl_surrogates.config import ConfigError, Execution
from rl_surrogates.store import Leases, Store, open_results
from rl_surrogates.sweep import engine, executors, leased, make_plan, run_sweep, session
from rl_surrogates.sweep.executors.protocol import ENDINGS
from rl_surrogates.sweep.executors.remote import Remote
from rl_surrogates.sweep.executors.slurm import Slurm, parameters
from rl_surrogates.sweep.job import make_job
from rl_surrogates.sweep.progress import Progress
from tests.reliability.sweeping import ask, assert_same, tables

HERE = jax.local_device_count()
FAR = {"devices": HERE, "workers": 2}  # the programs of this process, so that bits are equal


def needs(package):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"{package} is not installed"
    )


class Beside(Remote):
    """Does errands in this process, one per look: what is remote of it is only the way."""

    slots = 2

    def start(self, lines):
        return [deque([line]) for line in lines]

    def answer(self, handle):
        return json.loads(leased.work(handle.pop()))

    def cancel(self, handle):
        handle.clear()


class HereSlurm(Slurm):
    """The same jobs by submitit's own executor on this machine."""

    cluster = "local"


@pytest.fixture(autouse=True)
def environment(shared, monkeypatch):
    for name, value in shared.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(engine.EXECUTORS, "beside", Beside)
    monkeypatch.setitem(engine.EXECUTORS, "slurm", HereSlurm)


@pytest.fixture(scope="module")
def cluster(shared):
    """One Ray cluster for all tests of the module."""
    ray = pytest.importorskip("ray")
    from rl_surrogates.sweep.executors.ray import Ray

    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in shared.items():
            monkeypatch.setenv(name, value)
        Ray(Execution(workers=2))
        yield ray
        ray.shutdown()


def clean(folder):
    """Whether nothing is left but the results."""
    left = [*(folder / "leases").glob("*"), *(folder / "checkpoints").glob("*")]
    listed = open_results(folder)._listed
    strays = [p for p in (folder / "parts").glob("*") if f"parts/{p.name}" not in listed]
    return not left and not strays


@pytest.mark.parametrize(
    "name",
    [
        "inline",
        "beside",
        pytest.param("ray", marks=needs("ray")),
        pytest.param("slurm", marks=needs("submitit")),
    ],
)
def test_whoever_trains_the_tables_are_the_same(name, reference, tmp_path, cheap, request):
    if name == "ray":
        request.getfixturevalue("cluster")
    run_sweep(ask(**{"execution": FAR}), out=tmp_path, executor=name)
    assert_same(tables(tmp_path / "tiny"), reference)
    assert clean(tmp_path / "tiny")


def killing(monkeypatch, folder, times, chosen):
    """Kills the holder of the lease of an item when it tells of a checkpoint, at most so often."""
    killed, tell = [], Progress.tell

    def kill(progress, event):
        tell(progress, event)
        if event["event"] == "checkpoint" and len(killed) < times and chosen.random() < 0.5:
            lease = Leases(folder).find(event["item"])
            if not lease.released and lease.pid != os.getpid():
                os.kill(lease.pid, signal.SIGKILL)
                killed.append(lease.token)

    monkeypatch.setattr(Progress, "tell", kill)
    return killed


def kill_ray_workers(times, seed, folder, reference, question, monkeypatch):
    with monkeypatch.context() as patch:
        killed = killing(patch, folder / "tiny", times, random.Random(seed))
        run_sweep(question, out=folder, executor="ray")
    assert_same(tables(folder / "tiny"), reference)
    assert clean(folder / "tiny")
    return len(killed)


@needs("ray")
def test_killed_workers_of_ray_lose_nothing_and_double_nothing(
    cluster, reference, tmp_path, monkeypatch
):
    question = ask(execution=FAR)
    assert kill_ray_workers(2, 1, tmp_path, reference, question, monkeypatch) >= 1


@pytest.mark.slow
@needs("ray")
def test_a_hundred_killed_workers_of_ray_lose_nothing(cluster, reference, tmp_path, monkeypatch):
    monkeypatch.setitem(engine.ATTEMPTS, "lost", 100)
    kills = number = 0
    while kills < 100:
        number += 1
        folder = tmp_path / f"sweep{number}"
        question = ask(execution=FAR)
        kills += kill_ray_workers(8, number, folder, reference, question, monkeypatch)
    print(f"{kills} kills in {number} sweeps")


@needs("submitit")
def test_a_job_of_slurm_that_is_about_to_be_ended_saves_and_is_queued_again(
    reference, tmp_path, monkeypatch
):
    jobs, seen = [], []
    start, tell = HereSlurm.start, Progress.tell
    monkeypatch.setattr(HereSlurm, "start", lambda *a: jobs.extend(start(*a)) or jobs[-len(a[1]) :])

    def interrupt(progress, event):
        tell(progress, event)
        seen.append(event)
        if event["event"] == "checkpoint" and len(seen) < 4:
            lease = Leases(tmp_path / "tiny").find(event["item"])
            os.kill(lease.pid, signal.SIGUSR2)

    monkeypatch.setattr(Progress, "tell", interrupt)
    run_sweep(ask(seeds=2, execution=FAR), out=tmp_path, executor="slurm")
    resumed = [event["update"] for event in seen if event["event"] == "resumed"]
    assert len(resumed) == 1
    assert_same(tables(tmp_path / "tiny"), reference)
    assert len(jobs) == 1 and clean(tmp_path / "tiny")


def opened_job(tmp_path, **about):
    """A job in a folder whose sweep is under way, and what a worker is sent of it."""
    plan = make_plan(ask(**about), HERE)
    store = Store.open(tmp_path, "tiny", plan.as_json(), {"versions": {}})
    job = make_job(plan, plan.items()[0], store)
    token = session.begin(store.path)
    return job, leased.errand(job, "first", token, HERE)


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
        ({"session": "0" * 32}, "sees another folder as .*; take one that all machines share"),
        ({"devices": HERE + 1}, f"has {HERE} devices, the sweep is planned for {HERE + 1}"),
    ],
)
def test_a_worker_that_can_do_nothing_right_refuses_and_says_why(change, message, tmp_path):
    line = opened_job(tmp_path)[1]
    event = json.loads(leased.work(json.dumps({**json.loads(line), **change})))
    assert event["event"] == "refused" and event["event"] in ENDINGS
    assert re.search(f"the worker on host .* {message}", event["message"])


def test_a_sweep_with_workers_that_refuse_ends_with_one_line(tmp_path, cheap, monkeypatch):
    monkeypatch.setattr(leased, "own_versions", lambda: {"jax": "0.1.0"})
    with pytest.raises(ConfigError, match="execution.executor: the worker on host .* jax 0.1.0"):
        run_sweep(ask(execution=FAR), out=tmp_path, executor="beside")
    assert not session.lasts(tmp_path / "tiny")


def test_a_stopped_sweep_is_heard_by_its_workers(tmp_path, cheap, reference, monkeypatch):
    tell = Progress.tell

    def stop(progress, event):
        tell(progress, event)
        if event["event"] == "resumed":
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "tell", stop)
        with pytest.raises(KeyboardInterrupt):
            run_sweep(ask(execution=FAR), out=tmp_path, executor="beside")
    run_sweep(ask(execution=FAR), out=tmp_path, executor="inline")
    assert_same(tables(tmp_path / "tiny"), reference)
    assert clean(tmp_path / "tiny")


def test_a_local_sweep_leaves_alone_what_a_worker_elsewhere_still_trains(tmp_path, cheap):
    job, _ = opened_job(tmp_path)
    Leases(job.folder, host="elsewhere", pid=7).claim(job.item.item)
    with pytest.raises(Exception, match="process 7 on host 'elsewhere' still trains work item"):
        run_sweep(ask(), out=tmp_path)


def test_an_unknown_executor_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="unknown executor 'slurn'; did you mean slurm?"):
        run_sweep(ask(), out=tmp_path, executor="slurn")
    assert list(executors.EXECUTORS)[:4] == ["local", "inline", "ray", "slurm"]


@pytest.mark.parametrize("name, package", [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    name, package, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ConfigError, match=rf"needs the package {package}: pip install .*\[{name}\]"
    ):
        run_sweep(ask(), out=tmp_path, executor=name)
    assert not (tmp_path / "tiny").exists()


@needs("ray")
def test_a_cluster_that_does_not_answer_is_said_so_in_bounded_time(tmp_path):
    question, begun = ask(execution={"address": "127.0.0.1:9"}), time.monotonic()
    with pytest.raises(ConfigError, match="execution.address: no Ray cluster answers at 127"):
        run_sweep(question, out=tmp_path, executor="ray")
    assert time.monotonic() - begun < 20.0 and not (tmp_path / "tiny").exists()


def test_what_slurm_is_told_comes_from_the_question():
    execution = Execution(
        partition="gpu", time_limit=30, gres="gpu:a100:1", gpus=1, workers=8, cpus=4
    )
    assert parameters(execution) == {
        "name": "rl-surrogates",
        "timeout_min": 30,
        "cpus_per_task": 4,
        "slurm_signal_delay_s": 90,
        "slurm_partition": "gpu",
        "slurm_gres": "gpu:a100:1",
        "slurm_array_parallelism": 8,
    }
    assert parameters(Execution(gpus=2))["gpus_per_node"] == 2
