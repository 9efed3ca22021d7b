"""What holds for every executor: the same tables, whoever trains and whoever is killed."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from rl_surrogates.config import Execution
from rl_surrogates.store import Leases, provenance
from rl_surrogates.sweep import run_sweep
from rl_surrogates.sweep.held import Held
from rl_surrogates.sweep.progress import Progress
from tests.reliability.hands import HereSlurm, Worker, far
from tests.reliability.killing import Killer, kill_drivers
from tests.reliability.sweeping import (
    UPDATES,
    ask,
    assert_whole,
    command,
    finish,
    needs,
    question_file,
    tables,
)

# Ray and submitit leave it to the collector to notice that a process of theirs has ended, and fork
# to start one; what they start replaces itself at once, so that nothing of jax runs in a fork.
pytestmark = [
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),
    pytest.mark.usefixtures("executors"),
]
MANY = {"seeds": 12, "execution": far()}  # 24 runs in six work items


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


@pytest.fixture
def undisturbed(cheap, tmp_path):
    """The tables of many work items, trained by one process."""
    return tables(run_sweep(ask(**MANY), out=tmp_path / "undisturbed").path)


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
    assert_whole(tmp_path / "tiny", reference)


def kill_workers(times, seed, folder, reference):
    """Kills workers of Ray in one sweep, up to so many times; how often."""
    killer = Killer(folder / "tiny", times, seed)
    killer.start()
    run_sweep(ask(**MANY), out=folder, executor="ray")
    killer.over.set()
    killer.join()
    assert_whole(folder / "tiny", reference)
    return killer.kills


@needs("ray")
def test_six_killed_workers_of_ray_lose_nothing_and_double_nothing(cluster, undisturbed, tmp_path):
    assert kill_workers(6, 1, tmp_path, undisturbed) == 6


@pytest.fixture
def mailbox(tmp_path, cheap, monkeypatch):
    """What a driver is told whose workers outlive it; they are threads of this process."""
    folder = tmp_path / "mailbox"
    folder.mkdir()
    workers = [Worker(folder) for _ in range(2)]
    for worker in workers:
        worker.start()
    yield {"executor": "mailbox", "environment": {"MAILBOX": str(folder)}}
    for worker in workers:
        worker.over.set()
        worker.join()


@pytest.fixture
def trained(monkeypatch):
    """How many environment steps the workers of this process have trained."""
    steps, tell = [], Held.tell

    def count(held, event):
        steps.append(event["steps"] if event["event"] == "chunk" else 0)
        tell(held, event)

    monkeypatch.setattr(Held, "tell", count)
    return steps


@pytest.mark.parametrize("rivals", [0, 1], ids=["the driver", "one of two drivers"])
def test_seven_killed_drivers_lose_nothing_and_double_nothing(
    rivals, zygote, undisturbed, mailbox, trained, tmp_path
):
    about = {**mailbox, "question": MANY, "prng": provenance._prng()}
    sweeps = kill_drivers(7, rivals, 1, tmp_path, zygote, undisturbed, latest=0.3, **about)
    assert sum(trained) == sweeps * len(undisturbed["runs"]) * 16 * UPDATES  # nothing twice


@pytest.mark.slow
@needs("ray")
def test_of_a_hundred_kills_those_of_workers_of_ray_lose_nothing(cluster, undisturbed, tmp_path):
    kills = number = 0
    while kills < 50:
        number += 1
        kills += kill_workers(10, number, tmp_path / f"sweep{number}", undisturbed)
    print(f"{kills} kills of workers in {number} sweeps")


@pytest.mark.slow
@needs("ray")
@pytest.mark.parametrize("rivals", [0, 1], ids=["the driver", "one of two drivers"])
def test_of_a_hundred_kills_those_of_drivers_of_ray_lose_nothing(
    rivals, cluster, zygote, undisturbed, tmp_path
):
    address = cluster.get_runtime_context().gcs_address
    about = {
        "question": {**MANY, "execution": {**far(), "address": address}},
        "executor": "ray",
        "prng": provenance._prng(),
        "environment": {name: value for name, value in os.environ.items() if "RAY" in name},
    }
    sweeps = kill_drivers(25, rivals, 2, tmp_path, zygote, undisturbed, latest=3.0, **about)
    print(f"25 kills in {sweeps} sweeps")


STRANGER = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False)"


@pytest.mark.slow
@needs("ray")
@pytest.mark.parametrize("mode", ["disabled", "token"])
def test_a_cluster_lets_nobody_in_who_has_another_token_or_none(mode, cluster):
    address = cluster.get_runtime_context().gcs_address
    about = {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN": "0" * 64}
    ended = subprocess.run(
        [sys.executable, "-c", STRANGER, address],
        env={**os.environ, **about},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode and "oken" in ended.stderr, ended.stderr


@pytest.mark.slow
@needs("ray")
def test_a_killed_driver_of_ray_loses_nothing_and_a_second_one_is_told_who_drives(shared, tmp_path):
    question = question_file(tmp_path, lanes=4, checkpoint_every=10, devices=2, workers=2)

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
        assert_whole(root / "tiny", reference)
    print(f"{kills} kills of drivers")
    assert kills >= 3


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
    assert_whole(tmp_path / "tiny", whole)
