"""What do the diagnostics of an update cost, beside a training that measures none of them?

PPO-clip on CartPole-v1: 4 environments x 128 steps, 4 epochs x 4 minibatches, networks of two
64-wide tanh layers, `jit(vmap(train))`. A level and none of it (patched out: no config can
ask for that) take turns, so that a change in the machine's load meets both; a ratio is that of one
pair. Processor time is the figure to trust on a machine that others use too.

    basic         the default
    full          diagnostics: {level: full}
    minibatch     diagnostics: {per: minibatch}
    all           {level: full, per: minibatch} and every objective of the catalogue as a shadow

    python benchmarks/price_of_diagnostics.py --lanes 16 --pairs 15
"""

import argparse
import statistics
import time
from collections.abc import Callable

import jax

import rl_surrogates as rls
from rl_surrogates import inspection, objectives

LEVELS = {
    "none": {},
    "basic": {},
    "full": {"level": "full"},
    "minibatch": {"per": "minibatch"},
    "all": {"level": "full", "per": "minibatch", "shadow": list(objectives.OBJECTIVES)},
}


def compiled(level: str, keys: jax.Array, steps: int) -> Callable:
    """A whole training with these diagnostics, compiled for as many lanes as there are keys."""
    config = rls.Config(total_timesteps=steps, diagnostics=LEVELS[level])
    of_update = inspection.of_update
    if level == "none":
        inspection.of_update = lambda *_: {}
    try:
        train = jax.jit(jax.vmap(rls.make_train(config), in_axes=(0, None)))
        return train.lower(keys, config.hypers()).compile()
    finally:
        inspection.of_update = of_update


def seconds(run: Callable, *arguments: object) -> tuple[float, float]:
    """Processor time of all threads, and wall time."""
    cpu, wall = time.process_time(), time.perf_counter()
    jax.block_until_ready(run(*arguments))
    return time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Measures, and prints a line per level."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lanes", type=int, default=16)
    parser.add_argument("--steps", type=int, default=50_000, help="environment steps per lane")
    parser.add_argument("--pairs", type=int, default=15, help="turns that are taken")
    parser.add_argument("--levels", nargs="+", default=list(LEVELS)[1:], choices=list(LEVELS)[1:])
    given = parser.parse_args()
    keys, hypers = jax.random.split(jax.random.key(0), given.lanes), rls.Config().hypers()
    none = compiled("none", keys, given.steps)
    jax.block_until_ready(none(keys, hypers))
    for level in given.levels:
        run = compiled(level, keys, given.steps)
        jax.block_until_ready(run(keys, hypers))
        pairs = [
            (seconds(none, keys, hypers), seconds(run, keys, hypers)) for _ in range(given.pairs)
        ]
        for i, clock in enumerate(("processor", "wall")):
            ratio = sorted(mine[i] / without[i] for without, mine in pairs)
            middle = statistics.median(ratio)
            print(
                f"{level:10} {clock:9} {middle:.3f} ({ratio[0]:.2f} to {ratio[-1]:.2f})", flush=True
            )


if __name__ == "__main__":
    main()
