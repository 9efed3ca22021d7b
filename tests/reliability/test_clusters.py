"""What Ray and SLURM are told, and what a person is told who cannot have them."""

import contextlib
import importlib
import json
import os
import re
import socket
import sys
import threading
import time
from functools import partial

import pytest

from rl_surrogates.config import ConfigError, Execution
from rl_surrogates.store import Leases
from rl_surrogates.sweep import (
    executors,
    leased,
    run_sweep,
)
from rl_surrogates.sweep.executors.ray import Ray
from rl_surrogates.sweep.executors.slurm import Slurm, Task, parameters
from rl_surrogates.sweep.lanes import Lanes
from tests.reliability.hands import opened_job
from tests.reliability.sweeping import UPDATES, ask, needs

pytestmark = pytest.mark.usefixtures("executors")


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


RAY = """
import os
__version__ = "2.52.0"
environment, told = dict(os.environ), {}

def init(**how):
    told["cluster"] = how

def remote(**how):
    told["task"] = how
    return lambda work: type("Task", (), {"remote": lambda self, *sent: (work, *sent)})()

def cluster_resources():
    return {"CPU": 8.0, "GPU": 3.0}

def is_initialized():
    return False

def shutdown():
    told["ended"] = True
"""


@pytest.fixture
def ray(tmp_path, monkeypatch):
    """Writes a package that notes what Ray would be told, in a process that knows no Ray yet."""

    def write(text=RAY):
        (tmp_path / "ray.py").write_text(text)

    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.delitem(sys.modules, "ray", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    write()
    yield write
    sys.modules.pop("ray", None)


def test_a_cluster_that_is_started_has_a_token_and_neither_dashboard_nor_statistics(ray):
    with contextlib.closing(Ray(Execution(workers=3, cpus=2, gpus=1))) as hand:
        told, environment = hand.ray.told, hand.ray.environment
        assert environment["RAY_AUTH_MODE"] == "token"  # before it was imported
        assert environment["RAY_USAGE_STATS_ENABLED"] == "0"
        assert re.fullmatch("[0-9a-f]{64}", os.environ["RAY_AUTH_TOKEN"])
        assert told["cluster"]["include_dashboard"] is False
        assert (told["cluster"]["num_cpus"], told["cluster"]["num_gpus"]) == (6, 3)
        assert told["task"] == {"num_cpus": 2, "num_gpus": 1, "max_retries": 0}
        assert hand.start(["{}"]) == [(leased.work, "{}")]  # a line of text, and nothing else
    assert told["ended"]


def test_a_cluster_that_does_not_let_us_in_is_said_so_with_what_may_be_missing(ray):
    ray(RAY.replace('told["cluster"] = how', 'raise ConnectionError("Failed to connect\\nto it")'))
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConfigError, match="address: Failed to connect; .* RAY_AUTH_TOKEN?"):
            Ray(Execution(address=address))


@pytest.mark.parametrize(
    "execution, message",
    [
        ({"cpus": 9}, "a worker needs 9 cores and 0 accelerators, and the cluster has 8 and 3"),
        ({"gpus": 4}, "a worker needs 1 cores and 4 accelerators, and the cluster has 8 and 3"),
    ],
)
def test_a_cluster_without_room_for_one_worker_is_refused(execution, message, ray):
    with pytest.raises(ConfigError, match=message):
        Ray(Execution(**execution))


def test_a_version_of_ray_without_tokens_is_refused_with_the_one_to_install(ray):
    ray(RAY.replace("2.52.0", "2.51.9"))
    with pytest.raises(
        ConfigError, match=r"ray 2\.51\.9 knows no tokens: pip install .* 'rl-surrogates\[ray\]'"
    ):
        Ray(Execution())


def test_a_ray_that_was_imported_before_it_could_be_told_is_refused(ray):
    importlib.import_module("ray")
    with pytest.raises(ConfigError, match="imported without RAY_AUTH_MODE=token; set it before"):
        Ray(Execution())


SBATCH = """#!/bin/sh
cat "$1" > "$(dirname "$0")/script"
echo Submitted batch job 7
"""


@needs("submitit")
def test_the_script_that_slurm_gets_says_what_the_question_says(tmp_path, monkeypatch):
    for name, text in {"sbatch": SBATCH, "srun": "#!/bin/sh\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    about = {"partition": "gpu", "time_limit": 30, "gres": "gpu:a100:1", "signal_before": 120}
    hand = Slurm(Execution(**about, workers=2, cpus=4))
    hand.folder = tmp_path
    assert [job.job_id for job in hand.start(["{}", "{}", "{}"])] == ["7_0", "7_1", "7_2"]
    lines = (tmp_path / "script").read_text().splitlines()
    told = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}
    assert told >= {
        "array=0-2%2",
        "partition=gpu",
        "time=30",
        "gres=gpu:a100:1",
        "cpus-per-task=4",
        "signal=USR2@120",
        "requeue",
    }
    assert parameters(Execution(gpus=2))["gpus_per_node"] == 2


@needs("submitit")
def test_a_task_that_is_signalled_saves_its_item_and_asks_to_be_queued_again(
    tmp_path, cheap, monkeypatch
):
    job, line = opened_job(tmp_path)
    task, leases, advance, begun = Task(), Leases(job.folder), Lanes.advance, threading.Event()

    def slow(lanes, state, hypers, count):
        time.sleep(0.1 * begun.is_set())
        begun.set()
        return advance(lanes, state, hypers, count)

    monkeypatch.setattr(Lanes, "advance", slow)
    working = threading.Thread(target=task, args=(line,))
    working.start()
    begun.wait(60)
    again = task.checkpoint(line)
    working.join()
    left = leases.find(job.item.item)
    assert left.released and left.report["checkpoints"] and left.report["update"] < UPDATES
    assert (type(again.function), again.args) == (Task, (line,))


class Job:
    """A job of submitit that has ended."""

    job_id = "7_0"

    def __init__(self, out, err=""):
        self.stdout, self.stderr, self.done = (lambda: out), (lambda: err), (lambda: True)


def test_what_a_task_of_slurm_answers_is_read_from_what_it_printed(tmp_path, capsys):
    line = json.dumps({**json.loads(opened_job(tmp_path)[1]), "versions": {"jax": "0.1.0"}})
    Task()(line)
    printed = capsys.readouterr().out
    answer = partial(Slurm.answer, None)
    assert re.search("jax .* driven with 0.1.0", answer(Job(f"begin\n{printed}end"))["message"])
    assert answer(Job(printed))["event"] == "refused"
    for out in (None, "", printed[:40]):
        lost = answer(Job(out, "warning\nkilled by the kernel\n"))
        assert lost == {"event": "lost", "message": "job 7_0 ended killed by the kernel"}
