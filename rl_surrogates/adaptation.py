"""How does a number move between two updates?

A rule takes the number and what the last update measured, and returns the number of the *next*
update; inside one update it never moves. Some rules follow the KL that the update produced, the
others only count updates. `RULES` maps the name that a config uses to a rule; what it moves is a
coefficient of the objective, the entropy bonus, the learning rate or the bound of a trust region.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from rl_surrogates.objectives import choice
from rl_surrogates.types import Array, Scalar

OBJECTIVE = "objective."  # how the path of a coefficient of the objective begins
SMALLEST, LARGEST = 1e-6, 1e6  # beta stays positive and finite however long the KL is off target
SLOWEST, FASTEST = 1e-5, 1e-2  # learning rates that `adaptive_learning_rate` stays between


def adaptive_kl(beta: Scalar, kl: Scalar, *, target: Scalar) -> Array:
    """The KL penalty's adaptive coefficient, by PPO's own rule.

        beta / 2  where kl < target / 1.5,     2 beta  where kl > 1.5 target,     beta  otherwise

    Once per update, from the KL of the whole batch after the update. torchrl adapts at every
    minibatch instead; `rllib_kl` and `proportional_kl` have other thresholds and factors.

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


def rllib_kl(beta: Scalar, kl: Scalar, *, target: Scalar) -> Array:
    """The KL penalty's adaptive coefficient, by RLlib's rule: slower up, and a wider quiet range.

        beta / 2  where kl < target / 2,     1.5 beta  where kl > 2 target,     beta  otherwise

    RLlib uses it with `ppo_clip_kl_penalty`, from beta = 0.2.

    Args:
      beta: `[]` coefficient of this update, > 0.
      kl: `[]` mean KL(old || new) that the update produced, nats. NaN leaves beta as it is.
      target: `[]` KL to aim at, nats, > 0. May be traced.

    Returns:
      `[]` coefficient of the next update, in [1e-6, 1e6].

    Source: Liang et al. 2018, arXiv:1712.09381, and RLlib's code.
    """
    factor = jnp.where(kl > 2.0 * target, 1.5, jnp.where(kl < 0.5 * target, 0.5, 1.0))
    return jnp.clip(beta * factor, SMALLEST, LARGEST)


def proportional_kl(
    beta: Scalar, kl: Scalar, *, target: Scalar, num_samples: int, horizon: Scalar
) -> Array:
    """The KL penalty's adaptive coefficient, by a proportional controller in log space.

        beta (1 + e num_samples / horizon),    e = clip(kl / target - 1, -0.2, 0.2)

    The rule of learning from human preferences (TRL, verl): at most 20 % in `horizon` samples.

    Args:
      beta: `[]` coefficient of this update, > 0.
      kl: `[]` mean KL(old || new) that the update produced, nats. NaN leaves beta as it is.
      target: `[]` KL to aim at, nats, > 0. May be traced.
      num_samples: of one update, N.
      horizon: `[]` samples, at least N. May be traced.

    Returns:
      `[]` coefficient of the next update, in [1e-6, 1e6].

    Source: Ziegler et al. 2019, arXiv:1909.08593, section 2.2.
    """
    error = jnp.clip(kl / target - 1.0, -0.2, 0.2)
    error = jnp.where(jnp.isnan(error), 0.0, error)
    return jnp.clip(beta * (1.0 + error * num_samples / horizon), SMALLEST, LARGEST)


def adaptive_learning_rate(learning_rate: Scalar, kl: Scalar, *, target: Scalar) -> Array:
    """The learning rate that keeps the KL of an update near a target.

        rate / 1.5  where kl > 2 target,     1.5 rate  where kl < target / 2,     rate  otherwise

    Once per update, for the next one. RSL-RL adapts at every minibatch, before its step.

    Args:
      learning_rate: `[]` of this update, > 0.
      kl: `[]` mean KL(old || new) that the update produced, nats. NaN leaves the rate as it is.
      target: `[]` KL to aim at, nats, > 0. May be traced.

    Returns:
      `[]` learning rate of the next update, in [1e-5, 1e-2].

    Source: Rudin et al. 2021, arXiv:2109.11978, and the code of RSL-RL.
    """
    factor = jnp.where(kl > 2.0 * target, 1.0 / 1.5, jnp.where(kl < 0.5 * target, 1.5, 1.0))
    return jnp.clip(learning_rate * factor, SLOWEST, FASTEST)


