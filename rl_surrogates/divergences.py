"""How far apart are two policies, judged from samples of the old one?

Everything here is a function of `d = log pi(a|s) - log pi_old(a|s)` or of two distributions. The
per-sample functions are unreduced: their mean over samples of the old policy estimates the
divergence, and gradients flow through `log_prob` only. Of the three estimators of KL(old||new),
`k3` is the default: unbiased, never negative, and without gradient noise at d = 0.
"""

import jax
import jax.numpy as jnp
from jax.nn import logsumexp

from rl_surrogates.types import Array, Distribution, Scalar

MAX_LOG_RATIO = 20.0  # beyond it the value of d saturates; e^20 is 4.9e8, e^80 still a float32


def check_shapes(**arrays: Array) -> None:
    """Checks that arrays broadcast against each other.

    Raises:
      ValueError: they do not; names each with its shape.
    """
    shapes = {name: jnp.shape(array) for name, array in arrays.items()}
    try:
        jnp.broadcast_shapes(*shapes.values())
    except ValueError:
        listed = ", ".join(f"{name} has shape {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"{listed}: these do not broadcast; give each one value per sample, in the same shape"
        ) from None


def log_ratio(log_prob: Array, log_prob_old: Array) -> Array:
    """Log-ratio d of the new to the old policy, `[...]` in nats; `log_prob_old` is data.

    Raises:
      ValueError: the two shapes do not broadcast.
    """
    check_shapes(log_prob=log_prob, log_prob_old=log_prob_old)
    return log_prob - jax.lax.stop_gradient(log_prob_old)


def saturate(d: Array) -> Array:
    """Limits the value of a log-ratio to +-20 and keeps its derivative 1 (straight-through)."""
    # `d - sg(d)` is exactly 0 in value; the shorter `d - sg(d - clip(d))` cancels for large d.
    limited = jax.lax.stop_gradient(jnp.clip(d, -MAX_LOG_RATIO, MAX_LOG_RATIO))
    return limited + (d - jax.lax.stop_gradient(d))


def k1(log_prob: Array, log_prob_old: Array) -> Array:
    """Plain estimator of KL(old||new) from samples of the old policy.

        k1 = -d,    d = log pi(a|s) - log pi_old(a|s)

    Unbiased, of either sign, and with gradient noise even at d = 0.

    Args:
      log_prob: `[...]` of the new policy, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.

    Returns:
      `[...]` estimate per sample, nats.

    Source: Schulman 2020, "Approximating KL divergence".
    """
    return -log_ratio(log_prob, log_prob_old)


def k2(log_prob: Array, log_prob_old: Array) -> Array:
    """Squared-log estimator of KL(old||new) from samples of the old policy.

        k2 = d^2 / 2,    d = log pi(a|s) - log pi_old(a|s)

    Biased to third order in d, never negative.

    Args:
      log_prob: `[...]` of the new policy, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.

    Returns:
      `[...]` estimate per sample, nats.

    Source: Schulman 2020, "Approximating KL divergence".
    """
    return 0.5 * jnp.square(log_ratio(log_prob, log_prob_old))


def k3(log_prob: Array, log_prob_old: Array) -> Array:
    """Low-variance estimator of KL(old||new) from samples of the old policy.

        k3 = (r - 1) - d,    d = log r = log pi(a|s) - log pi_old(a|s)

    Unbiased and never negative; its gradient is zero per sample at d = 0.

    Args:
      log_prob: `[...]` of the new policy, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.

    Returns:
      `[...]` estimate per sample, nats.

    Source: Schulman 2020, "Approximating KL divergence".
    """
    d = log_ratio(log_prob, log_prob_old)
    # expm1, because (r - 1) - d loses every digit near d = 0.
    return jnp.expm1(saturate(d)) - d


def f_alpha(log_prob: Array, log_prob_old: Array, *, alpha: Scalar) -> Array:
    """Sampled alpha-divergence of the new from the old policy, normalised to d^2 / 2 near d = 0.

        f = (r^alpha - 1 - alpha (r - 1)) / (alpha (alpha - 1)),    r = pi(a|s) / pi_old(a|s)

    Tends to `k3` for alpha -> 0 and to `r log r - (r - 1)`, an estimate of KL(new||old), for
    alpha -> 1. At 2 it is half of `chi_square`, at 1/2 four times `squared_hellinger`.

    Args:
      log_prob: `[...]` of the new policy, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.
      alpha: order, dimensionless, not 0 or 1; in [-1, 4] nothing overflows. May be traced.

    Returns:
      `[...]` estimate per sample, not negative.

    Source: Belousov & Peters 2017, arXiv:1801.00056.
    """
    d = saturate(log_ratio(log_prob, log_prob_old))
    return (jnp.expm1(alpha * d) - alpha * jnp.expm1(d)) / (alpha * (alpha - 1.0))


