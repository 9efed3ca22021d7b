"""Drift surrogates: what does a sample pay for moving, instead of being cut off?

    l = r A - drift(r, A)

A drift is zero at r = 1 together with its slope, so the first step is the plain gradient, and never
negative, so the surrogate stays a lower bound of `importance_sampled`. (`simple_quadratic` is the
exception kept for comparison.)
"""

import jax
import jax.numpy as jnp

from rl_surrogates.divergences import log_ratio
from rl_surrogates.objectives.importance import importance_ratio
from rl_surrogates.objectives.inputs import as_data
from rl_surrogates.types import Array, Scalar


def spo(log_prob: Array, log_prob_old: Array, advantage: Array, *, epsilon: Scalar = 0.2) -> Array:
    """Simple policy optimisation: a quadratic drift, best at the edge of the trusted range.

        l = r A - |A| (r - 1)^2 / (2 epsilon),    r = pi(a|s) / pi_old(a|s)

    The maximum over r is exactly `1 + sign(A) epsilon`; beyond it the gradient turns round instead
    of vanishing. Equals `chi_square_penalty` with beta = |A| / epsilon, and `importance_sampled`
    for epsilon -> infinity.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon: distance of the best ratio from 1, dimensionless, positive. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Xie et al. 2025, arXiv:2401.16025 v9, algorithm 1.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    advantage = as_data(advantage, log_prob)
    drift = jnp.abs(advantage) * jnp.square(ratio - 1.0) / (2.0 * epsilon)
    return ratio * advantage - drift


def dpo(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    *,
    alpha: Scalar = 2.0,
    beta: Scalar = 0.6,
) -> Array:
    """Discovered policy optimisation: a drift found by meta-learning, in closed form.

        l = r A - relu(u - alpha tanh(u / alpha))    where A >= 0,    u = (r - 1) A
        l = r A - relu(v - beta tanh(v / beta))      where A < 0,     v = A log r

    Equals `importance_sampled` for alpha, beta -> infinity. The drift starts at third order in the
    step. Where A < 0 and r < tanh^2(v / beta) the gradient turns round. Expects standardised
    advantages: alpha and beta are in their units.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` standardised; data.
      alpha: scale of the drift where A >= 0, in units of the advantage, positive. May be traced.
      beta: scale of the drift where A < 0, in units of the advantage, positive. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Lu et al. 2022, arXiv:2210.05639.
    """
    d = log_ratio(log_prob, log_prob_old)
    ratio = importance_ratio(log_prob, log_prob_old)
    advantage = as_data(advantage, log_prob)
    u = (ratio - 1.0) * advantage
    v = d * advantage  # d itself, not the log of a saturated ratio
    drift_positive = jax.nn.relu(u - alpha * jnp.tanh(u / alpha))
    drift_negative = jax.nn.relu(v - beta * jnp.tanh(v / beta))
    return ratio * advantage - jnp.where(advantage >= 0.0, drift_positive, drift_negative)


def simple_quadratic(
    log_prob: Array, log_prob_old: Array, advantage: Array, *, epsilon: Scalar = 0.2
) -> Array:
    """Regression of the ratio on the edge of the trusted range, chosen by the sign of A alone.

        l = -(r - 1 - sign(A) epsilon)^2,    r = pi(a|s) / pi_old(a|s)

    Has the optimum of `spo` and its gradient times `2 epsilon / |A|`: the ablation that shows why
    the size of the advantage must stay in the slope. Not first order: the slope at r = 1 is
    `2 epsilon sign(A)`.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` of any scale: only its sign is used; data.
      epsilon: distance of the best ratio from 1, dimensionless, positive. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Xie et al. 2025, arXiv:2401.16025 v9, section 5.1.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    side = jnp.sign(as_data(advantage, log_prob))
    return -jnp.square(ratio - 1.0 - side * epsilon)
