"""Do three runs agree to the bit, with XLA's flag for deterministic operations and without it?

Each run is a process of its own, so that nothing that one compilation chose is shared by the next.
"""

import contextlib
from typing import Any

from benchmarks.contest import Entrant, Figure, Worker, once, say
from benchmarks.rows import per_lane
from benchmarks.work import Spec

FLAG, RUNS = "--xla_gpu_deterministic_ops=true", 3


def determinism(options: Any, task: str) -> tuple[dict[str, list], dict[str, Figure]]:
    """How many different results three processes give."""
    rows, figures, lanes = [], {}, options.limit_lanes[-1]
    steps = per_lane(options, task, lanes)
    for flags in (FLAG, ""):
        known = [digests(task, lanes, steps, flags) for _ in range(RUNS)]
        different = len({one["digest"] for one in known})
        rows.append({"task": task, "lanes": lanes, "flag": flags or "none"})
        rows[-1] |= {"runs": RUNS, "different results": different}
        if flags:
            figures[f"{task}: results that differ, flag set"] = once(different - 1, "results")
    return {f"Equal to the bit in three processes ({task})": rows}, figures


def digests(task: str, lanes: int, steps: int, flags: str) -> dict[str, Any]:
    """What is known of a training in a process with these flags."""
    say(f"{task}, {lanes} lanes, {flags or 'no flag'}")
    with contextlib.closing(Worker(XLA_FLAGS=flags)) as worker:
        return Entrant(worker, Spec("ours", task, lanes, steps)).known
