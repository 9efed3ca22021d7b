"""Trajectory-level surrogates: what is a trajectory of the old policy worth under the new one?

Not rows of the table: they weigh a trajectory, not a sample. Their weights are products of ratios,
so their variance grows exponentially with the length; `divergences.effective_sample_size` of the
log-weights says how much is left. Gradients flow through the log-ratios. Nothing saturates: in
float32 a log-weight above 88 gives infinity.
"""

import jax
import jax.numpy as jnp

from rl_surrogates.divergences import check_shapes, log_ratio, saturate
from rl_surrogates.types import Array, Scalar


def ordinary_importance_sampling(log_weight: Array, returns: Array) -> Array:
    """Unbiased estimate of the new policy's return.

        OIS = mean_i w_i G_i,    w_i = exp(sum_t d_t)

    Args:
      log_weight: `[..., n]` sum of the log-ratios of each trajectory, nats.
      returns: `[..., n]` return G of each, units of return; data.

    Returns:
      `[...]` units of return, over the last axis.

    Source: Precup, Sutton & Singh 2000.
    """
    check_shapes(log_weight=log_weight, returns=returns)
    return jnp.mean(jnp.exp(log_weight) * jax.lax.stop_gradient(returns), axis=-1)


def weighted_importance_sampling(log_weight: Array, returns: Array) -> Array:
    """Self-normalised estimate of the new policy's return: biased, consistent, within the data.

        WIS = sum_i w_i G_i / sum_i w_i,    w_i = exp(sum_t d_t)

    Its slope in log w_i is `(w_i / sum w) (G_i - WIS)`: the estimate is its own baseline.

    Args:
      log_weight: `[..., n]` sum of the log-ratios of each trajectory, nats.
      returns: `[..., n]` return G of each, units of return; data.

    Returns:
      `[...]` units of return, in [min G, max G], over the last axis.

    Source: Precup, Sutton & Singh 2000.
    """
    check_shapes(log_weight=log_weight, returns=returns)
    return jnp.sum(jax.nn.softmax(log_weight) * jax.lax.stop_gradient(returns), axis=-1)


def per_decision_importance_sampling(log_ratio: Array, reward: Array, *, gamma: Scalar) -> Array:
    """Unbiased estimate of the new policy's return: a reward is weighed by the actions before it.

        PDIS = mean_i sum_t gamma^t exp(d_0 + ... + d_t) r_{t+1}

    Equals `ordinary_importance_sampling` where only the last reward is not zero.

    Args:
      log_ratio: `[T, ..., n]` d_t of each step of each trajectory, nats; 0 after its end.
      reward: `[T, ..., n]` r_{t+1}, 0 after the end; data.
      gamma: discount in [0, 1]. May be traced.

    Returns:
      `[...]` units of return, summed over the first axis, averaged over the last.

    Source: Precup, Sutton & Singh 2000.
    """
    check_shapes(log_ratio=log_ratio, reward=reward)
    log_weight = jnp.cumsum(log_ratio, axis=0)
    discount = gamma ** jnp.arange(log_ratio.shape[0], dtype=log_ratio.dtype)
    weighted = jnp.exp(log_weight) * jax.lax.stop_gradient(reward)
    return jnp.mean(jnp.tensordot(discount, weighted, axes=1), axis=-1)


def sequence_ratio(log_prob: Array, log_prob_old: Array, mask: Array) -> Array:
    """Geometric mean of the ratios of a sequence, the ratio of group sequence policy optimisation.

        s = exp(mean_t d_t),    d_t = log pi(a_t|s_t) - log pi_old(a_t|s_t)

    Clip it far tighter than a step's ratio (3e-4 below 1, 4e-4 above). The slope of `s A` in each
    log pi is `s A / T`.

    Args:
      log_prob: `[T, ...]` of the policy being improved, nats.
      log_prob_old: `[T, ...]` of the policy that acted, nats; data.
      mask: `[T, ...]` True where the step belongs to the sequence.

    Returns:
      `[...]` in [e^-20, e^20], dimensionless; 1 for an empty sequence.

    Source: Zheng et al. 2025, arXiv:2507.18071, eq. 7.
    """
    check_shapes(log_prob=log_prob, mask=mask)
    d = jnp.where(mask, log_ratio(log_prob, log_prob_old), 0.0)
    return jnp.exp(saturate(d.sum(axis=0) / jnp.maximum(mask.sum(axis=0), 1)))
