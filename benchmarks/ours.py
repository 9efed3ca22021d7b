"""This project as a contender: training as one program, as a sweep does it, and its ascent alone.

ours          jit(vmap(make_train)) on one device, all metrics among the results
sweep         what a sweep's worker runs: lanes sharded over every core, chunks of updates, the
              metrics of one fetched while the next is computed
ascent        only the minibatches of every epoch, on one rollout, jit(vmap) on one device
ascent_sweep  the same, lanes sharded over every core
memory        the program of `sweep`, compiled and not run
objectives    `sweep` with as many objectives in its program as there are lanes
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

import rl_surrogates as rls
from benchmarks import work
from benchmarks.compiled import Ready, compile_, held_bytes, operations, tree_bytes
from benchmarks.work import Spec
from rl_surrogates.grouping import in_groups, lanes_at_once
from rl_surrogates.objectives import OBJECTIVES
from rl_surrogates.objectives.choice import choose, one_of
from rl_surrogates.sweep import use_every_core
from rl_surrogates.sweep.lanes import ROWS, advance_over_lanes
from rl_surrogates.sweep.spread import LANES, over_lanes

TRPO = {
    "objective": {"name": "importance_sampled"},
    "ascent": {
        "name": "trust_region",
        "damping": 1e-3,
        "cg_iterations": 10,
        "critic_epochs": 20,
        "critic_minibatches": 2,
    },
    "advantage": {"gae_lambda": 0.98, "standardise": "batch"},
    "value_loss": {"name": "squared_error"},
    "ent_coef": 0.0,
}


def config_of(spec: Spec) -> rls.Config:
    """The run of a spec, as a config."""
    sizes = spec.sizes()
    ascent = {
        "name": "minibatch",
        "num_epochs": sizes.num_epochs,
        "num_minibatches": sizes.num_minibatches,
        "learning_rate": sizes.learning_rate,
    }
    ppo = {"objective": {"name": "ppo_clip", "epsilon": 0.2}, "ascent": ascent}
    return rls.Config(
        env={"name": sizes.env},
        network={"torso": "mlp", "hidden": list(sizes.hidden), "activation": sizes.activation},
        num_envs=sizes.num_envs,
        num_steps=sizes.num_steps,
        total_timesteps=spec.updates() * sizes.samples,
        **(TRPO if spec.work == "trpo" else ppo),
    )


def vmapped(spec: Spec) -> Ready:
    """`jit(vmap(make_train))` over keys."""
    config = config_of(spec)
    train, hypers = rls.make_train(config), config.hypers()
    keys = jax.random.split(jax.random.key(0), spec.lanes)
    # The metrics are results as well: without them the compiler would drop what computes them.
    jitted = jax.jit(jax.vmap(lambda key: train(key, hypers)))
    program, seconds = compile_(jitted, keys)
    return Ready(
        lambda: jax.block_until_ready(program(keys)),
        spec.lanes * config.total_timesteps,
        seconds,
        held_bytes(program),
        {"operations": operations(program.as_text())},
    )


def swept(spec: Spec) -> Ready:
    """The two programs with which a sweep trains."""
    use_every_core()  # before anything starts jax with one device
    config = config_of(spec)
    return _swept(spec, rls.make_program(config), config.hypers())


def compiled_only(spec: Spec) -> Ready:
    """What `swept` compiles, which nobody runs: its memory is known without."""
    return swept(spec)._replace(run=lambda: None)


def many_objectives(spec: Spec) -> Ready:
    """The same with the first `lanes` objectives of the catalogue that any policy can train with.

    Dear ones and those that keep a proximal policy have programs to themselves.
    """
    use_every_core()
    cheap = {name: o for name, o in OBJECTIVES.items() if not o.dear}
    plain = {name: o for name, o in cheap.items() if "log_prob_prox" not in o.inputs}
    held = dict(list(plain.items())[: spec.lanes])
    config = config_of(spec)
    program = rls.make_program(config, one_of(held))
    chosen = choose(held, next(iter(held)), {})
    return _swept(spec, program, config.hypers()._replace(objective=chosen))


def ascents(spec: Spec) -> Ready:
    """The ascent alone, on one device."""
    return _ascents(spec, lambda fn: jax.jit(jax.vmap(fn)))


def ascents_swept(spec: Spec) -> Ready:
    """The ascent alone, lanes spread over every core."""
    use_every_core()
    at_once = lanes_at_once(spec.sizes().num_envs)
    return _ascents(spec, lambda fn: over_lanes(in_groups(fn, at_once), (LANES,)))


CONTENDERS = {
    "ours": vmapped,
    "sweep": swept,
    "memory": compiled_only,
    "ascent": ascents,
    "ascent_sweep": ascents_swept,
    "objectives": many_objectives,
}


def _swept(spec: Spec, program: Any, hypers: Any) -> Ready:
    devices, updates = jax.local_device_count(), program.config.num_updates
    width = -(-spec.lanes // devices) * devices  # padded, as a plan pads it
    hypers = jax.tree.map(lambda x: np.full(width, x, np.float32), hypers)
    seeds = np.arange(width, dtype=np.uint32)
    start = over_lanes(lambda seed, h: program.init(jax.random.key(seed), h), (LANES, LANES))
    init, init_s = compile_(start, seeds, hypers)
    seeds, hypers = jax.device_put((seeds, hypers), init.input_shardings[0])
    begun = init(seeds, hypers)
    advance, advance_s = compile_(advance_over_lanes(program), begun, hypers, np.int32(1))

    def run() -> Any:
        state, waiting = init(seeds, hypers), None
        for first in range(0, updates, ROWS):
            state, metrics = advance(state, hypers, np.int32(min(ROWS, updates - first)))
            jax.device_get(waiting)  # while the next chunk is computed
            waiting = metrics
        return jax.block_until_ready(state), jax.device_get(waiting)

    facts = {
        "operations": operations(advance.as_text()),
        "needed_bytes": width * _needed_bytes(program, program.config.hypers()),
        "advance_compile_s": advance_s,
    }
    steps, held = spec.lanes * program.config.total_timesteps, held_bytes(advance) * devices
    return Ready(run, steps, init_s + advance_s, held, facts)


def _needed_bytes(program: Any, hypers: Any) -> int:
    """Rollout, parameters, optimiser and environments of one lane."""
    key = jax.random.key(0)
    state = jax.eval_shape(program.init, key, hypers)
    transitions = jax.eval_shape(program.collect, key, state, hypers)[1]
    return tree_bytes(state) + tree_bytes(transitions)


def _ascents(spec: Spec, over: Callable) -> Ready:
    """As many ascents as the spec has updates, all on the rollout of an untrained policy."""
    config = config_of(spec)
    program, hypers = rls.make_program(config), config.hypers()
    count = config.num_updates

    def begin(key: jax.Array) -> Any:
        state = program.init(key, hypers)
        _, transitions = program.collect(key, state, hypers)
        return state, program.judge(state, transitions, hypers)

    def ascend(given: Any) -> Any:
        state, batch = given
        loss = partial(program.score, hypers=hypers, coefficients=state.coefficients)

        def once(index: jax.Array, learner: Any) -> Any:
            key = jax.random.fold_in(state.key, index)
            return program.ascent.ascend(key, loss, learner, batch, hypers.ascent)[0]

        # The count is hidden from the compiler, as the number of updates is in training.
        hidden = jax.lax.optimization_barrier(count)
        learner = jax.lax.fori_loop(0, hidden, once, state.learner)
        return (state._replace(learner=learner), batch), ()

    keys = jax.random.split(jax.random.key(0), spec.lanes)
    given = jax.jit(jax.vmap(begin))(keys)
    compiled, seconds = compile_(over(ascend), given)
    given = jax.device_put(given, compiled.input_shardings[0][0])
    flops = spec.lanes * count * work.ascent_flops(spec.sizes())
    facts = {"flops": flops, "operations": operations(compiled.as_text())}
    return Ready(
        lambda: jax.block_until_ready(compiled(given)),
        spec.lanes * config.total_timesteps,
        seconds,
        held_bytes(compiled),
        facts,
    )
