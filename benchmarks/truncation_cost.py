"""What does it cost to tell a time limit from a death?

Training bootstraps at a time limit from the value of the true successor, which is kept for every
step, and valued where an episode was cut. The variant `Ignoring` does neither: it takes a time
limit for a death, and V(s_{t+1}) from the values of the next step in the batch, as most code of
this field does. Everything else is the same program.

Both are compiled for the same lanes and take turns in this process, so that a change in the
machine's load meets both. A ratio is that of one pair of neighbours; below 1.1 is the aim.
Processor time is the figure to trust on a machine that others use too.

    python benchmarks/truncation_cost.py [--repetitions 15] [--out bench_truncation.json]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from rich.console import Console
from rich.table import Table

import rl_surrogates as rls
from rl_surrogates import advantages, loop, rollout
from rl_surrogates.training import Program
from rl_surrogates.types import Acting, Array, Batch, State, Transition

BASE = Path(__file__).parents[1] / "configs/base/cartpole_ppo.yaml"


class Task(NamedTuple):
    """One row of the table."""

    overrides: tuple[str, ...]  # of BASE
    lanes: int
    updates: int  # of one timed run


BREAKOUT = (
    "env.name=Breakout-MinAtar",
    "network.activation=relu",
    "num_envs=64",
    "ascent.num_minibatches=8",
)
TASKS = {
    "CartPole 4 x 128, 1 lane": Task((), 1, 60),
    "CartPole 4 x 128, 16 lanes": Task((), 16, 10),
    "Breakout 64 x 128, 1 lane": Task(BREAKOUT, 1, 4),
}


class Ignoring(Program):
    """The training without true successors: feed-forward, nothing normalised."""

    def collect(self, key: Array, state: State, hypers: Any) -> tuple[Acting, Transition]:
        """As the page does, but keeps of the successors only the observations after the last."""
        env = self.env, self.env_params(hypers)
        network = self.acting_network(state.actor), state.learner.params

        def act(acting: Acting, chance: rollout.Chance) -> tuple[Acting, Transition]:
            acting, transition = rollout.step(chance, *env, *network, acting, rollout.sample)
            return acting, transition._replace(next_observation=())

        policy = rollout.policy_shape(*network, state.acting)
        chances = rollout.chances(key, *env, policy, (self.config.num_steps,))
        acting, transitions = jax.lax.scan(act, state.acting, chances)
        return acting, transitions._replace(next_observation=acting.observation)

    def judge(self, state: State, transitions: Transition, hypers: Any) -> Batch:
        """As the page does, with V(s_{t+1}) of the next step, and no life after a time limit."""
        params = state.learner.params
        value = loop.in_parts(
            partial(self.network.value, params), transitions.observation, transitions.reset.size
        )
        last = self.network.value(params, transitions.next_observation)
        advantage = advantages.gae(
            transitions.reward,
            value,
            jnp.concatenate([value[1:], last[None]]),
            transitions.terminated | transitions.truncated,
            jnp.zeros_like(transitions.truncated),
            gamma=hypers.advantage.gamma,
            lambda_=hypers.advantage.gae_lambda,
        )
        batch = Batch(
            observation=transitions.observation,
            reset=transitions.reset,
            carry=(),
            action=transitions.action,
            log_prob_old=transitions.log_prob,
            distribution_old=transitions.distribution,
            value_old=value,
            advantage=hypers.advantage.scale * advantage,
            value_target=advantage + value,
        )
        return rollout.as_samples(batch)


class Seconds(NamedTuple):
    """What one timed run took."""

    run: float
    processor: float  # of all threads


def prepare(program: Program, task: Task) -> Callable[[], Seconds]:
    """Compiles and warms up; each call then trains once."""
    hypers = program.config.hypers()
    keys = jax.random.split(jax.random.key(0), task.lanes)
    states = jax.jit(jax.vmap(lambda key: program.init(key, hypers)))(keys)
    # The metrics are outputs as well: without them the compiler would drop what computes them.
    train = jax.jit(jax.vmap(lambda state: program.advance(state, hypers, task.updates)))
    train = train.lower(states).compile()

    def run() -> Seconds:
        start = Seconds(time.perf_counter(), time.process_time())
        jax.block_until_ready(train(states))
        return Seconds(time.perf_counter() - start.run, time.process_time() - start.processor)

    run()
    return run


def measure(task: Task, repetitions: int) -> dict[str, Any]:
    """Seconds of both, by turns, and the ratios of the first to the second."""
    config = rls.load_config(BASE, overrides=task.overrides)
    program = rls.make_program(config)
    handling, ignoring = prepare(program, task), prepare(Ignoring(**vars(program)), task)
    pairs = [(handling(), ignoring()) for _ in range(repetitions)]
    return {
        kind: compared([(a[i], b[i]) for a, b in pairs]) for i, kind in enumerate(Seconds._fields)
    }


def compared(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """Medians of both, and median, lowest and highest of the ratios."""
    ratios = sorted(a / b for a, b in pairs)
    return {
        "handled_s": statistics.median(a for a, _ in pairs),
        "ignored_s": statistics.median(b for _, b in pairs),
        "ratio": {"median": statistics.median(ratios), "low": ratios[0], "high": ratios[-1]},
        "pairs_s": pairs,
    }


def main() -> None:
    """Measures every task, prints the table and writes the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=15, help="timed pairs of each task")
    parser.add_argument("--out", type=Path, default=Path("bench_truncation.json"))
    given = parser.parse_args()
    results = {name: measure(task, given.repetitions) for name, task in TASKS.items()}
    table = Table("", "time", box=None)
    for name in ("handled s", "ignored s", "ratio (lowest, highest)"):
        table.add_column(name, justify="right")
    for name, kinds in results.items():
        for kind, one in kinds.items():
            ratio = "{median:.3f} ({low:.2f}, {high:.2f})".format(**one["ratio"])
            seconds = f"{one['handled_s']:.3f}", f"{one['ignored_s']:.3f}"
            table.add_row(name if kind == Seconds._fields[0] else "", kind, *seconds, ratio)
    Console(width=100).print(table)
    device = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    report = {"jax": jax.__version__, "device": device, "results": results}
    given.out.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
