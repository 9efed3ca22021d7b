"""Which action distributions can a policy have, and what is exact about them?

Each is a NamedTuple of its parameters, event axis last and everything else batch: a pytree that
crosses `scan` and `vmap`. KLs are closed forms, entropies too, or quadrature where there is none;
never samples. `x.kl(x)` is exactly 0, and its gradient there is 0 too. `log_prob` is of a sample as
it was drawn; `action(sample)` is what the sample does, for `spaces.to_environment` to scale.
`sample(key)` is `perturbed(noise(key))`: noise needs shapes only, and a rollout draws that of all
its steps at once.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rl_surrogates.types import Array, Distribution

NODES, WEIGHTS = np.polynomial.hermite.hermgauss(64)
FORBIDDEN = -1e9  # a large finite logit: with -inf, inf - inf is NaN in the gradients


class Categorical(NamedTuple):
    """One action out of `A`, with probabilities `softmax(logits)` over the allowed ones."""

    logits: Array  # [..., A] unnormalised
    mask: Array | None = None  # [..., A] bool, True = allowed

    @property
    def log_probs(self) -> Array:
        """`[..., A]` log-probabilities, nats; `FORBIDDEN` or below where masked."""
        logits = self.logits if self.mask is None else jnp.where(self.mask, self.logits, FORBIDDEN)
        return jax.nn.log_softmax(logits)

    def sample(self, key: Array) -> Array:
        """`[...]` int32 action drawn from the policy; consumes `key`."""
        return self.perturbed(self.noise(key))

    def noise(self, key: Array) -> Array:
        """`[..., A]` Gumbel noise; consumes `key`."""
        return jax.random.gumbel(key, self.logits.shape, self.logits.dtype)

    def perturbed(self, noise: Array) -> Array:
        """`[...]` int32, the action for which log-probability and noise together are largest."""
        return jnp.argmax(self.log_probs + noise, axis=-1).astype(jnp.int32)

    def log_prob(self, action: Array) -> Array:
        """`[...]` log-probability of `action`, nats."""
        # A product with the one-hot action: the gradient of a gather is a scatter, which is slow on
        # every device.
        chosen = jax.nn.one_hot(action, self.logits.shape[-1], dtype=self.logits.dtype)
        return jnp.sum(self.log_probs * chosen, axis=-1)

    def entropy(self) -> Array:
        """`[...]` entropy `-sum p log p`, nats, in [0, log A]."""
        log_probs = self.log_probs
        return -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)

    def kl(self, other: "Categorical") -> Array:
        """`[...]` KL(self || other) = `sum p (log p - log q)`, nats, exact."""
        log_probs = self.log_probs
        return jnp.sum(jnp.exp(log_probs) * (log_probs - other.log_probs), axis=-1)

    def mode(self) -> Array:
        """`[...]` int32, the most probable action (the first of several)."""
        return jnp.argmax(self.log_probs, axis=-1).astype(jnp.int32)

    def action(self, sample: Array) -> Array:
        """The sample itself."""
        return sample


class DiagonalGaussian(NamedTuple):
    """Independent normal components `N(mean, exp(log_std)^2)` along the last axis."""

    mean: Array  # [..., A] in units of the action
    log_std: Array  # [..., A] log of the standard deviation

    def sample(self, key: Array) -> Array:
        """`[..., A]` action drawn from the policy; consumes `key`."""
        return self.perturbed(self.noise(key))

    def noise(self, key: Array) -> Array:
        """`[..., A]` standard normal noise; consumes `key`."""
        return jax.random.normal(key, self.mean.shape, self.mean.dtype)

    def perturbed(self, noise: Array) -> Array:
        """`[..., A]` the mean, and as many deviations more as the noise says."""
        return self.mean + jnp.exp(self.log_std) * noise

    def log_prob(self, action: Array) -> Array:
        """`[...]` log-density of `action`, nats per unit of action."""
        standard = (action - self.mean) * jnp.exp(-self.log_std)
        return jnp.sum(-0.5 * standard**2 - self.log_std - 0.5 * jnp.log(2.0 * jnp.pi), axis=-1)

    def entropy(self) -> Array:
        """`[...]` differential entropy `sum log(std sqrt(2 pi e))`, nats; may be negative."""
        one = self.log_std + 0.5 * jnp.log(2.0 * jnp.pi * jnp.e)
        return jnp.sum(jnp.broadcast_to(one, self.mean.shape), axis=-1)

    def kl(self, other: "DiagonalGaussian") -> Array:
        """`[...]` KL(self || other), nats, exact."""
        log_scale = self.log_std - other.log_std
        shift = (self.mean - other.mean) * jnp.exp(-other.log_std)
        # expm1 keeps the value exactly 0 where the two scales are equal.
        return jnp.sum(0.5 * (jnp.expm1(2.0 * log_scale) + shift**2) - log_scale, axis=-1)

    def mode(self) -> Array:
        """`[..., A]` the mean."""
        return self.mean

    def action(self, sample: Array) -> Array:
        """The sample itself."""
        return sample


class MultiCategorical(NamedTuple):
    """Independent choices, one per factor; an action is `[..., K]` whole numbers."""

    logits: tuple[Array, ...]  # K times [..., A_k] unnormalised
    mask: tuple[Array, ...] | None = None  # K times [..., A_k] bool, True = allowed

    @property
    def factors(self) -> tuple[Categorical, ...]:
        """The K choices."""
        masks = self.mask or (None,) * len(self.logits)
        return tuple(map(Categorical, self.logits, masks))

    def sample(self, key: Array) -> Array:
        """`[..., K]` int32 action drawn from the policy; consumes `key`."""
        return self.perturbed(self.noise(key))

    def noise(self, key: Array) -> tuple[Array, ...]:
        """K times `[..., A_k]` Gumbel noise; consumes `key`."""
        keys = jax.random.split(key, len(self.logits))
        return tuple(one.noise(k) for one, k in zip(self.factors, keys, strict=True))

    def perturbed(self, noise: tuple[Array, ...]) -> Array:
        """`[..., K]` int32, of every factor the choice that is largest with its noise."""
        pairs = zip(self.factors, noise, strict=True)
        return jnp.stack([one.perturbed(its) for one, its in pairs], axis=-1)

    def log_prob(self, action: Array) -> Array:
        """`[...]` log-probability of `action`, nats: the sum over the factors."""
        return sum(factor.log_prob(action[..., k]) for k, factor in enumerate(self.factors))

    def entropy(self) -> Array:
        """`[...]` entropy, nats: the sum over the factors."""
        return sum(factor.entropy() for factor in self.factors)

    def kl(self, other: "MultiCategorical") -> Array:
        """`[...]` KL(self || other), nats, exact: the sum over the factors."""
        pairs = zip(self.factors, other.factors, strict=True)
        return sum(mine.kl(its) for mine, its in pairs)

    def mode(self) -> Array:
        """`[..., K]` int32, the most probable choice of every factor."""
        return jnp.stack([factor.mode() for factor in self.factors], axis=-1)

    def action(self, sample: Array) -> Array:
        """The sample itself."""
        return sample


class TanhGaussian(NamedTuple):
    """tanh(u) of independent normal components u: actions in (-1, 1).

    A sample is u, not tanh(u): where float32 rounds tanh(u) to 1 its inverse has lost u, and with
    it the probability of what was done. `log_prob(u)` is the density of tanh(u),

        log N(u; mean, std) - log(1 - tanh(u)^2)

    The KL is that of the two normals, as both are squashed alike.

    Source: Haarnoja et al. 2018, arXiv:1801.01290, appendix C, for the density.
    """

    mean: Array  # [..., A] of u
    log_std: Array  # [..., A] log of the standard deviation of u

    @property
    def base(self) -> DiagonalGaussian:
        """The distribution of u."""
        return DiagonalGaussian(self.mean, self.log_std)

    def sample(self, key: Array) -> Array:
        """`[..., A]` u, before the squash; consumes `key`."""
        return self.base.sample(key)

    def noise(self, key: Array) -> Array:
        """`[..., A]` standard normal noise; consumes `key`."""
        return self.base.noise(key)

    def perturbed(self, noise: Array) -> Array:
        """`[..., A]` u for this noise."""
        return self.base.perturbed(noise)

    def log_prob(self, sample: Array) -> Array:
        """`[...]` log-density of tanh(u) for the sample u, nats."""
        return self.base.log_prob(sample) - jnp.sum(_log_slope(sample), axis=-1)

    def entropy(self) -> Array:
        """`[...]` differential entropy of tanh(u), nats: that of u, plus E log(1 - tanh(u)^2).

        The mean is a Gauss-Hermite quadrature of 64 nodes, deterministic and differentiable. (The
        gradient of a sampled -log_prob has mean zero: no entropy bonus could come of it.) From
        exact it is 3e-6 nats at a deviation of 2, 1e-3 at 4.
        """
        scale = math.sqrt(2.0) * jnp.exp(self.log_std)[..., None]
        u = self.mean[..., None] + scale * NODES.astype(np.float32)
        lost = _log_slope(u) @ jnp.asarray(WEIGHTS / math.sqrt(math.pi), u.dtype)
        return self.base.entropy() + jnp.sum(lost, axis=-1)

    def kl(self, other: "TanhGaussian") -> Array:
        """`[...]` KL(self || other), nats, exact."""
        return self.base.kl(other.base)

    def mode(self) -> Array:
        """`[..., A]` the mean of u; tanh of it is the median action, the usual greedy choice."""
        return self.mean

    def action(self, sample: Array) -> Array:
        """`[..., A]` tanh(u), in (-1, 1)."""
        return jnp.tanh(sample)


def numbers(distribution: Distribution) -> list[Array]:
    """The numbers that a distribution is made of, without its masks: what has a derivative."""
    return [leaf for leaf in jax.tree.leaves(distribution) if _is_float(leaf)]


def with_numbers(distribution: Distribution, numbers: list[Array]) -> Distribution:
    """The distribution with these `numbers` in the place of its own."""
    given = iter(numbers)
    return jax.tree.map(lambda leaf: next(given) if _is_float(leaf) else leaf, distribution)


def _is_float(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.floating)


def _log_slope(u: Array) -> Array:
    """`log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u))`; the plain form is -inf from 10 on."""
    return 2.0 * (math.log(2.0) - u - jax.nn.softplus(-2.0 * u))
