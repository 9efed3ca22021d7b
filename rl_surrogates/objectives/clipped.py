"""Clipped surrogates: how far may a ratio move before its sample lets go?

`far(low, high)` is where the advantage has already won: A > 0 and r > high, or A < 0 and r < low.
The pessimistic minimum removes the gradient there and only there; a sample that moved the wrong way
is always pulled back.
"""

import jax
import jax.numpy as jnp

from rl_surrogates.objectives.importance import importance_ratio
from rl_surrogates.objectives.inputs import as_data
from rl_surrogates.types import Array, Scalar


def ppo_clip(
    log_prob: Array, log_prob_old: Array, advantage: Array, *, epsilon: Scalar = 0.2
) -> Array:
    """Pessimistic clipped surrogate of proximal policy optimisation.

        l = min(r A, clip(r, 1 - epsilon, 1 + epsilon) A),    r = pi(a|s) / pi_old(a|s)

    Equals `importance_sampled` while |r - 1| <= epsilon. Beyond that range the gradient vanishes
    for a sample that has moved the way its advantage favours, and only for such a sample.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon: half-width of the trusted range of the ratio, dimensionless, in (0, 1). May be
        traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Schulman et al. 2017, arXiv:1707.06347, eq. 7.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    advantage = as_data(advantage, log_prob)
    clipped = jnp.clip(ratio, 1.0 - epsilon, 1.0 + epsilon)
    return jnp.minimum(ratio * advantage, clipped * advantage)


def ppo_clip_asymmetric(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    *,
    epsilon_low: Scalar = 0.2,
    epsilon_high: Scalar = 0.28,
) -> Array:
    """Clipped surrogate with more room above than below, so that rare actions can grow.

        l = min(r A, clip(r, 1 - epsilon_low, 1 + epsilon_high) A),    r = pi(a|s) / pi_old(a|s)

    Equals `ppo_clip` where the two epsilons agree.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon_low: trusted range of the ratio below 1, dimensionless, in (0, 1]. May be traced.
      epsilon_high: trusted range of the ratio above 1, dimensionless, positive. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Yu et al. 2025 (DAPO), arXiv:2503.14476, section 3.1.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    advantage = as_data(advantage, log_prob)
    clipped = jnp.clip(ratio, 1.0 - epsilon_low, 1.0 + epsilon_high)
    return jnp.minimum(ratio * advantage, clipped * advantage)


def dual_clip(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    *,
    epsilon: Scalar = 0.2,
    dual_epsilon: Scalar = 3.0,
) -> Array:
    """Clipped surrogate that also lets go of a bad sample whose ratio has become huge.

        l = ppo_clip                         where A >= 0
        l = max(ppo_clip, dual_epsilon A)    where A < 0

    Equals `ppo_clip` for dual_epsilon -> infinity. Bounds the loss of one sample at the price of
    never pulling back an action that drifted above dual_epsilon times its old probability.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon: half-width of the trusted range of the ratio, dimensionless, in (0, 1). May be
        traced.
      dual_epsilon: ratio at which a bad sample is dropped, dimensionless, above 1 + epsilon. May be
        traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Ye et al. 2020, arXiv:1912.09729.
    """
    pessimistic = ppo_clip(log_prob, log_prob_old, advantage, epsilon=epsilon)
    advantage = as_data(advantage, log_prob)
    floored = jnp.maximum(pessimistic, dual_epsilon * advantage)
    return jnp.where(advantage < 0.0, floored, pessimistic)


def strict_clip(
    log_prob: Array, log_prob_old: Array, advantage: Array, *, epsilon: Scalar = 0.2
) -> Array:
    """Clipped ratio without the minimum: outside the range no sample has a gradient.

        l = clip(r, 1 - epsilon, 1 + epsilon) A,    r = pi(a|s) / pi_old(a|s)

    The ablation that shows what the minimum of `ppo_clip = min(importance_sampled, strict_clip)` is
    for: here a sample that left the range the wrong way is never pulled back.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon: half-width of the trusted range of the ratio, dimensionless, in (0, 1). May be
        traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Wang, He & Tan 2019, arXiv:1903.07940, ablation.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    return jnp.clip(ratio, 1.0 - epsilon, 1.0 + epsilon) * as_data(advantage, log_prob)


def ppo_rollback(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    *,
    epsilon: Scalar = 0.2,
    alpha: Scalar = 0.3,
) -> Array:
    """Clipped surrogate whose slope turns negative beyond the range instead of vanishing.

        l = min(r A, F(r) A),    r = pi(a|s) / pi_old(a|s)
        F = -alpha r + (1 + alpha)(1 - epsilon)    where r <= 1 - epsilon
        F = -alpha r + (1 + alpha)(1 + epsilon)    where r >= 1 + epsilon
        F = r                                      otherwise

    Equals `ppo_clip` for alpha = 0 and `importance_sampled` for alpha = -1.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon: half-width of the trusted range of the ratio, dimensionless, in (0, 1). May be
        traced.
      alpha: how hard a sample beyond the range is rolled back, dimensionless, not negative. May be
        traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Wang, He & Tan 2019, arXiv:1903.07940, eq. 10-12.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    advantage = as_data(advantage, log_prob)
    low, high = 1.0 - epsilon, 1.0 + epsilon
    below = (1.0 + alpha) * low - alpha * ratio
    above = (1.0 + alpha) * high - alpha * ratio
    rolled = jnp.where(ratio <= low, below, jnp.where(ratio >= high, above, ratio))
    return jnp.minimum(ratio * advantage, rolled * advantage)


