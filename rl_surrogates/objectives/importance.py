"""Importance sampling: how much does the new policy favour what the old one did?

    E_old[r A] = E_new[A] at every state,    r = pi(a|s) / pi_old(a|s)

The ratio makes a surrogate that stays meaningful when data are reused: it is the expectation under
the policy being improved. Its price is variance, `E_old[r^2] = 1 + chi^2(new||old)`, hence the
truncated forms of this file: they cap the weight but, unlike clipping, spare every gradient.
"""

import jax
import jax.numpy as jnp

from rl_surrogates.divergences import log_ratio, saturate
from rl_surrogates.objectives.inputs import as_data
from rl_surrogates.types import Array, Scalar


def importance_ratio(log_prob: Array, log_prob_old: Array) -> Array:
    """Ratio of the new to the old probability of an action, finite for any finite log-ratio.

        r = exp(d),    d = log pi(a|s) - log pi_old(a|s),    dr/dd = r

    The value of `d` saturates at +-20 while its derivatives of every order are kept: a sample far
    outside the trusted range still pulls back with slope `e^20 A` instead of none (a plain clamp)
    or NaN (no clamp, from d = 89).

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.

    Returns:
      `[...]` in [e^-20, e^20], dimensionless.

    Source: definition; the saturation is ours.
    """
    return jnp.exp(saturate(log_ratio(log_prob, log_prob_old)))


def importance_sampled(log_prob: Array, log_prob_old: Array, advantage: Array) -> Array:
    """Conservative policy iteration surrogate: new actions, judged at the states of the old policy.

        l = r A,    r = pi(a|s) / pi_old(a|s)

    Every trust-region and clipped row equals it near r = 1. Alone it is safe for one step only.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Kakade & Langford 2002; Schulman et al. 2017, arXiv:1707.06347, eq. 6.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    return ratio * as_data(advantage, log_prob)


def truncated_importance_sampled(
    log_prob: Array, log_prob_old: Array, advantage: Array, *, max_ratio: Scalar = 1.0
) -> Array:
    """Policy gradient whose samples weigh as much as their ratio, up to a cap.

        l = sg(min(r, max_ratio)) A log pi(a|s),    r = pi(a|s) / pi_old(a|s)

    Its gradient is that of `importance_sampled` below the cap (everywhere for an infinite one) and
    keeps the sign of A above it. The value has no meaning; only the gradient counts.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      max_ratio: largest weight of a sample, dimensionless, at least 1. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Ionides 2008; the actor of IMPALA, Espeholt et al. 2018, arXiv:1802.01561, section 4.2.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    weight = jax.lax.stop_gradient(jnp.minimum(ratio, max_ratio))
    return weight * as_data(advantage, log_prob) * log_prob


def cispo(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    *,
    epsilon_low: Scalar = 1.0,
    epsilon_high: Scalar = 4.0,
) -> Array:
    """Policy gradient weighted by the clipped ratio: the weight is clipped, never the sample.

        l = sg(clip(r, 1 - epsilon_low, 1 + epsilon_high)) A log pi(a|s)
        r = pi(a|s) / pi_old(a|s)

    Equals `truncated_importance_sampled(max_ratio=c)` for epsilon_low = 1, epsilon_high = c - 1.
    The value has no meaning; only the gradient counts.

    Experimental: the defaults (no lower bound, cap 5) are those of a later scaling study, not of
    the paper, which tunes the upper bound only. Other code bases use 0.2 for both, or read
    `epsilon_high` as the cap itself.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon_low: how far below 1 a weight may lie, dimensionless, in (0, 1]; 1 is no lower bound.
        May be traced.
      epsilon_high: how far above 1 a weight may lie, dimensionless, positive. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: MiniMax-M1 2025, arXiv:2506.13585, section 3.1.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    weight = jax.lax.stop_gradient(jnp.clip(ratio, 1.0 - epsilon_low, 1.0 + epsilon_high))
    return weight * as_data(advantage, log_prob) * log_prob


def topr(
    log_prob: Array, log_prob_old: Array, advantage: Array, *, max_ratio: Scalar = 1.0
) -> Array:
    """Tapered off-policy reinforce: good samples in full, bad ones by their truncated ratio.

        l = A log pi(a|s)                          where A >= 0
        l = sg(min(r, max_ratio)) A log pi(a|s)    where A < 0,    r = pi(a|s) / pi_old(a|s)

    Has the gradient of `policy_gradient` where A >= 0 and of `truncated_importance_sampled`
    elsewhere, so that an action which the policy has given up is not pushed further. The value has
    no meaning; only the gradient counts.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      max_ratio: largest weight of a sample with A < 0, dimensionless, at least 1. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Le Roux et al. 2025, arXiv:2503.14286.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    advantage = as_data(advantage, log_prob)
    weight = jnp.where(advantage >= 0.0, 1.0, jnp.minimum(ratio, max_ratio))
    return jax.lax.stop_gradient(weight) * advantage * log_prob


def vespo(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    *,
    k_positive: Scalar = 2.0,
    lambda_positive: Scalar = 3.0,
    k_negative: Scalar = 3.0,
    lambda_negative: Scalar = 2.0,
) -> Array:
    """Policy gradient weighted by a gamma-shaped bump over the ratio, one bump per sign of A.

        l = sg(phi) A log pi(a|s),    phi = r^k exp(lambda (1 - r)),    r = pi(a|s) / pi_old(a|s)

    phi(1) = 1 and phi vanishes for r -> 0 (k > 0) and r -> infinity (lambda > 0). Has the gradient
    of `importance_sampled` for k = 1, lambda = 0 and of `policy_gradient` for k = lambda = 0. The
    value has no meaning; only the gradient counts.

    Experimental: the paper weighs a whole sequence by its ratio, here each step by its own.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      k_positive: power of the ratio where A >= 0, dimensionless, in [0, 4]. May be traced.
      lambda_positive: decay rate in the ratio where A >= 0, dimensionless, in [0, 50]. May be
        traced.
      k_negative: power of the ratio where A < 0, dimensionless, in [0, 4]. May be traced.
      lambda_negative: decay rate in the ratio where A < 0, dimensionless, in [0, 50]. May be
        traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Shen et al. 2026, arXiv:2602.10693.
    """
    advantage = as_data(advantage, log_prob)
    d = jax.lax.stop_gradient(saturate(log_ratio(log_prob, log_prob_old)))
    k = jnp.where(advantage >= 0.0, k_positive, k_negative)
    lambda_ = jnp.where(advantage >= 0.0, lambda_positive, lambda_negative)
    # In log space: r^k alone would overflow where the product is tiny.
    weight = jnp.exp(k * d - lambda_ * jnp.expm1(d))
    return jax.lax.stop_gradient(weight) * advantage * log_prob
