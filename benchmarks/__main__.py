"""The command line of the benchmark."""

import argparse
import contextlib
import datetime
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import bars, determinism, end_to_end, report, rows, scaling, tables
from benchmarks.contest import Worker, say

PARTS = {
    "ppo_cartpole": partial(rows.ppo, task="cartpole"),
    "ppo_breakout": partial(rows.ppo, task="breakout"),
    "compile": rows.compiling,
    "trpo": rows.trpo,
    "limit_cartpole": partial(rows.limit, task="cartpole"),
    "limit_breakout": partial(rows.limit, task="breakout"),
    "curves": scaling.curves,
    "memory_cartpole": partial(scaling.memory, task="cartpole"),
    "memory_breakout": partial(scaling.memory, task="breakout"),
    "objectives": scaling.objectives,
    "end_to_end": end_to_end.end_to_end,
    "determinism_cartpole": partial(determinism.determinism, task="cartpole"),
    "determinism_breakout": partial(determinism.determinism, task="breakout"),
}
OPTIONAL = "determinism"  # measured where it is asked for
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
    parser.add_argument(
        "--only", nargs="+", metavar="PART", help=f"parts, or how they begin: {', '.join(PARTS)}"
    )
    parser.add_argument("--lanes", nargs="+", type=int, help="instead of those of the device")
    parser.add_argument("--repetitions", type=int, help="turns of each contender; 3, or 2 if quick")
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
        options.only = [name for name in PARTS if OPTIONAL not in name]
    for begin in options.only or []:
        if not chosen(begin):
            parser.error(f"--only {begin}: no part begins so; the parts are {', '.join(PARTS)}")
    for path in (options.compare, None if options.only else options.out):
        if path and not path.exists():
            parser.error(f"{path}: there is no such file; measure first, or name it by --out")
    if options.lanes and min(options.lanes) < 1:
        parser.error(f"--lanes {min(options.lanes)}: use at least 1")
    options.turns = options.repetitions or (2 if options.quick else 3)
    return options


def chosen(begin: str) -> list[str]:
    """The parts whose names begin so."""
    return [name for name in PARTS if name.startswith(begin)]


def measure(options: Options, parts: dict[str, Any]) -> dict[str, Any]:
    """The parts that were asked for, beside those that are there; written after each of them."""
    for name in dict.fromkeys(part for begin in options.only for part in chosen(begin)):
        about = surroundings()
        fit(options, about)
        start = time.perf_counter()
        found, figures = PARTS[name](options)
        parts[name] = {
            "command": command(name, options),
            "about": about,
            "seconds": time.perf_counter() - start,
            "tables": found,
            "figures": figures,
        }
        for title, table in found.items():
            tables.show(title, table)
        report.write(options.out, parts)
    return report.read(options.out)


def command(name: str, options: Options) -> str:
    """What measures this part again, as it was measured."""
    words = ["./scripts/bench", "--only", name]
    words += ["--lanes", *map(str, options.lanes)] if options.lanes else []
    words += ["--repetitions", str(options.repetitions)] if options.repetitions else []
    return " ".join([*words, "--quick"] if options.quick else words)


def fit(options: Options, about: dict[str, Any]) -> None:
    """Lanes, lengths and contenders for the device."""
    options.accelerated = about["platform"] != "cpu"
    options.one_device = options.accelerated and about["devices"] == 1
    known = "gpu" if options.accelerated else "cpu"
    options.lanes_of = {task: options.lanes or LANES[known][task] for task in LANES[known]}
    options.curve = options.lanes or CURVE[known]
    options.trpo_lanes = options.lanes or [1, 16]
    options.limit_lanes = options.lanes or ([1, 1024] if options.accelerated else [1, 16])


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
