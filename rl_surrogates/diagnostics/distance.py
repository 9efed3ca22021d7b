"""How far has the policy moved from the one that acted, and which samples still pull?

`policy_shift` is measured at every minibatch, on the way; `movement` once per update, when it is
over, on all of its samples.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from rl_surrogates import distributions, divergences
from rl_surrogates.types import Array, Distribution, Info

CLIP_RANGE = 0.2  # one range for every objective, so that their clip fractions can be compared
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

Surrogate = Callable[[Distribution], Array]  # policy at the samples -> objective per sample


def policy_shift(log_prob: Array, log_prob_old: Array) -> Info:
    """How far the policy has moved from the one that acted, on `[...]` samples.

    Returns:
      `approx_kl`: mean k3 estimate of KL(old || new), nats, >= 0. `clip_fraction`: share of samples
      with |r - 1| > 0.2. `ratio_deviation`: mean |r - 1|. `ratio_error`: max |r - 1|; before the
      first step of an update it is 0 up to rounding, whatever the objective.
    """
    ratio_error = jnp.abs(jnp.expm1(log_prob - log_prob_old))
    return {
        "approx_kl": jnp.mean(divergences.k3(log_prob, log_prob_old)),
        "clip_fraction": jnp.mean(ratio_error > CLIP_RANGE),
        "ratio_deviation": jnp.mean(ratio_error),
        "ratio_error": jnp.max(ratio_error),
    }


def movement(
    new: Distribution, old: Distribution, action: Array, log_prob_old: Array, advantage: Array
) -> Info:
    """How far a whole update has moved the policy, on all `[...]` samples of its batch.

    Args:
      new: the policy after the update, at the states of the batch.
      old: the policy that acted, at the same states.
      action: `[...]` the actions taken.
      log_prob_old: `[...]` of the policy that acted, nats.
      advantage: `[...]` as the objective saw it; only its sign counts.

    Returns:
      `kl_old_new`, `kl_new_old`: mean exact KLs, nats. `k1`, `k2`, `k3`: mean sampled estimates of
      the first. `ratio_min`, `ratio_max`. `clip_fraction_positive`, `clip_fraction_negative`: share
      of all samples with |r - 1| > 0.2 and an advantage of that sign; they add up to the clip
      fraction where no advantage is 0. `effective_sample_size`: how many samples the batch is still
      worth under the new policy, in [1, N].
    """
    log_prob = new.log_prob(action)
    d = divergences.log_ratio(log_prob, log_prob_old)
    ratio = jnp.exp(divergences.saturate(d))
    outside = jnp.abs(jnp.expm1(d)) > CLIP_RANGE
    estimates = {name: getattr(divergences, name) for name in ("k1", "k2", "k3")}
    return {
        "kl_old_new": jnp.mean(old.kl(new)),
        "kl_new_old": jnp.mean(new.kl(old)),
        **{name: jnp.mean(k(log_prob, log_prob_old)) for name, k in estimates.items()},
        "ratio_min": jnp.min(ratio),
        "ratio_max": jnp.max(ratio),
        "clip_fraction_positive": jnp.mean(outside & (advantage > 0.0)),
        "clip_fraction_negative": jnp.mean(outside & (advantage < 0.0)),
        "effective_sample_size": divergences.effective_sample_size(d.ravel()),
    }


def ratio_quantiles(log_prob: Array, log_prob_old: Array) -> Info:
    """`ratio_q05` to `ratio_q95` of all samples; the sort costs more than all of `movement`."""
    d = divergences.saturate(divergences.log_ratio(log_prob, log_prob_old)).ravel()
    levels = jnp.exp(jnp.quantile(d, jnp.array(QUANTILES)))
    return {f"ratio_q{100 * q:02.0f}": level for q, level in zip(QUANTILES, levels, strict=True)}


def zero_gradient_share(surrogate: Surrogate, policy: Distribution) -> Array:
    """Share of samples that no longer move the policy: all partials of their objective are 0.

    The partials are those in the distribution's own parameters, so that a KL counts as well.

    Args:
      surrogate: objective `[...]` per sample, as a function of the policy at the samples.
      policy: a distribution over `[...]` samples.
    """
    shape = jax.eval_shape(surrogate, policy).shape

    def total(numbers: list[Array]) -> Array:
        return jnp.sum(surrogate(distributions.with_numbers(policy, numbers)))

    partials = jax.grad(total)(distributions.numbers(policy))
    still = jnp.ones(shape, bool)
    for leaf in partials:
        event = tuple(range(len(shape), leaf.ndim))
        still &= jnp.all(leaf == 0.0, axis=event)
    return jnp.mean(still)
