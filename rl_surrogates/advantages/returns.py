"""Advantages and returns of data that the policy being improved collected itself.

They differ in how far they trust the data and where they fall back on the value: after a geometric
number of steps (`gae`, `lambda_return`), after n (`n_step_return`), or where the data do worse than
expected (`upgo`).
"""

import chex
import jax
import jax.numpy as jnp

from rl_surrogates.advantages.traces import accumulate, discount, last_or, next_row
from rl_surrogates.types import Array, Scalar


def gae(
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    *,
    gamma: Scalar,
    lambda_: Scalar,
) -> Array:
    """Generalised advantage estimation.

        delta_t = r_t + gamma (1 - terminated_t) V'_t - V_t
        A_t     = delta_t + gamma lambda (1 - (terminated_t | truncated_t)) A_{t+1}

    lambda = 0 is the one-step advantage, lambda = 1 the discounted return minus V. `A + V` is the
    value target.

    Args:
      reward: `[T, ...]` r_{t+1}.
      value: `[T, ...]` V(s_t), units of return.
      next_value: `[T, ...]` V(s_{t+1}) before any reset, units of return.
      terminated: `[T, ...]` bool: s_{t+1} is absorbing.
      truncated: `[T, ...]` bool: a time limit ended the episode at s_{t+1}.
      gamma: discount in [0, 1], scalar or broadcastable to `reward`. May be traced.
      lambda_: decay of the trace in [0, 1]. May be traced.

    Returns:
      `[T, ...]` advantages, units of return.

    Source: Schulman et al. 2016, arXiv:1506.02438, eq. 16.
    """
    chex.assert_equal_shape([reward, value, next_value, terminated, truncated])
    delta = reward + discount(gamma, terminated) * next_value - value
    # A time limit cuts the trace as well, but its value still counts: only death is absorbing.
    keep = discount(gamma, terminated | truncated) * lambda_
    return accumulate(delta, keep)


def lambda_return(
    reward: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    *,
    gamma: Scalar,
    lambda_: Scalar,
) -> Array:
    """Exponentially weighted mean of the n-step returns.

        R_t = r_t + gamma (1 - terminated_t) ((1 - lambda_t) V'_t + lambda_t R_{t+1})
        lambda_t = lambda (1 - (terminated_t | truncated_t)), and 0 in the last row

    lambda = 0 bootstraps after one step, lambda = 1 is the discounted return. Equals `gae + value`
    where `value[t + 1]` is `next_value[t]` inside episodes.

    Args:
      reward: `[T, ...]` r_{t+1}.
      next_value: `[T, ...]` V(s_{t+1}) before any reset, units of return.
      terminated: `[T, ...]` bool: s_{t+1} is absorbing.
      truncated: `[T, ...]` bool: a time limit ended the episode at s_{t+1}.
      gamma: discount in [0, 1], scalar or broadcastable to `reward`. May be traced.
      lambda_: decay of the trace in [0, 1]. May be traced.

    Returns:
      `[T, ...]` returns, units of return.

    Source: Sutton & Barto 2018, section 12.1.
    """
    chex.assert_equal_shape([reward, next_value, terminated, truncated])
    keep = lambda_ * (1.0 - last_or(terminated | truncated))
    alive = discount(gamma, terminated)
    return accumulate(reward + alive * (1.0 - keep) * next_value, alive * keep)


def n_step_return(
    reward: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    *,
    gamma: Scalar,
    n: int,
) -> Array:
    """Sum of the next n discounted rewards, then the value.

        R^1_t = r_t + gamma (1 - terminated_t) V'_t
        R^k_t = r_t + gamma R^{k-1}_{t+1}    where row t + 1 is the same episode, else R^1_t

    Near the end of an episode or of the rollout it takes as many steps as remain. n = T equals
    `lambda_return` with lambda = 1.

    Args:
      reward: `[T, ...]` r_{t+1}.
      next_value: `[T, ...]` V(s_{t+1}) before any reset, units of return.
      terminated: `[T, ...]` bool: s_{t+1} is absorbing.
      truncated: `[T, ...]` bool: a time limit ended the episode at s_{t+1}.
      gamma: discount in [0, 1], scalar or broadcastable to `reward`. May be traced.
      n: number of rewards, at least 1. May be traced.

    Returns:
      `[T, ...]` returns, units of return.

    Source: Sutton & Barto 2018, eq. 7.1.
    """
    chex.assert_equal_shape([reward, next_value, terminated, truncated])
    one_step = reward + discount(gamma, terminated) * next_value
    stop = last_or(terminated | truncated)

    def lengthen(_: int, returns: Array) -> Array:
        return jnp.where(stop, one_step, reward + gamma * next_row(returns))

    return jax.lax.fori_loop(1, n, lengthen, one_step)


def upgo(
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    *,
    gamma: Scalar,
) -> Array:
    """Upgoing advantage: follow the data while they do better than expected, else the value.

        A_t = G_t - V_t
        G_t = r_t + gamma (G_{t+1} if r_{t+1} + gamma V'_{t+1} >= V_{t+1} else V'_t)

    Never below the one-step advantage where the later rows did better. V'_t where row t + 1 is
    another episode.

    Args:
      reward: `[T, ...]` r_{t+1}.
      value: `[T, ...]` V(s_t), units of return.
      next_value: `[T, ...]` V(s_{t+1}) before any reset, units of return.
      terminated: `[T, ...]` bool: s_{t+1} is absorbing.
      truncated: `[T, ...]` bool: a time limit ended the episode at s_{t+1}.
      gamma: discount in [0, 1], scalar or broadcastable to `reward`. May be traced.

    Returns:
      `[T, ...]` advantages, units of return.

    Source: Vinyals et al. 2019, supplement.
    """
    chex.assert_equal_shape([reward, value, next_value, terminated, truncated])
    one_step = reward + discount(gamma, terminated) * next_value
    went_well = next_row(one_step >= value) & ~last_or(terminated | truncated)
    return accumulate(jnp.where(went_well, reward, one_step), gamma * went_well) - value