def decoupled_clip(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    log_prob_prox: Array,
    *,
    epsilon: Scalar = 0.2,
) -> Array:
    """Clipped surrogate that separates the policy to stay close to from the policy that acted.

        l = min(r A, w clip(r_prox, 1 - epsilon, 1 + epsilon) A)
        r = pi / pi_old,    w = pi_prox / pi_old,    r_prox = pi / pi_prox

    Equals `ppo_clip` where the proximal policy is the one that acted. With a moving average of the
    policy as proximal policy the step size no longer depends on how old the data are.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      log_prob_prox: `[...]` of the proximal policy, nats; data.
      epsilon: half-width of the trusted range of r_prox, dimensionless, in (0, 1). May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Hilton, Cobbe & Schulman 2021, arXiv:2110.00641, decoupled clipped objective.
    """
    advantage = as_data(advantage, log_prob)
    ratio = importance_ratio(log_prob, log_prob_old)
    behind = jax.lax.stop_gradient(importance_ratio(log_prob_prox, log_prob_old))
    moved = importance_ratio(log_prob, log_prob_prox)
    clipped = behind * jnp.clip(moved, 1.0 - epsilon, 1.0 + epsilon)
    return jnp.minimum(ratio * advantage, clipped * advantage)


def geppo_clip(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    log_prob_prox: Array,
    *,
    epsilon: Scalar = 0.2,
) -> Array:
    """Clipped surrogate for data of several past policies: the range is centred on the latest one.

        l = min(r A, clip(r, w - epsilon, w + epsilon) A)
        r = pi / pi_old,    w = pi_prox / pi_old

    Equals `ppo_clip` where the proximal policy is the one that acted.

    Experimental: the paper shrinks epsilon by a factor that depends on how many past policies are
    reused; that belongs into the config.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      log_prob_prox: `[...]` of the policy at the start of the update, nats; data.
      epsilon: half-width of the trusted range of the ratio, dimensionless, in (0, 1). May be
        traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Queeney, Paschalidis & Cassandras 2021, arXiv:2111.00072.
    """
    advantage = as_data(advantage, log_prob)
    ratio = importance_ratio(log_prob, log_prob_old)
    centre = jax.lax.stop_gradient(importance_ratio(log_prob_prox, log_prob_old))
    clipped = jnp.clip(ratio, centre - epsilon, centre + epsilon)
    return jnp.minimum(ratio * advantage, clipped * advantage)


def ce_gppo(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    *,
    epsilon_low: Scalar = 0.2,
    epsilon_high: Scalar = 0.28,
    beta_low: Scalar = 1.0,
    beta_high: Scalar = 1.0,
) -> Array:
    """Clipped surrogate that gives the clipped samples back a bounded gradient.

        l = s r A,    r = pi(a|s) / pi_old(a|s)
        s = beta_low (1 - epsilon_low) / sg(r)      where A < 0 and r < 1 - epsilon_low
        s = beta_high (1 + epsilon_high) / sg(r)    where A > 0 and r > 1 + epsilon_high
        s = 1                                       otherwise

    Has the gradient of `ppo_clip_asymmetric` where both betas are 0; where both are 1 its slope is
    continuous in r.

    Experimental: the default betas are those of an earlier method of the same group; the paper
    tunes them.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon_low: trusted range of the ratio below 1, dimensionless, in (0, 1]. May be traced.
      epsilon_high: trusted range of the ratio above 1, dimensionless, positive. May be traced.
      beta_low: weight of a bad sample below the range, dimensionless, not negative. May be traced.
      beta_high: weight of a good sample above the range, dimensionless, not negative. May be
        traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Su et al. 2025, arXiv:2509.20712.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    advantage = as_data(advantage, log_prob)
    low, high = 1.0 - epsilon_low, 1.0 + epsilon_high
    given_up = (advantage < 0.0) & (ratio < low)
    won = (advantage > 0.0) & (ratio > high)
    bound = jnp.where(given_up, beta_low * low, beta_high * high)
    scale = jnp.where(given_up | won, bound / jax.lax.stop_gradient(ratio), 1.0)
    return scale * ratio * advantage
