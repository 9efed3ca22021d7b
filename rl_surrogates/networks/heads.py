"""From features to a distribution over actions, or to a value.

A head is a flax module whose call returns a `types.Distribution` (a policy) or `[...]` values. Its
parameters lie beside those of the torso, so their names must differ from a torso's: the linear
layer is called `HEAD`, which is also how it is told from the hidden layers when it is initialised.
"""

import math

import flax.linen as nn
import jax.numpy as jnp

from rl_surrogates.distributions import (
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    TanhGaussian,
)
from rl_surrogates.networks import products
from rl_surrogates.spaces import Box, Discrete, MultiDiscrete, Space
from rl_surrogates.types import Array

HEAD = "head"  # the last, linear layer
LOG_STD_RANGE = (-10.0, 2.0)  # of a deviation that depends on the state: exp stays finite


def linear(size: int) -> nn.Module:
    """The last layer of a policy: `[..., F]` -> `[..., size]`, inside the head that calls it."""
    return nn.Dense(size, name=HEAD, dot_general=products.narrow_output)


class CategoricalHead(nn.Module):
    """Logits of one action out of `num_actions`, linear in the features."""

    num_actions: int

    @nn.compact
    def __call__(self, features: Array) -> Categorical:
        """`[..., F]` -> a distribution `[...]` over `num_actions` actions."""
        return Categorical(linear(self.num_actions)(features))


class MultiCategoricalHead(nn.Module):
    """Logits of one choice per factor, linear in the features."""

    sizes: tuple[int, ...]

    @nn.compact
    def __call__(self, features: Array) -> MultiCategorical:
        """`[..., F]` -> a distribution `[...]` over one choice per factor."""
        logits = linear(sum(self.sizes))(features)
        ends = [sum(self.sizes[: k + 1]) for k in range(len(self.sizes) - 1)]
        return MultiCategorical(tuple(jnp.split(logits, ends, axis=-1)))


class GaussianHead(nn.Module):
    """Means linear in the features; one deviation per component, the same in every state."""

    size: int  # components of an action
    initial_std: float
    family: type[DiagonalGaussian] | type[TanhGaussian] = DiagonalGaussian

    @nn.compact
    def __call__(self, features: Array) -> DiagonalGaussian | TanhGaussian:
        """`[..., F]` -> a distribution `[...]` over `size` numbers."""
        mean = linear(self.size)(features)
        log_std = self.param("log_std", nn.initializers.zeros, (self.size,))
        return self.family(mean, jnp.broadcast_to(log_std + math.log(self.initial_std), mean.shape))


class StateDependentGaussianHead(nn.Module):
    """Means and log-deviations linear in the features, the latter held in [-10, 2]."""

    size: int  # components of an action
    initial_std: float
    family: type[DiagonalGaussian] | type[TanhGaussian] = DiagonalGaussian

    @nn.compact
    def __call__(self, features: Array) -> DiagonalGaussian | TanhGaussian:
        """`[..., F]` -> a distribution `[...]` over `size` numbers."""
        mean, log_std = jnp.split(linear(2 * self.size)(features), 2, axis=-1)
        return self.family(mean, jnp.clip(log_std + math.log(self.initial_std), *LOG_STD_RANGE))


class ValueHead(nn.Module):
    """A state value, linear in the features."""

    @nn.compact
    def __call__(self, features: Array) -> Array:
        """`[..., F]` -> `[...]` state value, units of return."""
        return nn.Dense(1, name=HEAD)(features)[..., 0]


AUTO = "auto"  # the first that fits
FITS = {  # a head's name, as in a config, and the actions it is for
    "categorical": Discrete,
    "multi_categorical": MultiDiscrete,
    "gaussian": Box,
    "tanh_gaussian": Box,
}
FAMILIES = {"gaussian": DiagonalGaussian, "tanh_gaussian": TanhGaussian}
SCALES = {"state_independent": GaussianHead, "state_dependent": StateDependentGaussianHead}


def make_policy_head(name: str, space: Space, *, scale: str, initial_std: float) -> nn.Module:
    """The head of that name for these actions.

    Args:
      name: a key of `FITS`, or `auto`.
      space: the actions.
      scale: a key of `SCALES`: on what the deviation of a Gaussian depends.
      initial_std: of a Gaussian, before any training, in units of half the action's range; > 0.

    Raises:
      ValueError: a head that is not for these actions; those that are, are given.
    """
    fitting = [one for one, kind in FITS.items() if isinstance(space, kind)]
    if name not in (AUTO, *fitting):
        raise ValueError(
            f"network.head: {name} does not fit the actions {space}; use {' or '.join(fitting)}"
        )
    chosen = fitting[0] if name == AUTO else name
    if isinstance(space, Box):
        return SCALES[scale](space.size, initial_std, FAMILIES[chosen])
    if isinstance(space, MultiDiscrete):
        return MultiCategoricalHead(tuple(space.sizes))
    return CategoricalHead(space.n)