def mdpo_inverse_step(update: Scalar, num_updates: int) -> Array:
    """Price of a nat in mirror descent, with MDPO's step size annealed to 0.

        1 / t,    t = 1 - update / num_updates

    The step t falls linearly; the coefficient is its reciprocal, and grows without being linear.

    Args:
      update: `[]` updates done, from 0. May be traced.
      num_updates: length of the training, K.

    Returns:
      `[]` `inverse_step` of that update: 1 at first, K in the last update and ever after.

    Source: Tomar et al. 2020, arXiv:2005.09814.
    """
    return num_updates / jnp.maximum(num_updates - jnp.asarray(update, jnp.float32), 1.0)


def linear_anneal(update: Scalar, num_updates: int) -> Array:
    """Fraction `1 - update / num_updates` of what falls linearly: 1 at first, never quite 0."""
    return 1.0 - update / num_updates


class Seen(NamedTuple):
    """What a rule may read, after an update."""

    kl: Array  # [] mean KL(old || new) over the whole batch, nats
    update: Array  # [] int32 updates done: the number of the next one
    num_updates: int  # length of the training
    num_samples: int  # of one update
    hypers: Any  # the traced numbers of the rule


Rule = Callable[[Array, Array, Seen], Array]  # (value, value at first, seen) -> next value

RULES: Mapping[str, Rule] = {
    "adaptive_kl": lambda beta, _, seen: adaptive_kl(beta, seen.kl, target=seen.hypers.target),
    "rllib_kl": lambda beta, _, seen: rllib_kl(beta, seen.kl, target=seen.hypers.target),
    "proportional_kl": lambda beta, _, seen: proportional_kl(
        beta,
        seen.kl,
        target=seen.hypers.target,
        num_samples=seen.num_samples,
        horizon=seen.hypers.horizon,
    ),
    "adaptive_learning_rate": lambda rate, _, seen: adaptive_learning_rate(
        rate, seen.kl, target=seen.hypers.target
    ),
    "mdpo_inverse_step": lambda _, first, seen: (
        first * mdpo_inverse_step(seen.update, seen.num_updates)
    ),
    "linear_anneal": lambda _, first, seen: first * linear_anneal(seen.update, seen.num_updates),
}


def beside(path: str, hypers: Any) -> dict[str, Array]:
    """What an adaptation of `path` moves outside the objective, as it is at first."""
    return {} if path.startswith(OBJECTIVE) else {path: _at(hypers, path)}


def current(hypers: Any, adapted: Mapping[str, Array]) -> Any:
    """The numbers of a run, with those at the paths of `adapted` where they have moved to."""
    for path, value in adapted.items():
        hypers = _put(hypers, path, value)
    return hypers


def adapt(
    rule: Rule,
    path: str,
    coefficients: dict[str, Array],
    adapted: dict[str, Array],
    hypers: Any,
    seen: Seen,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """`coefficients` and `adapted` of the next update, with what `path` means moved by `rule`."""
    if adapted:
        first = {name: _at(hypers, name) for name in adapted}
        return coefficients, {k: rule(v, first[k], seen) for k, v in adapted.items()}
    held = choice.held_names(path.removeprefix(OBJECTIVE), coefficients)
    moved = {k: rule(coefficients[k], hypers.objective[k], seen) for k in held}
    return {**coefficients, **moved}, adapted


def _at(hypers: Any, path: str) -> Array:
    for name in path.split("."):
        hypers = getattr(hypers, name)
    return hypers


def _put(hypers: Any, path: str, value: Array) -> Any:
    head, _, rest = path.partition(".")
    inner = _put(getattr(hypers, head), rest, value) if rest else value
    return hypers._replace(**{head: inner})
