"""How are contenders compared? They take turns, so that a change in the machine's load meets all.

Ratios are of runs of the same turn: their median, the lowest and the highest. A contender is a
process of its own, started and compiled before the first turn: one after the other, or some at a
time where there are cores for it.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from benchmarks.work import Spec

# No compilation may be free, and no accelerator may be taken whole by one of several contenders.
ENVIRONMENT = {"JAX_ENABLE_COMPILATION_CACHE": "false", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

CORES = 5  # that a compilation may use, before another begins beside it


class Figure(NamedTuple):
    """A number that a bar judges, over the turns."""

    median: float
    low: float
    high: float
    unit: str = "x"  # x: a ratio of two figures of the same run; else an absolute number


class Entrant:
    """A contender in its process, and what was measured of it."""

    def __init__(self, worker: "Worker", spec: Spec) -> None:
        """Has it compiled and run once."""
        self.worker, self.spec = worker, spec
        self.index = worker.prepared
        self.known = worker.ask({"prepare": spec})
        worker.prepared += 1
        self.run_s: list[float] = []

    def turn(self) -> None:
        """One timed run."""
        answer = self.worker.ask({"run": self.index})
        self.run_s.append(answer["run_s"])
        self.known["peak_bytes"] = answer["peak_bytes"]

    @property
    def speeds(self) -> list[float]:
        """Environment steps per second, by turn."""
        return [self.known["steps"] / seconds for seconds in self.run_s]

    @property
    def flops(self) -> list[float]:
        """Floating-point operations of matrix products per second, by turn."""
        return [self.known["flops"] / seconds for seconds in self.run_s]

    def row(self) -> dict[str, Any]:
        """What the table shows of it."""
        speed = statistics.median(self.speeds)
        return {
            "contender": self.spec.contender,
            "lanes": self.spec.lanes,
            "compile s": self.known["compile_s"],
            "run s": statistics.median(self.run_s),
            "steps/s": speed,
            "program MB": self.known["program_bytes"] / 1e6,
            "peak MB": self.known["peak_bytes"] / 1e6,
            "operations/update": self.known.get("operations", 0),
        }


class Worker:
    """A process that holds contenders."""

    def __init__(self, **environment: str) -> None:
        """Starts it; `environment` is added to this process's."""
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ENVIRONMENT, **environment},
        )
        self.prepared = 0
        self.ask({})
        self.startup_s = time.perf_counter() - begun

    def ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to an order.

        Raises:
          RuntimeError: the process died of it.
        """
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a contender died: {order}; what it said is above")
        return json.loads(answer)

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def contest(specs: Sequence[Spec], turns: int) -> dict[str, Entrant]:
    """Every spec in a process of its own, `turns` runs each, in turn; by contender."""
    with contextlib.ExitStack() as stack:
        workers = []
        for spec in specs:
            workers.append(Worker())
            stack.callback(workers[-1].close)
            say(f"{spec.work}, {spec.contender}, {spec.lanes} lanes: compiling")
        entrants = together(Entrant, workers, specs)
        for _ in range(turns):
            for entrant in entrants:
                entrant.turn()
    return {entrant.spec.contender: entrant for entrant in entrants}


def together(function: Callable, *arguments: Sequence) -> list[Any]:
    """`map`, as many calls at a time as there are cores for."""
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // CORES)) as pool:
        return list(pool.map(function, *arguments))


def series(specs: Iterable[Spec], turns: int) -> list[Entrant]:
    """Every spec in one process, one after the other: for curves, whose points are not compared."""
    with contextlib.closing(Worker()) as worker:
        entrants = []
        for spec in specs:
            say(f"{spec.work}, {spec.contender}, {spec.lanes} lanes {spec.changes or ''}")
            entrants.append(Entrant(worker, spec))
            for _ in range(turns):
                entrants[-1].turn()
    return entrants


def ratio(first: list[float], second: list[float], unit: str = "x") -> Figure:
    """First over second, run by run."""
    pairs = [a / b for a, b in zip(first, second, strict=True)]
    return Figure(statistics.median(pairs), min(pairs), max(pairs), unit)


def once(value: float, unit: str = "x") -> Figure:
    """A number that was measured once."""
    return Figure(value, value, value, unit)


def say(text: str) -> None:
    """Progress, apart from the tables."""
    print(f"  {text}", file=sys.stderr, flush=True)


Part = Callable[[Any], tuple[dict[str, list[dict[str, Any]]], dict[str, Figure]]]
