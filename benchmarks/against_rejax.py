"""How fast does this project train, beside rejax 0.1.3, on the same work in the same process?

The work is PPO-clip on CartPole-v1: 4 environments x 128 steps, 4 epochs x 4 minibatches, policy
and value networks of two 64-wide tanh layers. Each side is one `jit(vmap(train))` over keys on one
device (the sweep engine, which spreads lanes over all cores, is not timed here). Runs take turns,
so that a change in the machine's load meets both. Compiling is timed apart. rejax loops over its
own `train_iteration`; its evaluations are left out, as this project's training has none.

The work is not the same to the last detail:

- rejax clips every element of the gradient, this project its global norm (`max_grad_norm`).
- rejax has two optimisers and a constant learning rate; here one Adam, annealed linearly.
- rejax takes a time limit for a death. Here the value of the true successor is bootstrapped, which
  costs one more pass of the value network per rollout.
- Here every update also computes some fifteen metrics; rejax computes none.
- rejax was written for the five-value step of older gymnax; `FiveValueCartPole` gives it that.

`MB` is what a compiled program holds: arguments, results (here with all metrics), temporaries.
`return`, not timed, checks that both sides learn: episodes with sampled actions.
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
import rejax
from gymnax.environments.classic_control.cartpole import CartPole
from rich.console import Console
from rich.table import Table

import rl_surrogates as rls
from rl_surrogates import evaluation

NUM_ENVS, NUM_STEPS, EPISODES = 4, 128, 16
PACKAGES = ("rejax", "jax", "jaxlib", "flax", "optax", "gymnax", "distrax", "tfp-nightly")


class Side(NamedTuple):
    """One of the two contestants."""

    train: Callable  # key -> state; a whole training
    score: Callable  # (key, state) -> returns of EPISODES episodes


class Program(NamedTuple):
    """One side, compiled for a number of lanes, and what was measured of it."""

    run: Callable  # keys [L] -> states [L]
    compile_s: float
    memory_mb: float
    run_s: list[float]  # one per repetition


class FiveValueCartPole(CartPole):
    """CartPole with the step of gymnax 0.x: one `done`, no truncation."""

    def step(self, key: jax.Array, state: Any, action: jax.Array, params: Any) -> tuple:
        """Acts once: observation, state, reward, done, info."""
        *known, terminated, truncated, info = super().step(key, state, action, params)
        return *known, terminated | truncated, info


def ours(steps: int) -> Side:
    """This project's training."""
    config = rls.Config(
        env={"name": "CartPole-v1"},
        network={"torso": "mlp", "hidden": [64, 64], "activation": "tanh"},
        num_envs=NUM_ENVS,
        num_steps=NUM_STEPS,
        total_timesteps=steps,
        objective={"name": "ppo_clip", "epsilon": 0.2},
        ascent={"name": "minibatch", "num_epochs": 4, "num_minibatches": 4},
    )
    program, hypers = rls.make_program(config), config.hypers()

    def score(key: jax.Array, out: Any) -> jax.Array:
        where = (program.env, program.env_params(hypers), program.network)
        episodes = evaluation.evaluate(key, *where, out[0].learner.params, episodes=EPISODES)
        return episodes["sampled"].episode_return

    # The metrics are outputs as well: without them the compiler would drop what computes them.
    return Side(lambda key: program.train(key, hypers), score)


def peer(steps: int) -> Side:
    """The training of rejax: its own loop, with the same hyper-parameters where it has them."""
    env = FiveValueCartPole()
    params = env.default_params
    algorithm = rejax.PPO.create(
        env=env,
        agent_kwargs={"activation": "tanh", "hidden_layer_sizes": (64, 64)},
        num_envs=NUM_ENVS,
        num_steps=NUM_STEPS,
        num_epochs=4,
        num_minibatches=4,
        total_timesteps=steps,
        learning_rate=2.5e-4,
        max_grad_norm=0.5,
    )
    updates = steps // (NUM_ENVS * NUM_STEPS)

    def train(key: jax.Array) -> Any:
        start = algorithm.init_state(key)
        return jax.lax.fori_loop(0, updates, lambda _, s: algorithm.train_iteration(s), start)

    def score(key: jax.Array, state: Any) -> jax.Array:
        act, limit = algorithm.make_act(state), params.max_steps_in_episode
        return rejax.evaluate.evaluate(act, key, env, params, EPISODES, limit)[1]

    return Side(train, score)


