"""Weighted regression: imitate the actions that turned out well.

    l = w(A) log pi(a|s),    w >= 0 (`pmpo` apart)

No ratio appears and none of the rows is first order: maximised to the end, the first three give the
policy `pi_old w / E_old[w]` whatever the number of steps, which is why they survive the reuse of
data.
"""

import jax.numpy as jnp

from rl_surrogates.divergences import check_shapes
from rl_surrogates.objectives.inputs import as_data
from rl_surrogates.types import Array, Scalar


def awr(
    log_prob: Array, advantage: Array, *, beta: Scalar = 0.05, max_weight: Scalar = 20.0
) -> Array:
    """Advantage-weighted regression: exponential weights, capped.

        l = w log pi(a|s),    w = min(exp(A / beta), max_weight)

    Tends to behaviour cloning (w = 1) for beta -> infinity. With beta = 1 and no cap it is
    exponential CRR. Use beta = 1 with standardised advantages.

    Experimental: the default beta is that of the paper; its released code also normalises the
    advantages.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      advantage: `[...]` in units of return, or standardised; data.
      beta: temperature, in units of the advantage, positive. May be traced.
      max_weight: largest weight of a sample, dimensionless, positive. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Peng et al. 2019, arXiv:1910.00177, algorithm 1.
    """
    # The cap before the exponential: after it, an infinite weight would already exist.
    weight = jnp.exp(jnp.minimum(as_data(advantage, log_prob) / beta, jnp.log(max_weight)))
    return weight * log_prob


def crr_binary(log_prob: Array, advantage: Array) -> Array:
    """Binary critic-regularised regression: imitate what was better than expected.

        l = 1[A > 0] log pi(a|s)

    Equals `pmpo(alpha=1, beta=0)` for A != 0.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      advantage: `[...]` of any scale: only its sign is used; data.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Wang et al. 2020, arXiv:2006.15134, binary weights.
    """
    return jnp.where(as_data(advantage, log_prob) > 0.0, log_prob, 0.0)


def self_imitation(log_prob: Array, advantage: Array) -> Array:
    """Self-imitation: the policy gradient of the good samples alone.

        l = max(A, 0) log pi(a|s)

    Its gradient is the positive part of that of `policy_gradient`.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      advantage: `[...]` in units of return, or standardised; data.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Oh et al. 2018, arXiv:1806.05635, eq. 2.
    """
    return jnp.maximum(as_data(advantage, log_prob), 0.0) * log_prob


def pmpo(
    log_prob: Array,
    advantage: Array,
    kl_old_new: Array,
    *,
    alpha: Scalar = 0.5,
    beta: Scalar = 0.3,
) -> Array:
    """Preference-style policy optimisation: towards good samples, away from bad ones, held by a KL.

        l = alpha log pi(a|s) - beta KL(old||new)             where A >= 0
        l = -(1 - alpha) log pi(a|s) - beta KL(old||new)      where A < 0

    Only the sign of the advantage counts. Without the KL the second line has no maximum. Equals
    `crr_binary` for alpha = 1, beta = 0 and A != 0.

    Experimental: the paper averages the good and the bad set apart; here every sample has weight
    1/N. For its form use `policy_gradient` on `advantages.balanced_signs` with a KL. The default
    beta and the direction of the KL are our reading.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      advantage: `[...]` of any scale: only its sign is used; data.
      kl_old_new: `[...]` exact KL(old||new) at the state, nats.
      alpha: weight of the good samples, dimensionless, in [0, 1]. May be traced.
      beta: price of one nat, dimensionless, positive unless alpha = 1. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Abdolmaleki et al. 2024, arXiv:2410.04166.
    """
    check_shapes(log_prob=log_prob, kl_old_new=kl_old_new)
    weight = jnp.where(as_data(advantage, log_prob) >= 0.0, alpha, alpha - 1.0)
    return weight * log_prob - beta * kl_old_new
