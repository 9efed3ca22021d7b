"""Advantages of data that another policy collected, corrected by truncated ratios.

`vtrace` weighs the first action too and so estimates what the policy being improved would gain:
pair it with `policy_gradient`. `retrace` leaves the first action alone: pair it with an objective
that holds the ratio.
"""

from typing import NamedTuple

import chex
import jax.numpy as jnp

from rl_surrogates.advantages.traces import accumulate, discount, last_or, next_row
from rl_surrogates.types import Array, Scalar


class VTrace(NamedTuple):
    """Off-policy corrected targets of the value and the policy."""

    target: Array  # [T, ...] what V is regressed on, units of return
    advantage: Array  # [T, ...] already holds the truncated ratio: pair it with `policy_gradient`


def vtrace(
    log_ratio: Array,
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    *,
    gamma: Scalar,
    lambda_: Scalar,
    rho_clip: Scalar = 1.0,
    c_clip: Scalar = 1.0,
) -> VTrace:
    """V-trace: value targets of the policy being improved from data of another.

        rho = min(rho_clip, e^log_ratio),    c = lambda min(c_clip, e^log_ratio)
        e_t = rho_t delta_t + gamma (1 - stop_t) c_t e_{t+1},    delta_t as in `gae`
        target_t    = V_t + e_t
        advantage_t = rho_t (r_t + gamma (1 - terminated_t) q_t - V_t)
        q_t = lambda target_{t+1} + (1 - lambda) V'_t, or V'_t where row t + 1 is another episode

    On policy (log_ratio = 0) and with `value[t + 1] = next_value[t]` the advantage is that of
    `gae`. It already holds the ratio: pair it with `policy_gradient`, for a ratio row would correct
    twice.

    Args:
      log_ratio: `[T, ...]` log pi - log pi_old of the actions taken, nats.
      reward: `[T, ...]` r_{t+1}.
      value: `[T, ...]` V(s_t), units of return.
      next_value: `[T, ...]` V(s_{t+1}) before any reset, units of return.
      terminated: `[T, ...]` bool: s_{t+1} is absorbing.
      truncated: `[T, ...]` bool: a time limit ended the episode at s_{t+1}.
      gamma: discount in [0, 1], scalar or broadcastable to `reward`. May be traced.
      lambda_: decay of the trace in [0, 1]. May be traced.
      rho_clip: largest weight of a temporal difference; decides the fixed point. May be traced.
      c_clip: largest factor of the trace; decides the speed. May be traced.

    Returns:
      `VTrace(target, advantage)`, each `[T, ...]` in units of return.

    Source: Espeholt et al. 2018, arXiv:1802.01561, eq. 1 and section 4.2; lambda as in remark 2.
    """
    chex.assert_equal_shape([log_ratio, reward, value, next_value, terminated, truncated])
    ratio = jnp.exp(log_ratio)
    rho, c = jnp.minimum(rho_clip, ratio), lambda_ * jnp.minimum(c_clip, ratio)
    stop = terminated | truncated
    alive = discount(gamma, terminated)
    delta = reward + alive * next_value - value
    target = value + accumulate(rho * delta, discount(gamma, stop) * c)
    following = lambda_ * next_row(target) + (1.0 - lambda_) * next_value
    q = jnp.where(last_or(stop), next_value, following)
    return VTrace(target, rho * (reward + alive * q - value))


def retrace(
    log_ratio: Array,
    reward: Array,
    value: Array,
    next_value: Array,
    terminated: Array,
    truncated: Array,
    *,
    gamma: Scalar,
    lambda_: Scalar,
    c_clip: Scalar = 1.0,
) -> Array:
    """Retrace with state values in place of action values; the first action is not weighed.

        A_t = delta_t + gamma (1 - stop_t) c_{t+1} A_{t+1},    c = lambda min(c_clip, e^log_ratio)

    On policy (log_ratio = 0) it is `gae`. It estimates the advantage of the action that was taken,
    whoever took it, so it pairs with the ratio rows.

    Experimental: with action values the correction vanishes in expectation for every c; with state
    values it does so only where c is the ratio itself, so truncated traces and lambda < 1 leave a
    bias off policy.

    Args:
      log_ratio: `[T, ...]` log pi - log pi_old of the actions taken, nats.
      reward: `[T, ...]` r_{t+1}.
      value: `[T, ...]` V(s_t), units of return.
      next_value: `[T, ...]` V(s_{t+1}) before any reset, units of return.
      terminated: `[T, ...]` bool: s_{t+1} is absorbing.
      truncated: `[T, ...]` bool: a time limit ended the episode at s_{t+1}.
      gamma: discount in [0, 1], scalar or broadcastable to `reward`. May be traced.
      lambda_: decay of the trace in [0, 1]. May be traced.
      c_clip: largest factor of the trace. May be traced.

    Returns:
      `[T, ...]` advantages, units of return; `A + V` is a target of the taken action's value, not
      of V.

    Source: Munos et al. 2016, arXiv:1606.02647, eq. 3.
    """
    chex.assert_equal_shape([log_ratio, reward, value, next_value, terminated, truncated])
    delta = reward + discount(gamma, terminated) * next_value - value
    c = lambda_ * jnp.minimum(c_clip, jnp.exp(log_ratio))
    return accumulate(delta, discount(gamma, terminated | truncated) * next_row(c))