def chi_square(log_prob: Array, log_prob_old: Array) -> Array:
    """Sampled chi-square divergence of the new from the old policy.

        f = (r - 1)^2,    E_old[f] = E_old[r^2] - 1,    r = pi(a|s) / pi_old(a|s)

    Twice `f_alpha(alpha=2)`; its expectation is `exp(renyi2) - 1`.

    Args:
      log_prob: `[...]` of the new policy, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.

    Returns:
      `[...]` estimate per sample, not negative.

    Source: definition.
    """
    return jnp.square(jnp.expm1(saturate(log_ratio(log_prob, log_prob_old))))


def squared_hellinger(log_prob: Array, log_prob_old: Array) -> Array:
    """Sampled squared Hellinger distance of the two policies.

        f = (1 - sqrt r)^2 / 2,    r = pi(a|s) / pi_old(a|s)
        E_old[f] = 1 - sum_a sqrt(pi pi_old)

    A quarter of `f_alpha(alpha=1/2)`; its expectation lies in [0, 1].

    Args:
      log_prob: `[...]` of the new policy, nats.
      log_prob_old: `[...]` of the policy that acted, nats; data.

    Returns:
      `[...]` estimate per sample, not negative.

    Source: definition.
    """
    return 0.5 * jnp.square(jnp.expm1(0.5 * saturate(log_ratio(log_prob, log_prob_old))))


def renyi2(new: Distribution, old: Distribution) -> Array:
    """Renyi divergence of order 2, exact: the logarithm of the second moment of the ratio.

        D_2(new||old) = log E_old[r^2]
        categorical:           log sum_a p^2 / q
        Gaussian, per axis:    log(s_q / s_p) + log(s_q^2 / v) / 2 + (m_p - m_q)^2 / v
        v = 2 s_q^2 - s_p^2

    Infinite for a Gaussian with v <= 0, where the ratio has no second moment. Factors add up. A
    squashed Gaussian has that of the Gaussian below, since both are squashed alike.

    Args:
      new: distribution over actions with normalised `log_probs`, or `mean` and `log_std` (event
        axis last), or a tuple of `logits`, one per factor.
      old: the same kind.

    Returns:
      `[...]` nats, one per state.

    Raises:
      TypeError: the two are not of the same kind, or of none that has a closed form here.

    Source: Renyi 1961; Metelli et al. 2018, arXiv:1809.06098, section 3 and appendix for the
    Gaussian.
    """
    match new, old:
        case object(logits=tuple() as p), object(logits=tuple() as q):
            factors = zip(map(jax.nn.log_softmax, p), map(jax.nn.log_softmax, q), strict=True)
            return sum(_renyi2_categorical(*pair) for pair in factors)
        case object(log_probs=p), object(log_probs=q):
            return _renyi2_categorical(p, q)
        case object(mean=p, log_std=log_p), object(mean=q, log_std=log_q):
            return _renyi2_gaussian(p, log_p, q, log_q)
    raise TypeError(
        f"renyi2 of {type(new).__name__} and {type(old).__name__}: "
        "both need `log_probs`, or both `mean` and `log_std`, or both a tuple of `logits`"
    )


def effective_sample_size(log_ratio: Array) -> Array:
    """Number of equally weighted samples that weighted ones are worth.

        ESS = (sum_i w_i)^2 / sum_i w_i^2,    w_i = exp(log_ratio_i)

    n where all ratios agree, 1 where one of them outweighs the rest. Invariant to a common factor.

    Args:
      log_ratio: `[..., n]` nats; whole trajectories or single steps.

    Returns:
      `[...]` in [1, n], over the last axis.

    Source: Kish 1965; Owen 2013, "Monte Carlo theory, methods and examples", chapter 9.3.
    """
    log_ess = 2.0 * logsumexp(log_ratio, axis=-1) - logsumexp(2.0 * log_ratio, axis=-1)
    return jnp.clip(jnp.exp(log_ess), 1.0, log_ratio.shape[-1])


def _renyi2_categorical(log_p: Array, log_q: Array) -> Array:
    return logsumexp(2.0 * log_p - log_q, axis=-1)


def _renyi2_gaussian(mean_p: Array, log_std_p: Array, mean_q: Array, log_std_q: Array) -> Array:
    # v in units of s_q^2; the inner `where` keeps the untaken branch, and so its gradient, finite.
    v = 2.0 - jnp.exp(2.0 * (log_std_p - log_std_q))
    safe_v = jnp.where(v > 0.0, v, 1.0)
    shift = jnp.square((mean_p - mean_q) * jnp.exp(-log_std_q))
    per_axis = log_std_q - log_std_p - 0.5 * jnp.log(safe_v) + shift / safe_v
    return jnp.where(v > 0.0, per_axis, jnp.inf).sum(axis=-1)
