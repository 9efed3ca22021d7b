"""Where does a surrogate point, beside the policy gradient and beside every other surrogate?

The gradients of K surrogates on one batch share a forward pass, and their backward passes are one
batched product. So `shadow_objectives` answers on given data, without any update, what each row of
the catalogue would have done.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from rl_surrogates import distributions
from rl_surrogates.diagnostics.distance import Surrogate
from rl_surrogates.types import Array, Distribution, Info, Params

Policy = Callable[[Params], Distribution]  # parameters -> policy at the samples of a batch


class Shadow(NamedTuple):
    """The gradients that several surrogates have on one batch, compared."""

    norm: Array  # [K] length of the gradient of the mean objective
    cosine: Array  # [K, K] of the angle between two of them; NaN where one is zero


def gradients(policy: Policy, params: Params, surrogates: Mapping[str, Surrogate]) -> Params:
    """Gradients of the mean of each of K surrogates, stacked: leaves `[K, ...]`.

    Args:
      policy: parameters -> policy at the samples.
      params: where the gradients are taken; a pytree.
      surrogates: name -> objective per sample, as a function of the policy at the samples.
    """

    def at(params: Params) -> tuple[list[Array], Distribution]:
        pi = policy(params)
        return distributions.numbers(pi), pi

    numbers, pull_back, pi = jax.vjp(at, params, has_aux=True)
    slopes = [jax.grad(_mean_of(surrogate, pi))(numbers) for surrogate in surrogates.values()]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *slopes)
    return jax.vmap(pull_back)(stacked)[0]


def shadow_objectives(
    policy: Policy, params: Params, surrogates: Mapping[str, Surrogate]
) -> Shadow:
    """What the gradient of each surrogate would be on the same batch, without an update.

    Args and cost: those of `gradients`; about K backward passes of the policy over the batch.

    Returns:
      Norms `[K]` and cosines `[K, K]`, in the order of `surrogates`.
    """
    stacked = gradients(policy, params, surrogates)
    flat = [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(stacked)]
    product = sum(leaf @ leaf.T for leaf in flat)
    norm = jnp.sqrt(jnp.diagonal(product))
    return Shadow(norm, _over(product, norm[:, None] * norm[None, :]))


def shadow_metrics(shadow: Shadow, names: tuple[str, ...]) -> Info:
    """`shadow_norm.<name>` and `shadow_cosine.<name>` of all but the first, which they are compared
    with.
    """
    norms = {f"shadow_norm.{name}": shadow.norm[k + 1] for k, name in enumerate(names)}
    cosines = {f"shadow_cosine.{name}": shadow.cosine[0, k + 1] for k, name in enumerate(names)}
    return {**norms, **cosines}


def gradient_cosine(
    policy: Policy, params: Params, surrogate: Surrogate, reference: Surrogate
) -> Array:
    """Cosine of the angle between the gradients of two surrogates, in [-1, 1]; NaN where one is 0.

    With `importance_sampled` for reference this is the angle to the policy gradient at `params`, as
    the data of the old policy estimate it.

    Source: the comparison is that of Ilyas et al. 2018, arXiv:1811.02553, section 3.1.
    """
    pair = {"surrogate": surrogate, "reference": reference}
    return shadow_objectives(policy, jax.lax.stop_gradient(params), pair).cosine[0, 1]


def cosine(x: Params, y: Params) -> Array:
    """Cosine of the angle between two pytrees of one structure; NaN where one is zero."""
    return _over(_dot(x, y), jnp.sqrt(_dot(x, x) * _dot(y, y)))


def improvement(policy: Policy, surrogate: Surrogate, old: Params, new: Params) -> Info:
    """What an update was to gain on its own batch, and what it did gain.

        predicted_improvement = grad L(old) . (new - old)
        surrogate_improvement = L(new) - L(old),    L the mean objective

    In units of the advantage. Where they part, the first-order model has been left behind.
    """

    def mean_objective(params: Params) -> Array:
        return jnp.mean(surrogate(policy(params)))

    before, slope = jax.value_and_grad(mean_objective)(old)
    step = jax.tree.map(jnp.subtract, new, old)
    return {
        "predicted_improvement": _dot(slope, step),
        "surrogate_improvement": mean_objective(new) - before,
    }


def _mean_of(surrogate: Surrogate, pi: Distribution) -> Callable[[list[Array]], Array]:
    return lambda numbers: jnp.mean(surrogate(distributions.with_numbers(pi, numbers)))


def _dot(x: Params, y: Params) -> Array:
    return sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True))


def _over(product: Array, lengths: Array) -> Array:
    defined = lengths > 0.0
    return jnp.where(defined, product / jnp.where(defined, lengths, 1.0), jnp.nan)
