"""What does it cost to have workers elsewhere? The same sweep by `local` and by Ray, in turns.

16 work items of 4 lanes, 64 runs on CartPole-v1, by the real command in a process of its own, with
a cache of compiled programs that a first sweep has filled. Ray has two workers and a cluster that
is started for the sweep and ended with it. Start-up is the time until the first worker reports its
first update. The rows of both must be the same to the last bit.

    ratio = (seconds of Ray - its start-up) / seconds of local        at most 1.2
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmarks import end_to_end
from benchmarks.contest import say
from rl_surrogates.store import Leases, open_results

NAME = "executors"
AXES = {"objective.name": ("ppo_clip", "policy_gradient", "spo", "k3_penalty")}
SEEDS, LANES, WORKERS, BAR = 16, 4, 2, 1.2


class Seconds(NamedTuple):
    """Of one sweep."""

    start: float  # until the first worker reported its first update
    whole: float


def sweep(folder: Path, out: str, executor: str, devices: int) -> Seconds:
    """One sweep from the start of its process to its end."""
    options = [f"execution.lanes={LANES}", f"execution.devices={devices}"]
    options += [f"execution.workers={WORKERS}", f"execution.executor={executor}"]
    command = [*end_to_end.command(folder, out, *options), "--yes"]
    environment = {**end_to_end.environment(folder), "JAX_PLATFORMS": "cpu"}
    leases, begun, first = Leases(folder / out / NAME), time.perf_counter(), None
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        if first is None and any(lease.report.get("steps") for lease in leases.all()):
            first = time.perf_counter()
        time.sleep(0.05)
    if process.returncode or first is None:
        raise RuntimeError(f"the sweep by {executor} ended with status {process.returncode}")
    return Seconds(first - begun, time.perf_counter() - begun)


def tables(folder: Path) -> list[pd.DataFrame]:
    """All rows of a sweep, without what may differ between two of them."""
    found = open_results(folder)
    runs = found.runs().drop(columns=["wall_s", "device"])
    return [runs, found.curves(), found.evaluations()]


def measure(steps: int, repetitions: int, devices: int) -> list[tuple[Seconds, Seconds]]:
    """Pairs of `local` and Ray."""
    with end_to_end.question(NAME, steps, AXES, SEEDS) as folder:
        say("a first sweep, which compiles")
        sweep(folder, "first", "local", devices)
        reference, pairs = tables(folder / "first" / NAME), []
        for number in range(repetitions):
            say(f"pair {number + 1} of {repetitions}")
            outs = {name: f"{name}{number}" for name in ("local", "ray")}
            pairs.append(tuple(sweep(folder, out, name, devices) for name, out in outs.items()))
            for out in outs.values():
                for one, other in zip(reference, tables(folder / out / NAME), strict=True):
                    pd.testing.assert_frame_equal(one, other, check_exact=True)
    return pairs


def main() -> int:
    """Measures, and prints the table; 1 where the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000, help="of a run")
    parser.add_argument("--repetitions", type=int, default=3, help="pairs of sweeps")
    parser.add_argument("--devices", type=int, default=2, help="of every worker")
    given = parser.parse_args()
    pairs = measure(given.steps, given.repetitions, given.devices)
    table = Table("start-up and whole, s: local", "ray", "whole / whole", "ratio", box=None)
    ratios = [(ray.whole - ray.start) / local.whole for local, ray in pairs]
    for (local, ray), ratio in zip(pairs, ratios, strict=True):
        said = [f"{one.start:.1f}  {one.whole:.1f}" for one in (local, ray)]
        table.add_row(*said, f"{ray.whole / local.whole:.2f}", f"{ratio:.2f}")
    Console(width=100).print(table)
    median = statistics.median(ratios)
    print(f"all rows are the same to the last bit; ratio, median: {median:.2f} (bar: {BAR})")
    print(f"{len(os.sched_getaffinity(0))} cores, {given.devices} devices a worker")
    return int(median > BAR)


if __name__ == "__main__":
    sys.exit(main())
