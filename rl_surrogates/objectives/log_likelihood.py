"""Surrogates of the log-likelihood: what policy gradients maximised before the ratio.

    E_old[A log pi(a|s)]

has the right gradient at the policy that acted and nowhere else. Away from it a baseline in A turns
into a pull towards the old policy, `E_old[b d] = -b KL(old||new)`, and without one the surrogate
has no maximum. Two rows repair that by clipping the log-ratio d, one by paying for the divergence
explicitly.
"""

import jax.numpy as jnp

from rl_surrogates.divergences import check_shapes, log_ratio
from rl_surrogates.objectives.inputs import as_data
from rl_surrogates.types import Array, Scalar


def policy_gradient(log_prob: Array, advantage: Array) -> Array:
    """Likelihood-ratio policy gradient, the surrogate of REINFORCE and A2C.

        l = A log pi(a|s)

    With one step per rollout every first-order row gives its update. Repeated on the same data it
    is the destructive control: the slope `A` never weakens.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      advantage: `[...]` in units of return, or standardised; data.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Williams 1992; Schulman et al. 2017, arXiv:1707.06347, eq. 2.
    """
    return as_data(advantage, log_prob) * log_prob


def log_clip(
    log_prob: Array, log_prob_old: Array, advantage: Array, *, epsilon: Scalar = 0.2
) -> Array:
    """Pessimistic clipping of the log-ratio instead of the ratio.

        l = min(A d, A clip(d, log(1 - epsilon), log(1 + epsilon)))
        d = log pi(a|s) - log pi_old(a|s)

    Its slope is that of `ppo_clip` divided by the ratio. Has the gradient of `policy_gradient`
    inside the range.

    Experimental: the source says that clipping in log space did no better, not how; that the range
    is the image of the ratio's range is our reading.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon: half-width of the trusted range of the ratio, dimensionless, in (0, 1). May be
        traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Schulman et al. 2017, arXiv:1707.06347, section 6.1.
    """
    d = log_ratio(log_prob, log_prob_old)
    advantage = as_data(advantage, log_prob)
    # An epsilon of 1 or more trusts every ratio below 1: the bound is log 0, never NaN.
    low = jnp.log(jnp.maximum(1.0 - epsilon, 0.0))
    high = jnp.log1p(epsilon)
    return jnp.minimum(advantage * d, advantage * jnp.clip(d, low, high))


def sppo(log_prob: Array, log_prob_old: Array, advantage: Array, *, epsilon: Scalar = 0.3) -> Array:
    """Softmax PPO: the log-ratio clipped to a symmetric range, for good and bad samples alike.

        l = A clip(d, -log(1 + epsilon), log(1 + epsilon)),    d = log pi(a|s) - log pi_old(a|s)

    Has the gradient of `policy_gradient` inside the range and none outside: without a minimum, a
    sample that left the range the wrong way is not pulled back.

    Experimental: bounds and default are read from the paper's description of its experiments.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      epsilon: the ratio is trusted in [1/(1 + epsilon), 1 + epsilon], dimensionless, positive. May
        be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Vaswani et al. 2022, arXiv:2108.05828.
    """
    d = log_ratio(log_prob, log_prob_old)
    bound = jnp.log1p(epsilon)
    return as_data(advantage, log_prob) * jnp.clip(d, -bound, bound)


def smdpo(
    log_prob: Array,
    log_prob_old: Array,
    advantage: Array,
    kl_old_new: Array,
    *,
    inverse_step: Scalar = 1.0,
) -> Array:
    """Mirror descent in the logits of a softmax policy: the log-ratio with its own divergence.

        l = A d - inverse_step KL(old||new),    d = log pi(a|s) - log pi_old(a|s)

    Equals `policy_gradient` up to a constant for inverse_step = 0. At one state the maximiser is
    `pi_old (1 + A / inverse_step)` where that is positive.

    Experimental: the name is ours. The paper's sample form is `(A + inverse_step) d`, equal in
    expectation; the exact KL is used so that the slope at d = 0 is A for every sample.

    Args:
      log_prob: `[...]` of the policy being improved, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      advantage: `[...]` in units of return, or standardised; data.
      kl_old_new: `[...]` exact KL(old||new) at the state, nats.
      inverse_step: price of one nat, in units of the advantage, not negative. May be traced.

    Returns:
      `[...]` objective per sample, to be maximised. Not reduced: average or mask it outside.

    Source: Vaswani et al. 2022, arXiv:2108.05828, softmax representation.
    """
    check_shapes(log_prob=log_prob, kl_old_new=kl_old_new)
    d = log_ratio(log_prob, log_prob_old)
    return as_data(advantage, log_prob) * d - inverse_step * kl_old_new
