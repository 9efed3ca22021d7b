"""What does a torso see of an observation?

An observation is any tree of arrays: one array mostly, several where it has parts. Whole numbers
out of a known few are shown as one-hot vectors, since their order means nothing; everything else,
zeros and ones kept as bool included, is converted to float32.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rl_surrogates.spaces import Discrete
from rl_surrogates.types import Array

Read = Callable[[Any], Array]  # observation `[..., *event]` -> what a torso takes


def flat(observation: Any, space: Any = None) -> Read:
    """Reads an observation as one vector `[..., F]`: its parts flattened, one after the other.

    Args:
      observation: shapes and types of one observation, no batch axis.
      space: what the environment says about it, if anything.
    """
    if isinstance(space, Discrete):
        return lambda one: jax.nn.one_hot(*jax.tree.leaves(one), space.n, dtype=jnp.float32)
    ranks = [len(leaf.shape) for leaf in jax.tree.leaves(observation)]

    def read(observation: Any) -> Array:
        parts = zip(jax.tree.leaves(observation), ranks, strict=True)
        vectors = [_flattened(leaf, rank) for leaf, rank in parts]
        return vectors[0] if len(vectors) == 1 else jnp.concatenate(vectors, axis=-1)

    return read


def image(observation: Any, *, smallest: int = 1) -> Read:
    """Reads an observation as one image `[..., H, W, C]`; a missing axis of channels is added.

    Args:
      observation: shapes and types of one observation, no batch axis.
      smallest: pixels that each side of the image must have.

    Raises:
      ValueError: an observation that is no image, or one that is too small.
    """
    shapes = [leaf.shape for leaf in jax.tree.leaves(observation)]
    if len(shapes) != 1 or len(shapes[0]) not in (2, 3) or min(shapes[0][:2]) < smallest:
        shown = " and ".join(map(str, shapes))
        raise ValueError(
            f"network.torso: a cnn of these channels takes one image [H, W] or [H, W, C] of at "
            f"least {smallest} x {smallest}, and the observation has shape {shown}; "
            "use mlp or gru, which flatten any observation"
        )
    rank = len(shapes[0])

    def read(observation: Any) -> Array:
        (leaf,) = jax.tree.leaves(observation)
        pixels = leaf.astype(jnp.float32)
        return pixels if rank == 3 else pixels[..., None]

    return read


def _flattened(leaf: Array, rank: int) -> Array:
    batch_shape = leaf.shape[: leaf.ndim - rank]
    size = math.prod(leaf.shape[leaf.ndim - rank :])
    return leaf.reshape(*batch_shape, size).astype(jnp.float32)
