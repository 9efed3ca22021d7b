"""Penalised surrogates: what does a nat of divergence cost?

    l = r A - beta D

Every penalty but `pop3d`'s is normalised to `d^2 / 2` near d = 0, so an equal beta means an equal
local trust region and only the tails differ. All are first order: a divergence has zero slope where
the policies agree. The exact KLs come as inputs; the others are estimated from the sampled action,
by the formulas of `divergences`.
"""

import jax
import jax.numpy as jnp

from rl_surrogates import divergences
from rl_surrogates.divergences import check_shapes
from rl_surrogates.objectives.importance import importance_ratio, importance_sampled
from rl_surrogates.types import Array, Scalar


def kl_penalty(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    kl_old_new: Array,
    *,
    beta: Scalar = 1.0,
) -> Array:
    """Ratio surrogate minus the exact forward KL.

        l = r A - beta KL(old||new),    r = pi(a|s) / pi_old(a|s)

    Equals `importance_sampled` for beta = 0. At one state the maximiser is
    `beta pi_old / (lambda - A)`, with lambda set by normalisation.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      kl_old_new: `[...]` exact KL(old||new) at the state, nats.
      beta: price of one nat, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Schulman et al. 2017, arXiv:1707.06347, eq. 8.
    """
    check_shapes(log_prob=log_prob, kl_old_new=kl_old_new)
    return importance_sampled(log_prob, log_prob_old, advantage) - beta * kl_old_new


def mdpo(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    kl_new_old: Array,
    *,
    inverse_step: Scalar = 1.0,
) -> Array:
    """Mirror descent policy optimisation: ratio surrogate minus the exact reverse KL.

        l = r A - inverse_step KL(new||old),    r = pi(a|s) / pi_old(a|s)

    Equals `importance_sampled` for inverse_step = 0. At one state the maximiser is proportional to
    `pi_old exp(A / inverse_step)`. The first step from the old policy is the plain gradient: with
    one step per batch the KL does nothing.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      kl_new_old: `[...]` exact KL(new||old) at the state, nats.
      inverse_step: price of one nat, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Tomar et al. 2020, arXiv:2005.09814, on-policy form.
    """
    check_shapes(log_prob=log_prob, kl_new_old=kl_new_old)
    return importance_sampled(log_prob, log_prob_old, advantage) - inverse_step * kl_new_old


def k3_penalty(
    log_prob: Array, log_prob_old: Array, advantage: Array, *, beta: Scalar = 1.0
) -> Array:
    """Ratio surrogate minus the low-variance sampled forward KL.

        l = r A - beta (r - 1 - d),    r = exp(d) = pi(a|s) / pi_old(a|s)

    The sampled `kl_penalty`, for policies without an exact KL. Equals `importance_sampled` for beta
    = 0.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      beta: price of one nat, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Schulman 2020, "Approximating KL divergence"; Shao et al. 2024, arXiv:2402.03300, eq. 4.
    """
    penalty = divergences.k3(log_prob, log_prob_old)
    return importance_sampled(log_prob, log_prob_old, advantage) - beta * penalty


def k2_penalty(
    log_prob: Array, log_prob_old: Array, advantage: Array, *, beta: Scalar = 1.0
) -> Array:
    """Ratio surrogate minus half the squared log-ratio.

        l = r A - beta d^2 / 2,    r = exp(d) = pi(a|s) / pi_old(a|s)

    Pulls back equally hard on either side of d = 0. Equals `importance_sampled` for beta = 0.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      beta: price of one nat, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: penalty of Hilton, Cobbe & Schulman 2021, arXiv:2110.00641.
    """
    penalty = divergences.k2(log_prob, log_prob_old)
    return importance_sampled(log_prob, log_prob_old, advantage) - beta * penalty


def chi_square_penalty(
    log_prob: Array, log_prob_old: Array, advantage: Array, *, beta: Scalar = 1.0
) -> Array:
    """Ratio surrogate minus half the chi-square divergence, the variance of the ratio.

        l = r A - beta (r - 1)^2 / 2,    r = pi(a|s) / pi_old(a|s)

    `alpha_divergence_penalty` with alpha = 2. Equals `importance_sampled` for beta = 0. At one
    state the maximiser is `pi_old (1 + A / beta)` where that is positive.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      beta: price of one nat, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Belousov & Peters 2017, arXiv:1801.00056.
    """
    penalty = 0.5 * divergences.chi_square(log_prob, log_prob_old)
    return importance_sampled(log_prob, log_prob_old, advantage) - beta * penalty


def alpha_divergence_penalty(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    *,
    beta: Scalar = 1.0,
    alpha: Scalar = 0.5,
) -> Array:
    """Ratio surrogate minus an alpha-divergence: one family from forward KL to chi-square.

        l = r A - beta (r^alpha - 1 - alpha (r - 1)) / (alpha (alpha - 1))
        r = pi(a|s) / pi_old(a|s)

    alpha = 2 is `chi_square_penalty`, 1/2 `hellinger_penalty`; alpha -> 0 tends to `k3_penalty` and
    alpha -> 1 to the penalty `r log r - (r - 1)`, an estimate of KL(new||old).

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      beta: price of one nat, in units of the advantage, not negative. May be traced.
      alpha: order of the divergence, dimensionless, in [-1, 4] without 0 and 1. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Belousov & Peters 2017, arXiv:1801.00056.
    """
    penalty = divergences.f_alpha(log_prob, log_prob_old, alpha=alpha)
    return importance_sampled(log_prob, log_prob_old, advantage) - beta * penalty


def hellinger_penalty(
    log_prob: Array, log_prob_old: Array, advantage: Array, *, beta: Scalar = 1.0
) -> Array:
    """Ratio surrogate minus four times the squared Hellinger distance.

        l = r A - 2 beta (1 - sqrt r)^2,    r = pi(a|s) / pi_old(a|s)

    `alpha_divergence_penalty` with alpha = 1/2. Equals `importance_sampled` for beta = 0. The
    factor makes the penalty `d^2 / 2` near d = 0, as the others are.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      beta: price of one nat, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Belousov & Peters 2017, arXiv:1801.00056, alpha = 1/2.
    """
    penalty = 4.0 * divergences.squared_hellinger(log_prob, log_prob_old)
    return importance_sampled(log_prob, log_prob_old, advantage) - beta * penalty


def pop3d(log_prob: Array, log_prob_old: Array, advantage: Array, *, beta: Scalar = 5.0) -> Array:
    """Ratio surrogate minus the squared change of the action's probability.

        l = r A - beta (p - o)^2 = r A - beta o^2 (r - 1)^2,    p = pi(a|s),    o = pi_old(a|s)

    Equals `chi_square_penalty` with beta replaced by `2 beta o^2`: rare actions move almost freely.
    Discrete actions only: a squared density has units.

    Experimental: the default beta; the released code penalises `5 d^2`, which is
    `k2_penalty(beta=10)`.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats, not positive; data.
      advantage: `[...]` in units of return, or standardised; data.
      beta: price of a probability change, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Chu 2018, arXiv:1807.00442.
    """
    old = jnp.exp(jnp.minimum(jax.lax.stop_gradient(log_prob_old), 0.0))
    moved = old * (importance_ratio(log_prob, log_prob_old) - 1.0)
    return importance_sampled(log_prob, log_prob_old, advantage) - beta * jnp.square(moved)
