"""PPO and TRPO beside the peers, and beside the machine's own limit."""

import statistics
from collections.abc import Iterable
from typing import Any

from benchmarks import work
from benchmarks.contest import Entrant, Figure, contest, ratio
from benchmarks.work import WORKS, Spec

# Environment steps of all lanes in one timed run: seconds for this project.
STEPS = {"cartpole": 300_000, "breakout": 262_144, "trpo": 100_000}
PEER_STEPS = {"cartpole": 8_192, "breakout": 16_384, "trpo": 8_192}  # of Stable-Baselines3
ACCELERATED = 20  # times as many on an accelerator, if there are lanes for it
# Updates of a lane at least, or what is timed is how a training begins; on a CPU, and elsewhere.
UPDATES, UPDATES_ACCELERATED = 4, 16
SIDES = ("ours", "sweep", "rejax")


def ppo(options: Any, task: str) -> tuple[dict[str, list], dict[str, Figure]]:
    """PPO-clip on one of the tasks."""
    rows, figures = [], {}
    for lanes in options.lanes_of[task]:
        found = contest(list(contenders(options, task, lanes)), options.turns)
        rows += [{**entrant.row(), **_beside(found, entrant)} for entrant in found.values()]
        figures |= _ratios(found, f"{task}, lanes {lanes}")
    return {f"PPO-clip on {WORKS[task].env}": rows}, figures


def compiling(options: Any) -> tuple[dict[str, list], dict[str, Figure]]:
    """The time to trace and compile a training on CartPole: every turn in a new process."""
    rows, figures = [], {}
    for lanes in options.limit_lanes:
        seconds: dict[str, list[float]] = {"ours": [], "rejax": []}
        for _ in range(options.turns):
            for side, taken in seconds.items():
                specs = [Spec(side, "cartpole", lanes, WORKS["cartpole"].samples)]
                taken.append(contest(specs, 0)[side].known["compile_s"])
        beside = ratio(seconds["ours"], seconds["rejax"])
        figures[f"cartpole, lanes {lanes}: compile time, ours / rejax"] = beside
        for side, taken in seconds.items():
            low, median, high = min(taken), statistics.median(taken), max(taken)
            rows.append(
                {"contender": side, "lanes": lanes, "compile s": Figure(median, low, high, "s")}
            )
    return {"Time to trace and compile a training (CartPole-v1)": rows}, figures


def trpo(options: Any) -> tuple[dict[str, list], dict[str, Figure]]:
    """TRPO beside sb3-contrib: one lane on one device, more of them as a sweep trains them."""
    specs = [Spec("sb3_contrib", "trpo", 1, options.scaled(PEER_STEPS["trpo"]))]
    for lanes in options.trpo_lanes:
        side = "ours" if lanes == 1 else "sweep"
        specs.append(Spec(side, "trpo", lanes, per_lane(options, "trpo", lanes)))
    found = contest(specs, options.turns)
    rows = [{**e.row(), **_beside(found, e, "sb3_contrib")} for e in found.values()]
    figures = {
        f"trpo, lanes {e.spec.lanes}: {name} / sb3_contrib": ratio(
            e.speeds, found["sb3_contrib"].speeds
        )
        for name, e in found.items()
        if name != "sb3_contrib"
    }
    return {"TRPO on CartPole-v1": rows}, figures


def limit(options: Any, task: str) -> tuple[dict[str, list], dict[str, Figure]]:
    """The rate of the matrix products, and the share of it that training reaches."""
    (square,) = contest([Spec("square", steps=4)], options.turns).values()
    rows, figures = [_rate("2048 x 2048", square, square)], {}
    for lanes in options.limit_lanes:
        sides = {"products": ("ascent", "ours"), "products_sweep": ("ascent_sweep", "sweep")}
        if not sweeps(options, lanes):
            del sides["products_sweep"]
        names = [name for most, below in sides.items() for name in (most, *below)]
        steps = per_lane(options, task, lanes)
        found = contest([Spec(name, task, lanes, steps) for name in names], options.turns)
        for most, below in sides.items():
            rows.append(_rate(f"{task}, lanes {lanes}", found[most], found[most]))
            for name in below:
                rows.append(_rate(f"{task}, lanes {lanes}", found[name], found[most]))
                share = ratio(_flops(found[name]), _flops(found[most]))
                figures[f"{task}, lanes {lanes}: {name} / {most}"] = share
    title = f"Floating-point operations of matrix products, {WORKS[task].env}"
    return {title: rows}, figures


def per_lane(options: Any, task: str, lanes: int) -> int:
    """Environment steps of one lane: whole updates, a few of them at least if not quick."""
    factor, least = 1, UPDATES
    if options.accelerated:
        factor, least = min(lanes, ACCELERATED), UPDATES_ACCELERATED
    samples = WORKS[task].samples
    updates = options.scaled(STEPS[task] * factor) // (lanes * samples)
    return max(1, options.scaled(least), updates) * samples


def sweeps(options: Any, lanes: int) -> bool:
    """Whether a sweep is measured beside `ours`: it is the same on one accelerator, and pads one
    lane to one per core.
    """
    return lanes > 1 and not options.one_device


def contenders(options: Any, task: str, lanes: int) -> Iterable[Spec]:
    """Who takes turns with so many lanes."""
    steps = per_lane(options, task, lanes)
    for side in SIDES:
        if side != "sweep" or sweeps(options, lanes):
            yield Spec(side, task, lanes, steps)
    if lanes == 1 and not options.accelerated:
        yield Spec("sb3", task, 1, options.scaled(PEER_STEPS[task]))


def _beside(found: dict[str, Entrant], entrant: Entrant, peer: str = "rejax") -> dict[str, Any]:
    speed = ratio(entrant.speeds, found[peer].speeds)
    return {f"/ {peer}": speed}


def _ratios(found: dict[str, Entrant], where: str) -> dict[str, Figure]:
    peers = [name for name in found if name in ("rejax", "sb3")]
    own = [name for name in found if name in ("ours", "sweep")]
    return {
        f"{where}: {name} / {peer}": ratio(found[name].speeds, found[peer].speeds)
        for name in own
        for peer in peers
    }


def _flops(entrant: Entrant) -> list[float]:
    """Of matrix products per second, by turn."""
    if "flops" in entrant.known:
        return entrant.flops
    per_step = work.update_flops(entrant.spec.sizes()) / entrant.spec.sizes().samples
    return [per_step * speed for speed in entrant.speeds]


def _rate(where: str, entrant: Entrant, most: Entrant) -> dict[str, Any]:
    return {
        "shapes": where,
        "contender": entrant.spec.contender,
        "GFLOP/s": statistics.median(_flops(entrant)) / 1e9,
        "share": ratio(_flops(entrant), _flops(most)),
    }
