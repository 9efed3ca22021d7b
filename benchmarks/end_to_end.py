"""How long does a question take, from a cold start to its report?

The question has 8 settings (two learning rates x two lambdas x two entropy bonuses), 4 objectives
and 8 seeds: 256 runs on CartPole-v1. This project is `python -m rl_surrogates sweep FILE` in a
process with an empty cache of compiled programs, evaluations, storing and the report included. The
others:

    rejax            has PPO only, so each objective stands for one more PPO program, compiled anew.
                     Its settings are traced, 64 lanes of `jit(vmap)` per program, 4 programs:
                     the best that a user of rejax can do. One program is measured, from the start
                     of the process; the other three are taken to need the same time again for
                     compiling and running. Not counted: evaluating, storing, a report.
    rejax, by setting   the same where every setting has a program, 32 of 8 lanes; one is measured.
    one process each    256 processes, as many at a time as there are cores. Of this project's `run`
                     and of Stable-Baselines3, one process is measured alone, on fewer steps for the
                     latter, and the rest extrapolated, as if processes did not hinder each other.

A second start is the same sweep in a new folder with the cache that the first start has filled,
until the checkpoint that follows its first update lies there.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.contest import Entrant, Figure, Worker, once, say
from benchmarks.work import Spec

OBJECTIVES = ("ppo_clip", "importance_sampled", "spo", "k3_penalty")
AXES = {
    "objective.name": OBJECTIVES,
    "ascent.learning_rate": (2.5e-4, 1e-3),
    "advantage.gae_lambda": (0.9, 0.95),
    "ent_coef": (0.0, 0.01),
}
SEEDS, STEPS = 8, 100_000
SINGLE_STEPS = 8_192  # of the process of Stable-Baselines3
LIMIT_S = 600


def end_to_end(options: Any) -> tuple[dict[str, list], dict[str, Figure]]:
    """256 runs of this project, of rejax, and of one process each."""
    steps = options.scaled(STEPS)
    runs = len(OBJECTIVES) * 8 * SEEDS
    with question("cold_start", steps, AXES, SEEDS) as folder:
        say("end to end: the sweep, cold")
        ours = sweep(folder, "cold")
        say("end to end: the sweep, a second start")
        second = first_update(folder, "second")
    with question("one_run", steps, {k: v[:1] for k, v in AXES.items()}, 1) as folder:
        say("end to end: one process of this project")
        alone = sweep(folder, "cold")
    say("end to end: rejax")
    traced = peer(Spec("rejax_settings", "cartpole", 8 * SEEDS, steps), len(OBJECTIVES))
    static = peer(Spec("rejax", "cartpole", SEEDS, steps), len(OBJECTIVES) * 8)
    say("end to end: one process of Stable-Baselines3")
    sb3 = process(Spec("sb3", "cartpole", 1, SINGLE_STEPS), steps)
    cores = len(os.sched_getaffinity(0))
    seconds = {
        "this project's sweep": ours,
        "rejax, settings traced": traced,
        "rejax, one program per setting": static,
        "one process each, this project": alone * runs / cores,
        "one process each, Stable-Baselines3": sb3 * runs / cores,
    }
    rows = [{"256 runs": k, "seconds": s, "/ sweep": s / ours} for k, s in seconds.items()]
    rows.append({"256 runs": "second start, to the first update", "seconds": second})
    figures = {f"end to end: {k} / sweep": once(s / ours) for k, s in seconds.items()}
    del figures["end to end: this project's sweep / sweep"]
    figures["second start to the first update"] = once(second, "s")
    return {f"256 runs of {steps:,} steps, from a cold start": rows}, figures


@contextlib.contextmanager
def question(name: str, steps: int, axes: Mapping[str, tuple], seeds: int) -> Iterator[Path]:
    """A folder with a question in it, for results and for the cache."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    parameters = {path: {"values": list(values)} for path, values in axes.items()}
    parameters |= {"num_envs": {"value": 4}, "num_steps": {"value": 128}}
    parameters |= {"total_timesteps": {"value": steps}, "env.name": {"value": "CartPole-v1"}}
    asked = {"name": name, "parameters": parameters, "seeds": {"start": 0, "count": seeds}}
    try:
        # JSON is YAML.
        text = "# How long does this take from a cold start to its report?\n" + json.dumps(asked)
        (folder / "question.yaml").write_text(text)
        yield folder
    finally:
        shutil.rmtree(folder)


def sweep(folder: Path, out: str) -> float:
    """Seconds of a whole sweep."""
    start = time.perf_counter()
    subprocess.run(command(folder, out), env=environment(folder), check=True, stdout=sys.stderr)
    return time.perf_counter() - start


def first_update(folder: Path, out: str) -> float:
    """Seconds until the checkpoint of the first update lies in the results; then it is stopped."""
    start = time.perf_counter()
    told = command(folder, out, "execution.checkpoint_every=1")
    process = subprocess.Popen(told, env=environment(folder), stdout=sys.stderr)
    try:
        while not list((folder / out).glob("*/checkpoints/*.ckpt")):
            if process.poll() is not None or time.perf_counter() - start > LIMIT_S:
                raise RuntimeError("the second start left no checkpoint")
            time.sleep(0.01)
        return time.perf_counter() - start
    finally:
        process.terminate()
        process.wait()


def peer(spec: Spec, programs: int) -> float:
    """Seconds of so many programs in one process; the first is measured."""
    with contextlib.closing(Worker()) as worker:
        entrant, start = _timed(worker, spec)
        once_more = entrant.known["compile_s"] + entrant.known["first_run_s"]
        return start + (programs - 1) * once_more


def process(spec: Spec, steps: int) -> float:
    """Seconds of a process that trains for `steps`, from one on the spec's."""
    with contextlib.closing(Worker()) as worker:
        entrant, start = _timed(worker, spec)
        first = entrant.known["first_run_s"]
        return start - first + first * steps / entrant.known["steps"]


def _timed(worker: Worker, spec: Spec) -> tuple[Entrant, float]:
    """A contender, and seconds from the start of its process to the end of its first run."""
    start = time.perf_counter()
    entrant = Entrant(worker, spec)
    return entrant, worker.startup_s + time.perf_counter() - start


def command(folder: Path, out: str, *overrides: str) -> list[str]:
    """The sweep of the question in `folder`, with results in `out` there."""
    program = [sys.executable, "-m", "rl_surrogates", "sweep", str(folder / "question.yaml")]
    return [*program, *overrides, "--out", str(folder / out)]


def environment(folder: Path) -> dict[str, str]:
    """This process's, with a cache of compiled programs in the folder."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    return kept | {"XDG_CACHE_HOME": str(folder / "cache")}
