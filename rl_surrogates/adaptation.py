"""How does a coefficient move between two updates?

A rule takes the coefficient and what the last update measured, and returns the coefficient of the
*next* update; inside one update it never moves.
"""

import jax.numpy as jnp

from rl_surrogates.types import Array, Scalar

SMALLEST, LARGEST = (
    1e-6,
    1e6,
)  # keeps beta positive and finite however long the KL stays on one side


def adaptive_kl(beta: Scalar, kl: Scalar, *, target: Scalar) -> Array:
    """The KL penalty's adaptive coefficient.

        beta / 2  where kl < target / 1.5,     2 beta  where kl > 1.5 target,     beta  otherwise

    Once per update, from the KL of the whole batch after the update. Others use other thresholds
    and factors (RLlib: above 2 target x1.5, below target / 2 x0.5) or adapt at every minibatch;
    this is the paper's rule.

    Args:
      beta: `[]` coefficient of this update, > 0.
      kl: `[]` mean KL(old || new) that the update produced, nats. NaN leaves beta as it is.
      target: `[]` KL to aim at, nats, > 0. May be traced.

    Returns:
      `[]` coefficient of the next update, in [1e-6, 1e6].

    Source: Schulman et al. 2017, arXiv:1707.06347, section 4.
    """
    factor = jnp.where(kl > 1.5 * target, 2.0, jnp.where(kl < target / 1.5, 0.5, 1.0))
    return jnp.clip(beta * factor, SMALLEST, LARGEST)


def linear_anneal(update: Scalar, num_updates: int) -> Array:
    """Fraction `1 - update / num_updates` of what falls linearly: 1 at first, never quite 0."""
    return 1.0 - update / num_updates
