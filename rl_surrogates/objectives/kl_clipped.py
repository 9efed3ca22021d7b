"""Clipped surrogates whose range is a divergence: has the *state* of a sample moved too far?

A ratio inside the range says little about the other actions of the same state. These rows watch the
KL instead, or derive the range of the ratio from one.
"""

import jax
import jax.numpy as jnp

from rl_surrogates.divergences import MAX_LOG_RATIO, check_shapes
from rl_surrogates.objectives.clipped import ppo_clip
from rl_surrogates.objectives.importance import importance_ratio
from rl_surrogates.objectives.inputs import as_data
from rl_surrogates.types import Array, Scalar


def tr_ppo(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    kl_old_new: Array,
    *,
    delta: Scalar = 0.025,
) -> Array:
    """Trust-region PPO: a sample that has won lets go where the KL, not the ratio, is out of range.

        l = min(r A, A)    where KL(old||new) >= delta,    r = pi(a|s) / pi_old(a|s)
        l = r A            otherwise

    Equals `importance_sampled` for delta -> infinity. The KL only decides; no gradient flows
    through it.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      kl_old_new: `[...]` exact KL(old||new) at the state, nats.
      delta: trusted KL, nats, positive. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Wang, He & Tan 2019, arXiv:1903.07940, eq. 15.
    """
    check_shapes(log_prob=log_prob, kl_old_new=kl_old_new)
    advantage = as_data(advantage, log_prob)
    surrogate = importance_ratio(log_prob, log_prob_old) * advantage
    return jnp.where(kl_old_new >= delta, jnp.minimum(surrogate, advantage), surrogate)


def tr_ppo_rollback(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    kl_old_new: Array,
    *,
    delta: Scalar = 0.03,
    alpha: Scalar = 0.05,
) -> Array:
    """Trust-region PPO with rollback: a sample that has won turns round where the KL is too large.

        l = -alpha r A    where KL(old||new) >= delta and r A >= A,    r = pi(a|s) / pi_old(a|s)
        l = r A           otherwise

    Equals `importance_sampled` for delta -> infinity or alpha = -1; has the gradient of `tr_ppo`
    for alpha = 0. The paper calls it Truly PPO; `truly_ppo` is what its authors released. The
    released code tests `r A > A`.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      kl_old_new: `[...]` exact KL(old||new) at the state, nats.
      delta: trusted KL, nats, positive. May be traced.
      alpha: how hard a sample out of range is rolled back, dimensionless, not negative. May be
        traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Wang, He & Tan 2019, arXiv:1903.07940, eq. 16.
    """
    check_shapes(log_prob=log_prob, kl_old_new=kl_old_new)
    advantage = as_data(advantage, log_prob)
    surrogate = importance_ratio(log_prob, log_prob_old) * advantage
    won = (kl_old_new >= delta) & (surrogate >= advantage)
    return jnp.where(won, -alpha * surrogate, surrogate)


def truly_ppo(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    kl_old_new: Array,
    *,
    delta: Scalar = 0.03,
    alpha: Scalar = 5.0,
) -> Array:
    """Ratio surrogate that pays for a KL out of range, and only where the sample has won.

        l = r A - alpha KL(old||new)    where KL(old||new) >= delta and r A > A
        l = r A                         otherwise,    r = pi(a|s) / pi_old(a|s)

    Equals `importance_sampled` for alpha = 0 and `kl_penalty(beta=alpha)` in the first case.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      kl_old_new: `[...]` exact KL(old||new) at the state, nats.
      delta: trusted KL, nats, positive. May be traced.
      alpha: price of one nat out of range, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: released code of Wang, He & Tan 2019, `wangyuhuix/TrulyPPO`.
    """
    check_shapes(log_prob=log_prob, kl_old_new=kl_old_new)
    advantage = as_data(advantage, log_prob)
    surrogate = importance_ratio(log_prob, log_prob_old) * advantage
    won = (kl_old_new >= delta) & (surrogate > advantage)
    return surrogate - alpha * jnp.where(won, kl_old_new, 0.0)


