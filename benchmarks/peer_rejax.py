"""rejax 0.1.3 as a contender: its own loop, with the same hyper-parameters where it has them.

The work is not the same to the last detail:

- rejax clips every element of the gradient, this project its global norm (`max_grad_norm`).
- rejax has two optimisers and a constant learning rate; here one Adam, annealed linearly.
- rejax takes a time limit for a death. Here the value of the true successor is bootstrapped, which
  costs a sort and a pass of the value network over a sixteenth of the rollout.
- Here every update also computes some thirty metrics; rejax computes none, and its evaluations are
  left out.
- rejax was written for the five-value step of older gymnax; `five_values` gives it that.
"""

from functools import partial
from typing import Any

import gymnax
import jax
import numpy as np
import rejax

from benchmarks.compiled import Ready, compile_, held_bytes, operations
from benchmarks.work import Spec

SETTINGS = ("learning_rate", "gae_lambda", "ent_coef")  # what rejax can trace


def five_values(env: Any) -> Any:
    """An environment with the step of gymnax 0.x: one `done`, no truncation, numbers to see."""
    kind = type(env)

    def reset(self: Any, key: jax.Array, params: Any) -> tuple:
        observation, state = kind.reset(self, key, params)
        return observation.astype(float), state

    def step(self: Any, key: jax.Array, state: Any, action: jax.Array, params: Any) -> tuple:
        observation, state, reward, terminated, truncated, info = kind.step(
            self, key, state, action, params
        )
        return observation.astype(float), state, reward, terminated | truncated, info

    env.__class__ = type(f"FiveValue{kind.__name__}", (kind,), {"reset": reset, "step": step})
    return env


def algorithm(spec: Spec) -> rejax.PPO:
    """The PPO of a spec."""
    sizes = spec.sizes()
    env, _ = gymnax.make(sizes.env)
    return rejax.PPO.create(
        env=five_values(env),
        agent_kwargs={"activation": sizes.activation, "hidden_layer_sizes": sizes.hidden},
        num_envs=sizes.num_envs,
        num_steps=sizes.num_steps,
        num_epochs=sizes.num_epochs,
        num_minibatches=sizes.num_minibatches,
        total_timesteps=spec.updates() * sizes.samples,
        learning_rate=sizes.learning_rate,
        max_grad_norm=0.5,
    )


def vmapped(spec: Spec) -> Ready:
    """`jit(vmap(train))` over keys."""
    train = partial(_train, algorithm(spec), spec.updates())
    keys = jax.random.split(jax.random.key(0), spec.lanes)
    return _ready(spec, jax.jit(jax.vmap(train)), keys)


def swept(spec: Spec) -> Ready:
    """`jit(vmap(train))` over lanes of their own learning rate, lambda, entropy bonus and key."""
    base = algorithm(spec)

    def train(key: jax.Array, values: dict[str, jax.Array]) -> Any:
        return _train(base.replace(**values), spec.updates(), key)

    keys = jax.random.split(jax.random.key(0), spec.lanes)
    values = {name: np.full(spec.lanes, getattr(base, name), np.float32) for name in SETTINGS}
    return _ready(spec, jax.jit(jax.vmap(train)), keys, values)


CONTENDERS = {"rejax": vmapped, "rejax_settings": swept}


def _train(algorithm: rejax.PPO, updates: int, key: jax.Array) -> Any:
    start = algorithm.init_state(key)
    return jax.lax.fori_loop(0, updates, lambda _, s: algorithm.train_iteration(s), start)


def _ready(spec: Spec, jitted: Any, *arguments: Any) -> Ready:
    program, seconds = compile_(jitted, *arguments)
    return Ready(
        lambda: jax.block_until_ready(program(*arguments)),
        spec.lanes * spec.updates() * spec.sizes().samples,
        seconds,
        held_bytes(program),
        {"operations": operations(program.as_text())},
    )
