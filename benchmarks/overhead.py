"""Which share of a sweep's time goes into anything but compiling and computing?

The command `sweep` runs in this process (executor inline), from its imports to its report. Inside
compiled functions are their calls and the waiting for what they return; a first call traces and
compiles. All the rest is overhead: imports, planning, checkpoints, tables, progress, report. Host
work that goes on while the device computes costs nothing and is not counted.

    python benchmarks/overhead.py                       384 runs, about five minutes on two cores
    python benchmarks/overhead.py configs/spo_depth.yaml total_timesteps=20_000
"""

import time

BEGAN = time.monotonic()

import collections  # noqa: E402  (the imports are part of what is measured)
import contextlib  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402

import jax  # noqa: E402

from rl_surrogates.cli import main  # noqa: E402

DEFAULT = ["configs/why_the_ratio.yaml", "total_timesteps=60_000"]
BAR = 0.05


class Clock:
    """Seconds by name; what is timed inside something else is taken out of it."""

    def __init__(self) -> None:
        """Nothing is timed yet."""
        self.seconds: collections.Counter[str] = collections.Counter()
        self.inner = [0.0]

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the seconds inside to `name`."""
        started = time.monotonic()
        self.inner.append(0.0)
        try:
            yield
        finally:
            passed = time.monotonic() - started
            self.seconds[name] += passed - self.inner.pop()
            self.inner[-1] += passed

    def watch(self, owner: object, method: str, name: str, wait: bool = False) -> None:
        """Has every call of a function timed; where `wait`, its arguments are waited for first."""
        original: Callable = getattr(owner, method)

        def watched(*arguments: object, **named: object) -> object:
            if wait:
                with self.timed("computing"):
                    jax.block_until_ready(arguments)
            with self.timed(name):
                return original(*arguments, **named)

        setattr(owner, method, watched)


def measure(arguments: list[str]) -> dict[str, float]:
    """Runs the sweep; seconds by what they went into."""
    from rl_surrogates import report, screen, store
    from rl_surrogates.store import files
    from rl_surrogates.sweep import engine, lanes, outcome
    from rl_surrogates.sweep.item import Training

    clock = Clock()
    for method in ("init", "advance", "evaluate"):
        clock.watch(lanes.Lanes, method, "computing")
    clock.watch(Training, "_collect", "progress and metrics", wait=True)
    clock.watch(Training, "_evaluate", "computing")
    for module, function in ((engine, "make_plan"), (engine, "check_programs")):
        clock.watch(module, function, "planning")
    clock.watch(engine, "check_memory", "planning")
    clock.watch(screen, "show_plan", "planning")
    clock.watch(Training, "_save", "storing")
    clock.watch(outcome, "tables", "storing")
    clock.watch(store, "write_parts", "storing")
    clock.watch(files, "write_atomically", "storing")
    clock.watch(report, "write", "report")
    with tempfile.TemporaryDirectory() as place:
        status = main(["sweep", *arguments, "--out", place, "--executor", "inline", "--yes"])
    whole = time.monotonic() - BEGAN
    if status not in (0, 3):
        raise SystemExit(status)
    known = dict(clock.seconds)
    return {**known, "the rest": whole - sum(known.values()), "whole": whole}


if __name__ == "__main__":
    seconds = measure(sys.argv[1:] or DEFAULT)
    for name, value in sorted(seconds.items(), key=lambda pair: -pair[1]):
        print(f"{value:9.2f} s  {value / seconds['whole']:6.1%}  {name}")
    share = 1.0 - seconds["computing"] / seconds["whole"]
    print(f"overhead: {share:.1%} of {seconds['whole']:.0f} s; bar {BAR:.0%}")