def ppo_clip_kl_penalty(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    kl_old_new: Array,
    *,
    epsilon: Scalar = 0.2,
    beta: Scalar = 0.2,
) -> Array:
    """Belt and braces: the clipped surrogate minus the exact forward KL.

        l = ppo_clip - beta KL(old||new)

    Equals `ppo_clip` for beta = 0 and `kl_penalty` for epsilon -> infinity. Unlike the clip, the
    penalty pulls on the actions that were not sampled.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      kl_old_new: `[...]` exact KL(old||new) at the state, nats.
      epsilon: half-width of the trusted range of the ratio, dimensionless, in (0, 1). May be
        traced.
      beta: price of one nat, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: RLlib's PPO (beta 0.2, adapted); the form of GRPO, Shao et al. 2024, arXiv:2402.03300,
    eq. 3.
    """
    check_shapes(log_prob=log_prob, kl_old_new=kl_old_new)
    return ppo_clip(log_prob, log_prob_old, advantage, epsilon=epsilon) - beta * kl_old_new


def trgppo(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    *,
    epsilon: Scalar = 0.1,
    delta: Scalar = 0.001,
) -> Array:
    """Trust-region-guided PPO: a rare action may grow as far as a small KL allows.

        l = min(r A, clip(r, min(low, 1 - epsilon), max(high, 1 + epsilon)) A),    r = pi(a|s) / o
        h(low) = h(high) = delta,    low < 1 < high,    o = pi_old(a|s)
        h(r) = -o log r + (1 - o) (log(1 - o) - log(1 - o r))

    h(r) is the smallest KL(old||new) among all policies that give this action the ratio r. Equals
    `ppo_clip` for delta = 0, and in the limit o -> 1. Discrete actions only: o must be a
    probability.

    Experimental: the default delta and the outer minimum and maximum are our reading; the released
    code runs on continuous actions only, which are undefined here.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats, not positive; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon: least half-width of the trusted range, dimensionless, in (0, 1). May be traced.
      delta: KL that one action may use up, nats, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Wang et al. 2019, arXiv:1901.10314.
    """
    ratio = importance_ratio(log_prob, log_prob_old)
    advantage = as_data(advantage, log_prob)
    low, high = _range_of_kl(log_prob_old, delta)
    low = jnp.minimum(low.astype(ratio.dtype), 1.0 - epsilon)
    high = jnp.maximum(high.astype(ratio.dtype), 1.0 + epsilon)
    return jnp.minimum(ratio * advantage, jnp.clip(ratio, low, high) * advantage)


@jax.jit  # so that a call outside jit does not compile the loops anew
def _range_of_kl(log_prob_old: Array, delta: Scalar) -> tuple[Array, Array]:
    """The two ratios at which the smallest KL(old||new) of an action reaches delta; data."""
    log_prob_old, delta = jax.lax.stop_gradient((jnp.minimum(log_prob_old, 0.0), delta))
    # Bisection needs more digits than bfloat16 has.
    log_o = log_prob_old.astype(jnp.promote_types(log_prob_old.dtype, jnp.float32))
    o = jnp.exp(log_o)

    def too_far(log_r: Array) -> Array:
        # h(r); log(1 - o r) is NaN where the ratio would push the probability above 1.
        smallest_kl = (1.0 - o) * (jnp.log1p(-o) - jnp.log1p(-o * jnp.exp(log_r))) - o * log_r
        return ~(smallest_kl <= delta)

    def halve(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        near, far = bracket
        middle = 0.5 * (near + far)
        outside = too_far(middle)
        return jnp.where(outside, near, middle), jnp.where(outside, middle, far)

    start = jnp.zeros_like(log_o)
    low, _ = jax.lax.fori_loop(0, 40, halve, (start, jnp.full_like(log_o, -MAX_LOG_RATIO)))
    high, _ = jax.lax.fori_loop(0, 40, halve, (start, jnp.minimum(-log_o, MAX_LOG_RATIO)))
    return jnp.exp(low), jnp.exp(high)
