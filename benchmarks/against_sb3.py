"""How fast does this project train TRPO, beside sb3-contrib, on the same work in the same run?

The work is TRPO on CartPole-v1: 2 environments x 512 steps, 10 iterations of conjugate gradients,
damping 1e-3, a search over at most 10 lengths, 20 passes of the critic over 2 minibatches, policy
and value networks of two 64-wide tanh layers, as `configs/reference/cartpole_trpo.yaml` has it.
One learner of sb3-contrib (torch on the CPU) is timed beside one lane of this project, `jit` on one
device, and beside many lanes, spread over a virtual device per core as a sweep does it. Runs take
turns, so that a change in the machine's load meets all of them. Compiling is timed apart; the peer
compiles nothing, and its environments and networks are built before the clock starts.

The work is not the same to the last detail:

- sb3-contrib steps its environments one after the other in Python. Here they are part of the
  program.
- It starts its conjugate gradients from noise, and tests KL(new || old).
- Here every update also measures the policy on its whole batch, and bootstraps time limits from the
  value of the true successor in one more pass.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sb3_contrib import TRPO
from stable_baselines3.common.env_util import make_vec_env

import rl_surrogates as rls
from rl_surrogates.sweep import use_every_core
from rl_surrogates.sweep.lanes import LANES, compiler_options, over_lanes

NUM_ENVS, NUM_STEPS = 2, 512
PACKAGES = ("sb3-contrib", "stable-baselines3", "gymnasium", "torch", "jax", "jaxlib")


class Side(NamedTuple):
    """One contestant, ready to run, and what was measured of it."""

    run: Callable[[], None]
    learners: int
    compile_s: float
    run_s: list[float]  # one per repetition


def ours(steps: int, lanes: int) -> Side:
    """This project's training, compiled for so many lanes."""
    config = rls.Config(
        num_envs=NUM_ENVS,
        num_steps=NUM_STEPS,
        total_timesteps=steps,
        objective={"name": "importance_sampled"},
        ascent={
            "name": "trust_region",
            "damping": 1e-3,
            "cg_iterations": 10,
            "critic_epochs": 20,
            "critic_minibatches": 2,
        },
        advantage={"gae_lambda": 0.98, "standardise": "batch"},
        value_loss={"name": "squared_error"},
        ent_coef=0.0,
    )
    program, hypers = rls.make_program(config), config.hypers()

    def train(seed: jax.Array) -> Any:
        # The metrics are results too: otherwise the compiler would drop what computes them.
        state, metrics = program.train(jax.random.key(seed), hypers)
        return state.learner.params, metrics

    seeds = np.arange(lanes, dtype=np.uint32)
    if lanes == 1:
        jitted, seeds = jax.jit(train, compiler_options=compiler_options()), seeds[0]
    else:
        jitted = over_lanes(train, (LANES,))
    start = time.perf_counter()
    compiled = jitted.lower(seeds).compile()
    seconds = time.perf_counter() - start
    placed = jax.device_put(seeds, compiled.input_shardings[0][0])
    return Side(lambda: jax.block_until_ready(compiled(placed)), lanes, seconds, [])


def peer(steps: int) -> Side:
    """One learner of sb3-contrib; every run goes on where the last one stopped."""
    learner = TRPO(
        "MlpPolicy",
        make_vec_env("CartPole-v1", n_envs=NUM_ENVS, seed=0),
        n_steps=NUM_STEPS,
        batch_size=NUM_ENVS * NUM_STEPS // 2,
        cg_max_steps=10,
        cg_damping=1e-3,
        gae_lambda=0.98,
        n_critic_updates=20,
        learning_rate=1e-3,
        device="cpu",
        seed=0,
    )
    return Side(lambda: learner.learn(steps, reset_num_timesteps=False), 1, 0.0, [])


def measure(sides: dict[str, Side], steps: int, repetitions: int) -> dict[str, Any]:
    """Lets the sides take turns; figures by side, and their ratios to the peer, run by run."""
    for side in sides.values():
        side.run()  # warm-up
    for _ in range(repetitions):
        for side in sides.values():
            start = time.perf_counter()
            side.run()
            side.run_s.append(time.perf_counter() - start)
    speeds = {name: [s.learners * steps / t for t in s.run_s] for name, s in sides.items()}
    figures = {}
    for name, side in sides.items():
        ratios = sorted(a / b for a, b in zip(speeds[name], speeds["sb3-contrib"], strict=True))
        figures[name] = {
            "compile_s": side.compile_s,
            "run_s": side.run_s,
            "run_s_median": statistics.median(side.run_s),
            "steps_per_s": statistics.median(speeds[name]),
            "ratio": {"median": statistics.median(ratios), "low": ratios[0], "high": ratios[-1]},
        }
    return figures


def show(figures: dict[str, Any]) -> None:
    """Prints the table."""
    table = Table("", box=None)
    for name in ("compile s", "run s", "steps/s", "speed ratio (lowest, highest)"):
        table.add_column(name, justify="right")
    for name, f in figures.items():
        ratio = "{median:.1f} ({low:.1f}, {high:.1f})".format(**f["ratio"])
        row = (f"{f['compile_s']:.1f}", f"{f['run_s_median']:.2f}", f"{f['steps_per_s']:,.0f}")
        table.add_row(name, *row, ratio)
    Console(width=100).print(table)


def main() -> None:
    """Measures one learner of the peer and every number of lanes; prints, and writes the JSON."""
    parser = argparse.ArgumentParser(description="Training speed of TRPO beside sb3-contrib.")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 16], help="one row each")
    parser.add_argument("--steps", type=int, default=20_480, help="environment steps per learner")
    parser.add_argument("--repetitions", type=int, default=5, help="timed runs of each side")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch")
    parser.add_argument("--out", type=Path, default=Path("bench_trpo.json"), help="the JSON file")
    given = parser.parse_args()
    if given.steps % (NUM_ENVS * NUM_STEPS):
        parser.error(f"--steps {given.steps}: use a multiple of {NUM_ENVS * NUM_STEPS}")
    load = os.getloadavg()  # before this benchmark adds to it
    torch.set_num_threads(given.threads)
    devices = use_every_core()
    sides = {"sb3-contrib": peer(given.steps)}
    sides |= {f"ours, lanes {n}": ours(given.steps, n) for n in given.lanes}
    figures = measure(sides, given.steps, given.repetitions)
    show(figures)
    versions = {"python": platform.python_version(), "rl-surrogates": rls.__version__}
    report = {
        "versions": versions | {package: version(package) for package in PACKAGES},
        "device": f"{devices} x {jax.devices()[0].device_kind}",
        "cores": os.cpu_count(),
        "torch_threads": given.threads,
        "load_average": load,
        "steps": given.steps,
        "repetitions": given.repetitions,
        "results": figures,
    }
    given.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
