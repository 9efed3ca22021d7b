"""What did an update do to the policy, and to what did the value function fit?

Everything here is computed on the device and reduced to one number per minibatch or per update, so
that memory does not grow with the length of training.
"""

import jax
import jax.numpy as jnp

from rl_surrogates import divergences
from rl_surrogates.types import Array, Info, Transition

CLIP_RANGE = 0.2  # one range for every objective, so that their clip fractions can be compared


def policy_shift(log_prob: Array, log_prob_old: Array) -> Info:
    """How far the policy has moved from the one that acted, on `[...]` samples.

    Returns:
      `approx_kl`: mean k3 estimate of KL(old || new), nats, >= 0. `clip_fraction`: share of samples
      with |r - 1| > 0.2. `ratio_error`: max |r - 1|; before the first step of an update it is 0 up
      to rounding, whatever the objective.
    """
    ratio_error = jnp.abs(jnp.expm1(log_prob - log_prob_old))
    return {
        "approx_kl": jnp.mean(divergences.k3(log_prob, log_prob_old)),
        "clip_fraction": jnp.mean(ratio_error > CLIP_RANGE),
        "ratio_error": jnp.max(ratio_error),
    }


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
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]).all()
