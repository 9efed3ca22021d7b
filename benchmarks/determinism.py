"""Do three runs agree to the bit, with XLA's flag for deterministic operations and without it?

Each run is a process of its own, so that nothing that one compilation chose is shared by the next.
"""

import contextlib
from functools import partial
from typing import Any

from benchmarks.contest import Entrant, Figure, Worker, once, say, together
from benchmarks.rows import per_lane
from benchmarks.work import Spec

FLAG, RUNS = "--xla_gpu_deterministic_ops=true", 3


def determinism(options: Any, task: str) -> tuple[dict[str, list], dict[str, Figure]]:
    """How many different results three processes give."""
    rows, figures, lanes = [], {}, options.limit_lanes[-1]
    steps = per_lane(options, task, lanes)
    for flags in (FLAG, ""):
        specs = [Spec("ours", task, lanes, steps)] * RUNS
        found = together(partial(known, flags=flags), specs)
        different = len({one["digest"] for one in found})
        returns = [one["episode_return"] for one in found]
        rows.append({"task": task, "lanes": lanes, "flag": flags or "none"})
        rows[-1] |= {"runs": RUNS, "different results": different}
        rows[-1] |= {"mean return": returns[0], "spread of it": max(returns) - min(returns)}
        if flags:
            figures[f"{task}: results that differ, flag set"] = once(different - 1, "results")
    return {f"Equal to the bit in three processes ({task})": rows}, figures


def known(spec: Spec, flags: str) -> dict[str, Any]:
    """What is known of a training that a process with these flags has run."""
    say(f"{spec.work}, {spec.lanes} lanes, {flags or 'no flag'}")
    with contextlib.closing(Worker(XLA_FLAGS=flags)) as worker:
        return Entrant(worker, spec).known
