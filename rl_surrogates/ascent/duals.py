"""How much better is a sample than the rest, as a weight? The duals of V-MPO and REPS.

    psi_i ~ exp(A_i / eta)  on the chosen samples, 0 elsewhere,    sum_i psi_i = 1

is the distribution over samples with the largest mean advantage among those with
KL(psi || uniform) <= epsilon. The temperature eta is the multiplier of that bound: the minimum of
`temperature_loss`, which is convex in it, and whose slope is epsilon - KL(psi || uniform). A shift
of all advantages changes nothing, and a scale only the unit of eta.

The policy then maximises sum_i psi_i log pi(a_i | s_i): the row `policy_gradient` with N psi in the
place of the advantages. It is `awr` with a temperature that is not a hyper-parameter.
"""

import jax
import jax.numpy as jnp
from jax.nn import logsumexp

from rl_surrogates.types import Array, Scalar

WIDEST = 12.0  # eta is sought within e^-12 to e^12 times the range of the advantages
BISECTIONS = 40


def top_half(advantage: Array) -> Array:
    """`[...]` bool: the better half of the samples, rounded up; equals of the last one as well."""
    ordered = jnp.sort(advantage.ravel())
    return advantage >= ordered[ordered.size // 2]


def weights(advantage: Array, eta: Scalar, chosen: Array) -> Array:
    """Weights psi of the chosen samples, whose sum is 1; data.

    Args:
      advantage: `[...]` in units of return, or standardised.
      eta: `[]` temperature, in units of the advantage, positive.
      chosen: `[...]` bool, at least one of them.

    Returns:
      `[...]`, 0 where not chosen.

    Source: Song et al. 2020, arXiv:1909.12238, eq. 4; Peters et al. 2010, eq. 5.
    """
    logits = jnp.where(chosen, advantage / eta, -jnp.inf)
    return jax.lax.stop_gradient(jax.nn.softmax(logits, axis=None))


def weights_kl(psi: Array, chosen: Array) -> Array:
    """`[]` KL(psi || uniform over the chosen), nats: 0 for equal weights, log n for only one."""
    return jnp.sum(jax.scipy.special.xlogy(psi, psi * jnp.sum(chosen)))


def temperature_loss(advantage: Array, eta: Scalar, chosen: Array, *, epsilon: Scalar) -> Array:
    """Dual of the bound on the weights, to minimise in eta.

        L = eta (epsilon + log mean_chosen exp(A / eta)),    dL/deta = epsilon - KL(psi || uniform)

    Args:
      advantage: `[...]` in units of return, or standardised; data.
      eta: `[]` temperature, in units of the advantage, positive.
      chosen: `[...]` bool, at least one of them.
      epsilon: bound on KL(psi || uniform over the chosen), nats, > 0. May be traced.

    Returns:
      `[]` in units of the advantage.

    Source: Song et al. 2020, arXiv:1909.12238, eq. 5.
    """
    log_mean = logsumexp(advantage / eta, where=chosen) - jnp.log(jnp.sum(chosen))
    return eta * (epsilon + log_mean)


def multiplier_loss(alpha: Scalar, kl: Scalar, *, epsilon: Scalar) -> Array:
    """Dual of the bound on how far the policy moves, to minimise in alpha.

        L = alpha (epsilon - KL(old || new)),    the KL is data

    The price grows while the KL is larger than epsilon.

    Args:
      alpha: `[]` price of a nat, positive.
      kl: `[]` mean KL(old || new), nats.
      epsilon: bound on it, nats, > 0. May be traced.

    Source: Song et al. 2020, arXiv:1909.12238, eq. 7.
    """
    return alpha * (epsilon - jax.lax.stop_gradient(kl))


def solve_temperature(advantage: Array, chosen: Array, *, epsilon: Scalar) -> Array:
    """The temperature at which KL(psi || uniform) is epsilon, by bisection of its logarithm.

    Where no temperature reaches epsilon (equal advantages, epsilon > log n) only the best samples
    have weight, and the temperature is the smallest that is tried.

    Args:
      advantage: `[...]` in units of return, or standardised; data.
      chosen: `[...]` bool, at least one of them.
      epsilon: bound, nats, > 0. May be traced.

    Returns:
      `[]` in units of the advantage, positive.
    """
    low = jnp.min(advantage, where=chosen, initial=jnp.inf)
    high = jnp.max(advantage, where=chosen, initial=-jnp.inf)
    unit = jnp.where(high > low, high - low, 1.0)

    def halve(_: int, interval: tuple[Array, Array]) -> tuple[Array, Array]:
        cold, hot = interval
        middle = 0.5 * (cold + hot)
        psi = weights((advantage - high) / unit, jnp.exp(middle), chosen)
        too_cold = weights_kl(psi, chosen) > epsilon
        return jnp.where(too_cold, middle, cold), jnp.where(too_cold, hot, middle)

    ends = (jnp.float32(-WIDEST), jnp.float32(WIDEST))
    cold, hot = jax.lax.fori_loop(0, BISECTIONS, halve, ends)
    return jax.lax.stop_gradient(unit * jnp.exp(0.5 * (cold + hot)))
