"""Losses of the value function, per sample and unreduced; the target is data.

The squared error carries its 1/2, so that a coefficient of 1 is plain regression and 0.5 the common
choice.
"""

import jax
import jax.numpy as jnp

from rl_surrogates.types import Array, Scalar


def squared_error(value: Array, target: Array) -> Array:
    """Half the squared error of a value estimate.

        l = (V - R)^2 / 2

    Args:
      value: `[...]` V(s) of the network being trained, units of return.
      target: `[...]` the return R to regress on, units of return; data.

    Returns:
      `[...]` loss per sample, units of return squared, to be minimised.

    Source: definition.
    """
    return 0.5 * jnp.square(value - jax.lax.stop_gradient(target))


def clipped_squared_error(
    value: Array, value_old: Array, target: Array, *, epsilon: Scalar = 0.2
) -> Array:
    """Half the squared error, pessimistic about moves of the value beyond a range.

        l = max((V - R)^2, (V_old + clip(V - V_old, -epsilon, epsilon) - R)^2) / 2

    Equals `squared_error` while |V - V_old| <= epsilon. No gradient where the clipped term is
    strictly the larger. The range is in units of return: unlike the policy's, it depends on the
    scale of the reward.

    Args:
      value: `[...]` V(s) of the network being trained, units of return.
      value_old: `[...]` V(s) when the data were collected, units of return; data.
      target: `[...]` the return R to regress on, units of return; data.
      epsilon: how far the value may move from the old one, units of return, positive. May be
        traced.

    Returns:
      `[...]` loss per sample, units of return squared, to be minimised.

    Source: OpenAI baselines, `ppo2`; Engstrom et al. 2020, arXiv:2005.12729.
    """
    value_old, target = jax.lax.stop_gradient((value_old, target))
    clipped = value_old + jnp.clip(value - value_old, -epsilon, epsilon)
    return 0.5 * jnp.maximum(jnp.square(value - target), jnp.square(clipped - target))


def huber(value: Array, target: Array, *, delta: Scalar = 1.0) -> Array:
    """Squared error that grows linearly beyond a range: an outlier pulls with a bounded slope.

        l = u^2 / 2                    where |u| <= delta,    u = V - R
        l = delta (|u| - delta / 2)    otherwise

    Equals `squared_error` for delta -> infinity.

    Args:
      value: `[...]` V(s) of the network being trained, units of return.
      target: `[...]` the return R to regress on, units of return; data.
      delta: largest slope, units of return, positive. May be traced.

    Returns:
      `[...]` loss per sample, units of return squared, to be minimised.

    Source: Huber 1964.
    """
    distance = jnp.abs(value - jax.lax.stop_gradient(target))
    near = jnp.minimum(distance, delta)
    # One expression for both branches; its slope is `near` on either side.
    return near * (distance - 0.5 * near)


def quantile_huber(quantiles: Array, target: Array, *, kappa: Scalar = 1.0) -> Array:
    """Quantile regression with a Huber-smoothed kink, for a distributional value function.

        l = mean_i |tau_i - 1[u_i < 0]| huber(u_i; kappa) / kappa
        u_i = R - q_i,    tau_i = (i + 1/2) / n

    Args:
      quantiles: `[..., n]` estimates q of the return's quantiles at the n midpoints, units of
        return.
      target: `[...]` a sample R of the return, units of return; data.
      kappa: range in which the loss is quadratic, units of return, positive. May be traced.

    Returns:
      `[...]` loss per sample, averaged over the quantiles, units of return, to be minimised.

    Source: Dabney et al. 2018, arXiv:1710.10044, eq. 10.
    """
    num_quantiles = quantiles.shape[-1]
    level = (jnp.arange(num_quantiles, dtype=quantiles.dtype) + 0.5) / num_quantiles
    target = jax.lax.stop_gradient(target)[..., None]
    weight = jnp.abs(level - (target < quantiles))
    return jnp.mean(weight * huber(quantiles, target, delta=kappa) / kappa, axis=-1)
