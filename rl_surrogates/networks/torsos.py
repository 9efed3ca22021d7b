"""From an observation to features: what policy and value function each have for themselves."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from rl_surrogates.types import Array

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "gelu": jax.nn.gelu,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
}


class MLP(nn.Module):
    """Flattens the observation, then dense layers, each followed by the activation."""

    hidden: tuple[int, ...]
    activation: Callable[[Array], Array]
    event_rank: int  # how many trailing axes are one observation

    @nn.compact
    def __call__(self, observation: Array) -> Array:
        """`[..., *event]` -> `[..., hidden[-1]]` float32."""
        batch_shape = observation.shape[: observation.ndim - self.event_rank]
        features = observation.reshape(*batch_shape, -1).astype(jnp.float32)
        for width in self.hidden:
            features = self.activation(nn.Dense(width)(features))
        return features
