"""Which action distributions can a policy have, and what is exact about them?

Each is a NamedTuple of its parameters, event axis last and everything else batch: a pytree that
crosses `scan` and `vmap`. KLs and entropies are closed forms, never samples; `x.kl(x)` is exactly
0, and its gradient there is 0 too.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from rl_surrogates.types import Array

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
        return jax.random.categorical(key, self.log_probs).astype(jnp.int32)

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
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
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
