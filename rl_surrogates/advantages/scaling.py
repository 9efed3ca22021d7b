"""On which scale does an advantage enter the objective?

The scope is whatever is passed: a minibatch, a batch, never more than one seed. A group is a set of
rollouts from the same start, along the last axis; its mean replaces a value function.
"""

import jax.numpy as jnp

from rl_surrogates.types import Array, Scalar


def standardise(advantage: Array, *, min_std: Scalar = 1e-8) -> Array:
    """Advantages with mean 0 and standard deviation 1 over all axes.

        (A - mean A) / (std A + min_std)

    A constant batch gives 0.

    Args:
      advantage: `[...]` units of return.
      min_std: added to the standard deviation (of the population, no n - 1), units of return,
        positive.

    Returns:
      `[...]` dimensionless.

    Source: common practice; Andrychowicz et al. 2021, arXiv:2006.05990.
    """
    centred = _centre(advantage)
    return centred / (_root_mean_square(centred) + min_std)


def scale_only(advantage: Array, *, min_std: Scalar = 1e-8) -> Array:
    """Advantages divided by their standard deviation and not centred: no sign changes.

        A / (std A + min_std)

    Args:
      advantage: `[...]` units of return.
      min_std: added to the standard deviation, units of return, positive.

    Returns:
      `[...]` dimensionless.

    Source: common practice.
    """
    return advantage / (_root_mean_square(_centre(advantage)) + min_std)


def group_standardise(returns: Array, *, min_std: Scalar = 1e-8) -> Array:
    """Returns of a group, standardised within it, as group relative policy optimisation does.

        A_i = (G_i - mean G) / (std G + min_std)

    A group whose members all did equally well gives 0.

    Args:
      returns: `[..., G]` one return per member, units of return.
      min_std: added to the standard deviation (of the population), units of return, positive.

    Returns:
      `[..., G]` dimensionless.

    Source: Shao et al. 2024, arXiv:2402.03300, section 4.1.2.
    """
    centred = group_centre(returns)
    return centred / (_root_mean_square(centred, axis=-1) + min_std)


def group_centre(returns: Array) -> Array:
    """Returns of a group minus their mean, left on their own scale.

        A_i = G_i - mean G

    Args:
      returns: `[..., G]` one return per member, units of return.

    Returns:
      `[..., G]` units of return.

    Source: Liu et al. 2025 (Dr. GRPO), arXiv:2503.20783.
    """
    return _centre(returns, axis=-1)


def leave_one_out(returns: Array) -> Array:
    """Returns of a group, each minus the mean of the others, which does not depend on its action.

        A_i = G_i - sum_{j != i} G_j / (G - 1)

    Equals `group_centre` times G / (G - 1).

    Args:
      returns: `[..., G]` one return per member, units of return; G at least 2.

    Returns:
      `[..., G]` units of return.

    Raises:
      ValueError: a group of one has no others.

    Source: Kool et al. 2019; Ahmadian et al. 2024, arXiv:2402.14740.
    """
    size = returns.shape[-1]
    if size < 2:
        raise ValueError(f"returns has groups of {size}: leaving one out needs at least 2 members")
    return group_centre(returns) * (size / (size - 1.0))


def balanced_signs(advantage: Array, alpha: Scalar) -> Array:
    """Signs of the advantages, weighted so that the good and the bad set are averaged apart.

        alpha N / N_good          where A >= 0
        -(1 - alpha) N / N_bad    where A < 0

    The mean of `policy_gradient` on it is alpha times the mean log-probability of the good set
    minus 1 - alpha times that of the bad one.

    Args:
      advantage: `[...]` of any scale: only its sign is used.
      alpha: weight of the good set, dimensionless, in [0, 1]. May be traced.

    Returns:
      `[...]` dimensionless; an empty set contributes nothing.

    Source: Abdolmaleki et al. 2024, arXiv:2410.04166.
    """
    good = advantage >= 0.0
    num_good = good.sum()
    num_bad = good.size - num_good
    weight_good = alpha * good.size / jnp.maximum(num_good, 1)
    weight_bad = (1.0 - alpha) * good.size / jnp.maximum(num_bad, 1)
    return jnp.where(good, weight_good, -weight_bad).astype(advantage.dtype)


def _centre(x: Array, axis: int | None = None) -> Array:
    # Twice: the first mean rounds, and a constant batch would divide that by almost nothing.
    centred = x - x.mean(axis, keepdims=True)
    return centred - centred.mean(axis, keepdims=True)


def _root_mean_square(x: Array, axis: int | None = None) -> Array:
    return jnp.sqrt(jnp.square(x).mean(axis, keepdims=True))
