"""What the benchmark leaves: one JSON file, and BENCHMARKS.md, which is written from it alone.

A part that is measured again takes the place of what was there of it; every part says itself when,
with what command and under what load it was measured.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import bars, tables
from benchmarks.contest import Figure

BUSY = 0.5  # load per core, before it began, from which on a part says that others were at work


def read(path: Path) -> dict[str, Any]:
    """The parts that a file holds; none where it is not there."""
    return json.loads(path.read_text("utf-8"))["parts"] if path.exists() else {}


def write(path: Path, parts: Mapping[str, Any]) -> None:
    """All parts, as one JSON file."""
    path.write_text(json.dumps({"format": 1, "parts": parts}, indent=1) + "\n", "utf-8")


def figures(parts: Mapping[str, Any]) -> dict[str, Figure]:
    """The figures of all parts, by name."""
    return {k: tables.as_figure(v) for part in parts.values() for k, v in part["figures"].items()}


def verdicts(parts: Mapping[str, Any]) -> tables.Rows:
    """One row per bar of the platform that the parts were measured on."""
    platforms = {part["about"]["platform"] for part in parts.values()}
    found = figures(parts)
    return [row for name in sorted(platforms) for row in bars.judged(found, name)]


def document(parts: Mapping[str, Any]) -> str:
    """BENCHMARKS.md."""
    return "\n".join(_lines(parts)) + "\n"


def _lines(parts: Mapping[str, Any]) -> Iterable[str]:
    yield "# Benchmarks"
    yield ""
    yield "Written by `./scripts/bench --markdown` from the JSON that `./scripts/bench` leaves; the"
    yield "figures are not edited. Contenders take turns in one run: a ratio is the median over the"
    yield "turns, with the lowest and the highest in brackets. How the work of each peer differs is"
    yield "said in `benchmarks/peer_*.py`, what is counted as an operation in `benchmarks/work.py`."
    yield ""
    yield "## What must be reached"
    yield ""
    yield from tables.markdown(verdicts(parts))
    for name, part in parts.items():
        yield from ("", f"## {name}", "")
        yield from _surroundings(part)
        for title, rows in part["tables"].items():
            yield from ("", f"**{title}**", "")
            yield from tables.markdown(rows)
    yield from _versions(parts)


def _surroundings(part: Mapping[str, Any]) -> Iterable[str]:
    about = part["about"]
    load = about["load_average"][0]
    device = about["platform"]
    if device != "cpu":
        device = f"{about['devices']} x {about['device']}"
    busy = " **Others were at work on the machine: provisional.**"
    yield (
        f"{about['date']}, commit {about['commit']}, {device}, {about['cores']} cores, "
        f"`{part['command']}`, {part['seconds']:.0f} s; load before it began {load:.1f}."
        f"{busy if load > BUSY * about['cores'] else ''}"
    )


def _versions(parts: Mapping[str, Any]) -> Iterable[str]:
    seen = {json.dumps(part["about"]["versions"]) for part in parts.values()}
    yield from ("", "## Versions", "")
    for versions in sorted(seen):
        yield ", ".join(f"{k} {v}" for k, v in json.loads(versions).items() if v != "absent")