def prepare(side: Side, keys: jax.Array) -> Program:
    """Compiles a side for as many lanes as there are keys."""
    start = time.perf_counter()
    compiled = jax.jit(jax.vmap(side.train)).lower(keys).compile()
    seconds = time.perf_counter() - start
    size = compiled.memory_analysis()
    held = size.temp_size_in_bytes + size.argument_size_in_bytes + size.output_size_in_bytes
    return Program(compiled, seconds, held / 1e6, [])


def measure(sides: dict[str, Side], lanes: int, steps: int, repetitions: int) -> dict[str, Any]:
    """Lets the sides take turns; figures by side, and the ratio of the first to the second."""
    keys = jax.random.split(jax.random.key(0), lanes)
    programs = {name: prepare(side, keys) for name, side in sides.items()}
    last = {name: jax.block_until_ready(p.run(keys)) for name, p in programs.items()}  # warm-up
    for _ in range(repetitions):
        for program in programs.values():
            start = time.perf_counter()
            jax.block_until_ready(program.run(keys))
            program.run_s.append(time.perf_counter() - start)
    done = lanes * (steps - steps % (NUM_ENVS * NUM_STEPS))  # both train in whole rollouts
    figures = {
        name: {
            "compile_s": p.compile_s,
            "run_s": p.run_s,
            "run_s_median": statistics.median(p.run_s),
            "steps_per_s": done / statistics.median(p.run_s),
            "memory_mb": p.memory_mb,
            "return": float(jax.jit(jax.vmap(sides[name].score))(keys, last[name]).mean()),
        }
        for name, p in programs.items()
    }
    first, second = (p.run_s for p in programs.values())
    pairs = sorted(b / a for a, b in zip(first, second, strict=True))
    ratio = {"median": statistics.median(pairs), "low": pairs[0], "high": pairs[-1]}
    return {"lanes": lanes, "sides": figures, "ratio": ratio}


def show(results: list[dict[str, Any]]) -> None:
    """Prints the table."""
    table = Table("lanes", "", box=None)
    for name in ("compile s", "run s", "steps/s", "MB", "return", "speed ratio (lowest, highest)"):
        table.add_column(name, justify="right")
    for result in results:
        ratio = "{median:.2f} ({low:.2f}, {high:.2f})".format(**result["ratio"])
        for name, f in result["sides"].items():
            row = (str(result["lanes"]), name, f"{f['compile_s']:.1f}", f"{f['run_s_median']:.2f}")
            row += (f"{f['steps_per_s']:,.0f}", f"{f['memory_mb']:.1f}", f"{f['return']:.0f}")
            table.add_row(*row, ratio if name == "ours" else "")
    Console(width=100).print(table)


def surroundings() -> dict[str, Any]:
    """Versions, device, and how busy the machine was when the benchmark began."""
    versions = {"python": platform.python_version(), "rl-surrogates": rls.__version__}
    return {
        "versions": versions | {package: version(package) for package in PACKAGES},
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),  # before this benchmark adds to it
    }


def main() -> None:
    """Measures every number of lanes, prints the table and writes the JSON."""
    parser = argparse.ArgumentParser(description="Training speed beside rejax 0.1.3.")
    parser.add_argument("--lanes", type=int, nargs="+", default=[16, 1], help="one table row each")
    parser.add_argument("--steps", type=int, default=500_000, help="environment steps per lane")
    parser.add_argument("--repetitions", type=int, default=5, help="timed runs of each side")
    parser.add_argument("--out", type=Path, default=Path("bench.json"), help="the JSON file")
    given = parser.parse_args()
    report = surroundings() | {"steps": given.steps, "repetitions": given.repetitions}
    sides = {"ours": ours(given.steps), "rejax": peer(given.steps)}
    report["results"] = [measure(sides, n, given.steps, given.repetitions) for n in given.lanes]
    show(report["results"])
    given.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
