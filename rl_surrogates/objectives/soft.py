"""Soft gates: a sigmoid of the ratio instead of a clip.

    l = (4 / tau) sigmoid(tau (r - 1)) A

The factor makes the slope at r = 1 the advantage; far from 1 it fades smoothly, without the edge of
a clip. It is never exactly 0, but float32 rounds it to 0 beyond a ratio of about 5 (tau = 4) or 17
(tau = 1). A larger tau is a narrower gate.
"""

import jax
import jax.numpy as jnp

from rl_surrogates.divergences import check_shapes
from rl_surrogates.objectives.importance import importance_ratio
from rl_surrogates.objectives.inputs import as_data
from rl_surrogates.types import Array, Scalar


def sapo(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    *,
    tau_positive: Scalar = 1.0,
    tau_negative: Scalar = 1.05,
) -> Array:
    """Soft adaptive policy optimisation: a sigmoid gate, one temperature per sign of A.

        l = (4 / tau) sigmoid(tau (r - 1)) A,    r = pi(a|s) / pi_old(a|s)
        tau = tau_positive where A > 0, tau_negative otherwise

    Tends to `importance_sampled` (up to a constant) for tau -> 0.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      tau_positive: sharpness of the gate where A > 0, dimensionless, positive. May be traced.
      tau_negative: sharpness of the gate where A <= 0, dimensionless, positive. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Qwen team 2025, arXiv:2511.20347.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    advantage = as_data(advantage, log_prob)
    tau = jnp.where(advantage > 0.0, tau_positive, tau_negative)
    return 4.0 / tau * jax.nn.sigmoid(tau * (ratio - 1.0)) * advantage


def scopic(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    kl_old_new: Array,
    *,
    tau: Scalar = 4.0,
    beta: Scalar = 0.1,
) -> Array:
    """Sigmoid gate minus the exact forward KL.

        l = (4 / tau) sigmoid(tau (r - 1)) A - beta KL(old||new),    r = pi(a|s) / pi_old(a|s)

    Equals `sapo` with both temperatures tau for beta = 0. For tau >= 2 the paper shows a lower
    bound; it uses tau = 2, beta = 1 on Atari.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      kl_old_new: `[...]` exact KL(old||new) at the state, nats.
      tau: sharpness of the gate, dimensionless, positive. May be traced.
      beta: price of one nat, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Chen et al. 2023, arXiv:2205.10047.
    """
    check_shapes(log_prob=log_prob, kl_old_new=kl_old_new)
    gated = sapo(log_prob, log_prob_old, advantage, tau_positive=tau, tau_negative=tau)
    return gated - beta * kl_old_new
