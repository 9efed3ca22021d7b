"""The command line of the benchmark."""

import argparse
import contextlib
import datetime
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import bars, determinism, end_to_end, report, rows, scaling, tables
from benchmarks.contest import Worker, say

PARTS = {
    "ppo": rows.ppo,
    "trpo": rows.trpo,
    "limit": rows.limit,
    "curves": scaling.curves,
    "memory": scaling.memory,
    "objectives": scaling.objectives,
    "end_to_end": end_to_end.end_to_end,
    "determinism": determinism.determinism,
}
LANES = {  # platform -> task -> lanes
    "cpu": {"cartpole": [1, 16, 64], "breakout": [1, 16, 64]},
    "gpu": {"cartpole": [1, 64, 1024, 4096, 16384], "breakout": [1, 64, 256, 1024]},
}
CURVE = {"cpu": [1, 4, 16, 64, 256, 1024], "gpu": [1, 16, 256, 4096, 65536]}
QUICK = 16  # so many times less work, for a look or a test
REGRESSED = 1


class Options(argparse.Namespace):
    """What was asked for, with what follows from the device."""

    def scaled(self, steps: int) -> int:
        """Environment steps, fewer where a quick look is enough."""
        return steps // QUICK if self.quick else steps


def main(arguments: list[str] | None = None) -> int:
    """Measures, shows, writes, compares; returns the exit status."""
    options = parse(arguments)
    parts = report.read(options.out)
    if options.only:
        parts = measure(options, parts)
        tables.show("What must be reached", report.verdicts(parts))
    if options.markdown:
        options.markdown.write_text(report.document(parts), "utf-8")
        say(f"written: {options.markdown}")
    if options.compare:
        return compare(report.read(options.compare), parts)
    return 0


def parse(arguments: list[str] | None) -> Options:
    """The command line; without `--only`, everything, unless it asks for what is already there."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, help="parts to measure")
    parser.add_argument("--tasks", nargs="+", choices=LANES["cpu"], default=list(LANES["cpu"]))
    parser.add_argument("--lanes", nargs="+", type=int, help="instead of those of the device")
    parser.add_argument("--repetitions", type=int, help="turns of each contender; 5, or 2 if quick")
    parser.add_argument("--quick", action="store_true", help=f"1/{QUICK} of the steps, two turns")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="the JSON file")
    parser.add_argument(
        "--markdown",
        type=Path,
        nargs="?",
        const=Path("BENCHMARKS.md"),
        help="write the document from the JSON file; measures nothing unless --only is given",
    )
    parser.add_argument(
        "--compare",
        type=Path,
        help="an older JSON file; status 1 if a ratio has become worse, measuring as --markdown",
    )
    options = parser.parse_args(arguments, Options())
    if options.only is None and not options.markdown and not options.compare:
        options.only = [name for name in PARTS if name != "determinism"]
    for path in (options.compare, None if options.only else options.out):
        if path and not path.exists():
            parser.error(f"{path}: there is no such file; measure first, or name it by --out")
    if options.lanes and min(options.lanes) < 1:
        parser.error(f"--lanes {min(options.lanes)}: use at least 1")
    options.turns = options.repetitions or (2 if options.quick else 5)
    return options


def measure(options: Options, parts: dict[str, Any]) -> dict[str, Any]:
    """The parts that were asked for, beside those that are there; written after each of them."""
    for name in options.only:
        about = surroundings()
        fit(options, about["platform"])
        start = time.perf_counter()
        found, figures = PARTS[name](options)
        parts[name] = {
            "command": f"./scripts/bench {shlex.join(sys.argv[1:])}".strip(),
            "about": about,
            "seconds": time.perf_counter() - start,
            "tables": found,
            "figures": figures,
        }
        for title, table in found.items():
            tables.show(title, table)
        report.write(options.out, parts)
    return report.read(options.out)


def fit(options: Options, platform: str) -> None:
    """Lanes and lengths for the device."""
    options.accelerated = platform != "cpu"
    known = "gpu" if options.accelerated else "cpu"
    given = {task: options.lanes or LANES[known][task] for task in options.tasks}
    options.curve = options.lanes or CURVE[known]
    options.trpo_lanes = options.lanes or [1, 16]
    options.limit_lanes = options.lanes or ([1, 1024] if options.accelerated else [1, 16])
    options.lanes_of = given


def surroundings() -> dict[str, Any]:
    """When, of what commit, on what."""
    with contextlib.closing(Worker()) as worker:
        about = worker.ask({"about": None})
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    found = subprocess.run(git, capture_output=True, text=True)
    now = datetime.datetime.now(datetime.UTC)
    return {
        **about,
        "platform": about["platform"] if about["platform"] == "cpu" else "gpu",
        "date": now.strftime("%Y-%m-%d %H:%M UTC"),
        "commit": found.stdout.strip() or "unknown",
    }


def compare(old: dict[str, Any], new: dict[str, Any]) -> int:
    """Shows the ratios that have become worse; the exit status."""
    worse = list(bars.regressions(report.figures(old), report.figures(new)))
    if not worse:
        say("no ratio has become worse")
        return 0
    tables.show("Ratios that have become worse", worse)
    return REGRESSED


if __name__ == "__main__":
    sys.exit(main())
