"""How do speed, memory and compile time grow?

Points of a curve are measured one after the other, in one process per curve, and are not compared
with a peer. Memory is that of the compiled program, from XLA's own account of it.
"""

from typing import Any

from benchmarks.contest import Entrant, Figure, once, series
from benchmarks.rows import per_lane
from benchmarks.work import Spec

LENGTHS = (100_000, 1_000_000, 10_000_000)  # total_timesteps
OBJECTIVES = (1, 4, 16)
MEMORY_LANES = {"cartpole": (16, 128), "breakout": (2, 128)}  # few; what a sweep takes by itself


def curves(options: Any) -> tuple[dict[str, list], dict[str, Figure]]:
    """Speed and memory against lanes and environments."""
    lanes = [Spec("ours", "cartpole", n, per_lane(options, "cartpole", n)) for n in options.curve]
    envs = [
        Spec("ours", "cartpole", 1, max(128 * n, options.scaled(65_536)), {"num_envs": n})
        for n in options.curve
        if n >= 4  # that many minibatches
    ]
    swept = [Spec("sweep", *spec[1:]) for spec in lanes]
    tables = {
        "Speed and memory against lanes (CartPole-v1)": lanes,
        "Speed and memory of the sweep engine against lanes (CartPole-v1)": swept,
        "Speed and memory against num_envs (CartPole-v1, one lane)": envs,
    }
    return {title: [_point(e) for e in series(specs, 1)] for title, specs in tables.items()}, {}


def memory(options: Any, task: str) -> tuple[dict[str, list], dict[str, Figure]]:
    """Memory against the length of a training, and against what training cannot do without."""
    few, many = MEMORY_LANES[task]
    specs = [Spec("memory", task, few, steps) for steps in LENGTHS]
    found = series([*specs, Spec("memory", task, many, LENGTHS[0])], 0)
    rows = [
        {
            "task": task,
            "lanes": entrant.spec.lanes,
            "total_timesteps": entrant.spec.steps,
            "program MB": entrant.known["program_bytes"] / 1e6,
            "needed MB": entrant.known["needed_bytes"] / 1e6,
            "ratio": entrant.known["program_bytes"] / entrant.known["needed_bytes"],
        }
        for entrant in found
    ]
    *few_rows, wide = [row["ratio"] for row in rows]
    figures = {
        f"{task}: memory of 100 x the steps": once(few_rows[-1] / few_rows[0]),
        f"{task}, lanes {few}: memory / needed": once(few_rows[0]),
        f"{task}, lanes {many}: memory / needed": once(wide),
    }
    return {f"Memory of a sweep's program, beside what it needs ({task})": rows}, figures


def objectives(options: Any) -> tuple[dict[str, list], dict[str, Figure]]:
    """Compile time against the number of objectives in one program."""
    found = series([Spec("objectives", "cartpole", n, 2048) for n in OBJECTIVES], 0)
    first = found[0].known["compile_s"]
    rows = [
        {
            "objectives": entrant.spec.lanes,
            "compile s": entrant.known["compile_s"],
            "/ one objective": entrant.known["compile_s"] / first,
        }
        for entrant in found
    ]
    figures = {
        f"compile time of {OBJECTIVES[-1]} objectives / 1": once(rows[-1]["/ one objective"])
    }
    return {"Compile time against objectives in one program": rows}, figures


def _point(entrant: Entrant) -> dict[str, Any]:
    row = entrant.row()
    del row["peak MB"], row["operations/update"]  # of the whole curve; the same at every point
    return row | {"num_envs": entrant.spec.sizes().num_envs}
