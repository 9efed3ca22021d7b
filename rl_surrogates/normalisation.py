"""How are observations and rewards brought to unit scale while their true scale is being learnt?

    observation   (s - mean) / sqrt(variance + 1e-8), clipped to +-10
    reward        r / sqrt(Var(discounted return) + 1e-8), clipped to +-10; without taking off a
                  mean, which would change how long it is worth to live

The statistics are part of the training's state. Those of observations are frozen while an update
collects and learns, and take in its rollout afterwards: the policy that is improved sees the
numbers that the one that acted saw, so every ratio begins at 1. Rewards enter no ratio; they are
scaled by statistics that know them already. Evaluation reads the statistics and never changes them,
and reported returns are raw.

Source: the running normalisation of Engstrom et al. 2020, arXiv:2005.12729, section 3; merging of
moments, Chan et al. 1983.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rl_surrogates import spaces
from rl_surrogates.types import Array, Distribution, Network, Params, Scalar, Transition

CLIP = 10.0  # standard deviations
SMALLEST = 1e-8  # added to a variance: what never varied stays 0
OFF = ()  # in the place of statistics that are not kept


class Moments(NamedTuple):
    """Mean and variance of all samples so far, leaf by leaf; whole numbers are left alone."""

    count: Array  # [] float32; from 2^24 batches' worth on, newer samples weigh a little more
    mean: Any  # [...] of one sample
    variance: Any  # [...] of one sample; 1 before the first


class Returns(NamedTuple):
    """What scales rewards."""

    running: Array  # [B] discounted sum of the rewards of the running episode
    moments: Moments  # of those sums, over all steps


class Normaliser(NamedTuple):
    """The statistics of one training; `OFF` in the place of what is not normalised."""

    observation: Any = OFF  # Moments
    reward: Any = OFF  # Returns


def start(observation: Any, num_envs: int, *, observations: bool, rewards: bool) -> Normaliser:
    """Statistics before the first sample, for observations like this one (no batch axis)."""
    return Normaliser(
        no_samples(spaces.split_mask(observation)[0]) if observations else OFF,
        Returns(jnp.zeros(num_envs), no_samples(jnp.zeros(()))) if rewards else OFF,
    )


def normalise(
    normaliser: Normaliser, transitions: Transition, *, gamma: Scalar
) -> tuple[Normaliser, Transition]:
    """The rollout as the learner sees it, and the statistics for the next update.

    Args:
      normaliser: the statistics that the policy acted with.
      transitions: `[T, B, ...]` as the environments gave them.
      gamma: discount of the returns that scale rewards, in [0, 1]. May be traced.
    """
    observation, reward = normaliser
    if observation != OFF:
        seen = transitions._replace(
            observation=standardised(observation, transitions.observation),
            next_observation=standardised(observation, transitions.next_observation),
        )
        samples, _ = spaces.split_mask(transitions.observation)
        observation, transitions = merge(observation, samples), seen
    if reward != OFF:
        ended = transitions.terminated | transitions.truncated
        returns, running = discounted(transitions.reward, ended, reward.running, gamma=gamma)
        reward = Returns(running, merge(reward.moments, returns))
        scaled = transitions.reward / jnp.sqrt(reward.moments.variance + SMALLEST)
        transitions = transitions._replace(reward=jnp.clip(scaled, -CLIP, CLIP))
    return Normaliser(observation, reward), transitions


def no_samples(sample: Any) -> Moments:
    """Moments before the first sample, which leave a sample as it is."""
    return Moments(
        jnp.zeros(()),
        jax.tree.map(lambda leaf: jnp.zeros(jnp.shape(leaf)), sample),
        jax.tree.map(lambda leaf: jnp.ones(jnp.shape(leaf)), sample),
    )


def merge(moments: Moments, samples: Any) -> Moments:
    """The moments of what was seen before and of `samples` `[..., *sample]` together.

        w = m / (n + m);  mean + w delta;  (1 - w) variance + w batch_variance + w (1 - w) delta^2

    with n and m the numbers of samples before and now, and delta the difference of the means.
    """
    leaf, one = jax.tree.leaves(samples)[0], jax.tree.leaves(moments.mean)[0]
    batch = tuple(range(leaf.ndim - one.ndim))
    new = leaf.size / max(one.size, 1)
    count = moments.count + new
    weight = new / count

    def merged(mean: Array, variance: Array, samples: Array) -> tuple[Array, Array]:
        if not _is_scaled(samples):
            return mean, variance
        samples = samples.astype(jnp.float32)
        delta = jnp.mean(samples, batch) - mean
        spread = jnp.var(samples, batch)
        mixed = (1.0 - weight) * variance + weight * spread + weight * (1.0 - weight) * delta**2
        return mean + weight * delta, mixed

    both = jax.tree.map(merged, moments.mean, moments.variance, samples)
    mean, variance = jax.tree.transpose(
        jax.tree.structure(moments.mean), jax.tree.structure((0, 0)), both
    )
    return Moments(count, mean, variance)


def standardised(moments: Moments, samples: Any) -> Any:
    """`(sample - mean) / sqrt(variance + 1e-8)`, clipped to +-10; whole numbers as they are.

    So is the action mask of observations that have one.
    """
    samples, mask = spaces.split_mask(samples)

    def one(samples: Array, mean: Array, variance: Array) -> Array:
        if not _is_scaled(samples):
            return samples
        samples = samples.astype(jnp.float32)
        return jnp.clip((samples - mean) * jax.lax.rsqrt(variance + SMALLEST), -CLIP, CLIP)

    return spaces.join_mask(jax.tree.map(one, samples, moments.mean, moments.variance), mask)


def discounted(
    reward: Array, ended: Array, running: Array, *, gamma: Scalar
) -> tuple[Array, Array]:
    """`R_t = gamma R_(t-1) + r_t`, from 0 in every episode: `[T, B]`, and `[B]` to go on from."""

    def step(running: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        reward, ended = now
        running = gamma * running + reward
        return jnp.where(ended, 0.0, running), running

    running, returns = jax.lax.scan(step, running, (reward, ended))
    return returns, running


@dataclasses.dataclass(frozen=True)
class SeenThrough:
    """A `types.Network` that is handed raw observations, as environments give them."""

    network: Network
    moments: Moments

    @property
    def recurrent(self) -> bool:
        """That of the network inside."""
        return self.network.recurrent

    def init(self, key: Array, observation: Array) -> Params:
        """Parameters of the network inside; consumes `key`."""
        return self.network.init(key, observation)

    def initial_carry(self, num_envs: int) -> Any:
        """The carry of the network inside."""
        return self.network.initial_carry(num_envs)

    def __call__(
        self, params: Params, observation: Array, reset: Array, carry: Any
    ) -> tuple[Distribution, Array, Any]:
        """One step on raw observations `[B, ...]`."""
        return self.network(params, standardised(self.moments, observation), reset, carry)

    def unroll(
        self, params: Params, observation: Array, reset: Array, carry: Any
    ) -> tuple[Distribution, Array, Any]:
        """A sequence of raw observations `[T, B, ...]`."""
        return self.network.unroll(params, standardised(self.moments, observation), reset, carry)


def acting_network(network: Network, normaliser: Normaliser) -> Network:
    """The network for raw observations: itself, where observations are not normalised."""
    if normaliser.observation == OFF:
        return network
    return SeenThrough(network, normaliser.observation)


def _is_scaled(samples: Array) -> bool:
    # Zeros and ones are kept as bool (`spaces.to_storage`), and acted on as float32.
    return jnp.issubdtype(samples.dtype, jnp.floating) or samples.dtype == bool
