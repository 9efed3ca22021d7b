"""A tiny sweep that is cheap to run hundreds of times, and what two runs of it must agree in."""

import importlib.util
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from rl_surrogates.config import make_question
from rl_surrogates.store import files, open_results
from rl_surrogates.sweep import run_sweep, worker
from rl_surrogates.sweep.lanes import Lanes
from rl_surrogates.sweep.progress import Progress

ROOT = Path(__file__).parents[2]
UPDATES = 6
TINY = {
    "env.name": "CartPole-v1",
    "network.hidden": [8],
    "num_envs": 2,
    "num_steps": 8,
    "total_timesteps": 16 * UPDATES,
    "ascent.num_epochs": 1,
    "ascent.num_minibatches": 2,
    "evaluation.episodes": 2,
    "evaluation.every": 2,
    "evaluation.untrained": True,
}
FILE = """\
name: tiny
parameters:
  objective.name: {values: [ppo_clip, policy_gradient]}
  network.hidden: {value: [8]}
  num_envs: {value: 2}
  num_steps: {value: 8}
  total_timesteps: {value: 3200}
  evaluation.episodes: {value: 2}
seeds: {count: 12}
"""


def ask(axes=None, seeds=4, lanes=4, every=1, execution=None, **constants):
    """The question: one program, by default two settings, eight runs, two work items."""
    axes = {"objective.name": ["ppo_clip", "policy_gradient"]} if axes is None else axes
    values = {**TINY, **{path.replace("__", "."): value for path, value in constants.items()}}
    parameters = {path: {"value": value} for path, value in values.items() if path not in axes}
    return make_question(
        {
            "name": "tiny",
            "parameters": parameters | {path: {"values": v} for path, v in axes.items()},
            "seeds": {"count": seeds},
            "execution": {"lanes": lanes, "checkpoint_every": every, **(execution or {})},
        }
    )


def question_file(folder, **execution):
    """The file of a question for the real command: 24 runs of 200 updates."""
    path = folder / "tiny.yaml"
    path.write_text(f"{FILE}execution: {json.dumps(execution)}\n")
    return path


def compile_once(monkeypatch, compiled):
    """Has every sweep of a test module use the compiled functions in `compiled`."""

    def lanes(self, program):
        return compiled.setdefault(program.digest, Lanes(program))

    monkeypatch.setattr(worker.Programs, "lanes", lanes)


def tables(folder, partial=False):
    """The three tables without what may differ between two runs of one sweep."""
    found = open_results(folder, partial=partial)
    runs = found.runs().drop(columns=["wall_s", "device"], errors="ignore")
    return {"runs": runs, "curves": found.curves(), "evaluations": found.evaluations()}


def assert_same(one, other):
    """All rows, in order, to the last bit."""
    assert one.keys() == other.keys()
    for name in one:
        pd.testing.assert_frame_equal(one[name], other[name], check_exact=True)


def clean(folder):
    """Whether nothing is left but the results."""
    left = [*files.names(folder / "leases"), *files.names(folder / "checkpoints")]
    listed = open_results(folder)._listed
    strays = [name for name in files.names(folder / "parts") if f"parts/{name}" not in listed]
    return not left and not strays


def assert_whole(folder, reference):
    """Nothing lost, nothing doubled, nothing left over."""
    assert_same(tables(folder), reference)
    assert clean(folder)
    names = [name for name in files.names(folder / "parts") if name.endswith(".runs.parquet")]
    parts = [pd.read_parquet(io.BytesIO(files.read(folder / "parts" / name))) for name in names]
    stored = pd.concat(parts)["run_id"]
    assert stored.is_unique and set(stored) == set(reference["runs"]["run_id"])


def held(leases):
    """The leases whose items are being worked on: with a holder who lives and is not done."""
    return [lease for lease in leases.all() if not leases.expired(lease) and at_work(lease)]


def at_work(lease):
    """Whether an item is neither given back nor finished."""
    return not lease.released and not lease.report.get("ended")


def interrupt_after(monkeypatch, root, question, events, name="checkpoint"):
    """Runs the sweep until so many events of this name were told; then it is thrown out."""
    told = iter(range(events))
    tell = Progress.tell

    def count(progress, event):
        tell(progress, event)
        if event["event"] == name and next(told, None) is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "tell", count)
        try:
            run_sweep(question, out=root)
        except KeyboardInterrupt:
            return
    raise AssertionError(f"the sweep ended before {events} events")


def needs(package):
    """Leaves a test out where an extra is not installed."""
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"{package} is not installed"
    )


def command(question, out, environment, *options):
    """The real command in a process of its own, on the question in the file `question`."""
    paths = [str(ROOT), environment.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "rl_surrogates",
            "sweep",
            question.name,
            "--out",
            str(out),
            *options,
        ],
        cwd=question.parent,
        env={
            **environment,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "JAX_PLATFORMS": "cpu",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, status=0):
    """Waits until the command has ended as it should; what it said of errors."""
    _, errors = process.communicate(timeout=300)
    assert process.returncode == status, errors
    return errors
