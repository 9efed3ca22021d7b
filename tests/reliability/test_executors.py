"""What holds for every executor: the same tables, whoever trains and whoever is killed."""

import importlib.util
import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections import deque

import pytest

from rl_surrogates.config import ConfigError, Execution
from rl_surrogates.store import Leases, Store, StoreError, open_results
from rl_surrogates.sweep import (
    engine,
    executors,
    leased,
    make_plan,
    run_sweep,
    session,
    use_every_core,
)
from rl_surrogates.sweep.executors.protocol import ENDINGS
from rl_surrogates.sweep.executors.remote import Remote
from rl_surrogates.sweep.executors.slurm import Slurm, parameters
from rl_surrogates.sweep.job import make_job
from rl_surrogates.sweep.progress import Progress
from tests.reliability.sweeping import ask, assert_same, command, finish, tables

# Ray and submitit leave it to the collector to notice that a process of theirs has ended, and fork
# to start one; what they start replaces itself at once, so that nothing of jax runs in a fork.
pytestmark = [
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
]


def far():
    """Two workers with the programs of this process, so that bits are equal."""
    return {"devices": use_every_core(), "workers": 2}


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
    from rl_surrogates.sweep.executors.ray import Ray

    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in shared.items():
            monkeypatch.setenv(name, value)
        ray = Ray(Execution(workers=2)).ray
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
    run_sweep(ask(execution=far()), out=tmp_path, executor=name)
    assert_same(tables(tmp_path / "tiny"), reference)
    assert clean(tmp_path / "tiny")


class Killer(threading.Thread):
    """Kills holders of leases, at random moments of their work."""

    def __init__(self, folder, times, seed):
        super().__init__(daemon=True)
        self.leases, self.times, self.chosen = Leases(folder), times, random.Random(seed)
        self.kills, self.over = 0, threading.Event()

    def run(self):
        while self.kills < self.times and not self.over.wait(self.chosen.uniform(0.0, 0.05)):
            live = [each for each in self.leases.all() if not self.leases.expired(each)]
            if live and self.chosen.random() < 0.3:
                os.kill(self.chosen.choice(live).pid, signal.SIGKILL)
                self.kills += 1


def kill_workers(times, seed, folder, reference, question):
    killer = Killer(folder / "tiny", times, seed)
    killer.start()
    run_sweep(question, out=folder, executor="ray")
    killer.over.set()
    killer.join()
    assert_same(tables(folder / "tiny"), reference)
    assert clean(folder / "tiny")
    return killer.kills


@needs("ray")
def test_killed_workers_of_ray_lose_nothing_and_double_nothing(cluster, reference, tmp_path):
    assert kill_workers(2, 1, tmp_path, reference, ask(execution=far())) == 2


@pytest.mark.slow
@needs("ray")
def test_a_hundred_killed_workers_of_ray_lose_nothing(cluster, reference, tmp_path):
    kills = number = 0
    while kills < 100:
        number += 1
        folder = tmp_path / f"sweep{number}"
        kills += kill_workers(5, number, folder, reference, ask(execution=far()))
    print(f"{kills} kills of workers in {number} sweeps")


@pytest.mark.slow
@needs("ray")
def test_a_killed_driver_of_ray_loses_nothing_and_a_second_one_is_told_who_drives(shared, tmp_path):
    question = tmp_path / "tiny.yaml"
    question.write_text(COMMAND)

    def start(root, executor):
        return command(question, root, shared, "--executor", executor)

    finish(start(tmp_path / "whole", "local"))
    reference, chosen, kills = tables(tmp_path / "whole" / "tiny"), random.Random(3), 0
    for number in range(5):
        root = tmp_path / f"killed{number}"
        first = start(root, "ray")
        while not list(root.glob("tiny/leases/*.0")):
            time.sleep(0.05)
        assert "is writing there" in finish(start(root, "local"), 2)
        time.sleep(chosen.uniform(0.0, 3.0))
        first.kill()
        first.communicate()
        kills += first.returncode == -signal.SIGKILL
        finish(start(root, ["ray", "local"][number % 2]))
        assert_same(tables(root / "tiny"), reference)
        assert clean(root / "tiny")
    print(f"{kills} kills of drivers")
    assert kills >= 3


COMMAND = """\
name: tiny
parameters:
  objective.name: {values: [ppo_clip, policy_gradient]}
  network.hidden: {value: [8]}
  num_envs: {value: 2}
  num_steps: {value: 8}
  total_timesteps: {value: 3200}
  evaluation.episodes: {value: 2}
seeds: {count: 12}
execution: {lanes: 4, checkpoint_every: 10, devices: 2, workers: 2}
"""


@pytest.mark.slow
@needs("submitit")
def test_a_job_of_slurm_that_is_about_to_be_ended_saves_and_is_queued_again(
    tmp_path, cheap, monkeypatch
):
    jobs, seen = [], []
    start, tell = HereSlurm.start, Progress.tell

    def started(hand, lines):
        jobs.extend(start(hand, lines))
        return jobs[-len(lines) :]

    def interrupt(progress, event):
        tell(progress, event)
        seen.append(event)
        lease = Leases(tmp_path / "tiny").find(event["item"])
        if event["event"] == "checkpoint" and lease.generation == 0 and not lease.released:
            os.kill(lease.pid, signal.SIGUSR2)

    question = ask(seeds=2, total_timesteps=16 * 600, evaluation__every=0, execution=far())
    whole = tables(run_sweep(question, out=tmp_path / "whole").path)
    monkeypatch.setattr(HereSlurm, "start", started)
    monkeypatch.setattr(Progress, "tell", interrupt)
    run_sweep(question, out=tmp_path, executor="slurm")
    resumed = [event["update"] for event in seen if event["event"] == "resumed"]
    print(f"resumed at {resumed}")
    assert len(jobs) == 1 and resumed[-1] > 0  # the same job, queued again
    assert_same(tables(tmp_path / "tiny"), whole)
    assert clean(tmp_path / "tiny")


def opened_job(tmp_path, **about):
    """A job in a folder whose sweep is under way, and what a worker is sent of it."""
    devices = use_every_core()
    plan = make_plan(ask(**about), devices)
    store = Store.open(tmp_path, "tiny", plan.as_json(), {"versions": {}})
    job = make_job(plan, plan.items()[0], store)
    token = session.begin(store.path)
    return job, leased.errand(job, "first", token, devices)


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
        ({"devices": 1000}, r"has \d+ devices, the sweep is planned for 1000"),
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
        run_sweep(ask(execution=far()), out=tmp_path, executor="beside")
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
