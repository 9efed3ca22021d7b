"""How far has training come: episodes, the value function's fit, steps, and is all of it finite?"""

import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from rl_surrogates.types import Array, Info, Transition


def explained_variance(value: Array, target: Array) -> Array:
    """`1 - Var(target - value) / Var(target)`: 1 is a perfect fit, 0 that of a constant; NaN where
    the target is constant.

    Args:
      value: `[...]` prediction, units of return.
      target: `[...]` what it was to predict.
    """
    variance = jnp.var(target)
    explained = 1.0 - jnp.var(target - value) / jnp.where(variance > 0.0, variance, 1.0)
    return jnp.where(variance > 0.0, explained, jnp.nan)


def episodes(transitions: Transition) -> Info:
    """Mean raw return and length of the episodes that ended here, and how many; NaN if none did."""
    ended = transitions.terminated | transitions.truncated
    count = jnp.sum(ended)

    def mean(quantity: Array) -> Array:
        return jnp.sum(jnp.where(ended, quantity, 0.0)) / count  # 0 / 0 is NaN: none ended

    return {
        "episode_return": mean(transitions.episode_return),
        "episode_length": mean(transitions.episode_length),
        "episodes": count,
    }


def env_steps(update: Array, steps_per_update: int, num_updates: int) -> Array:
    """Environment steps after `update` updates: int32, or a float32 rounding of them where a
    training is too long for it.

    The store computes the exact number on the host.
    """
    dtype = jnp.int32 if steps_per_update * num_updates < 2**31 else jnp.float32
    return update.astype(dtype) * steps_per_update


def all_finite(tree) -> Array:
    """`[]` bool: no NaN and no infinity in any leaf."""
    return jnp.all(jnp.isfinite(ravel_pytree(tree)[0]))
