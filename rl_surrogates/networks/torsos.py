"""From what `inputs` reads of an observation to features.

A torso is a flax module: `torso(inputs) -> features`, and `torso.of_each(params, inputs)` is the
same for several sets of parameters, with what they have in common done once. Torsos compute in
`dtype` and hand over float32, so that log-probabilities and values are float32 whatever the torso
computes in. One with a memory is in `recurrent`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rl_surrogates.networks import products
from rl_surrogates.types import Array, Params

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "gelu": jax.nn.gelu,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
}
KERNEL_SIZE = (3, 3)  # of every convolution
FIRST = "Dense_0"  # the name of the first layer of an MLP


class MLP(nn.Module):
    """Dense layers, each followed by the activation."""

    hidden: tuple[int, ...]
    activation: Callable[[Array], Array]
    dtype: Any = jnp.float32
    recurrent = False

    @nn.compact
    def __call__(self, inputs: Array, first: Array | None = None) -> Array:
        """`[..., F]` -> `[..., hidden[-1]]` float32.

        `first` is the product of the inputs with the first kernel, where it is known.
        """
        features = inputs
        for width in self.hidden:
            narrow = features.shape[-1] < width
            product = products.narrow_input if narrow else jax.lax.dot_general
            if first is not None:
                product, first = products.known(first), None
            layer = nn.Dense(width, dtype=self.dtype, dot_general=product)
            features = self.activation(layer(features))
        return features.astype(jnp.float32)

    def of_each(self, params: Sequence[Params], inputs: Array) -> list[Array]:
        """The features of torsos with these parameters: wide inputs are multiplied together."""
        firsts = [None] * len(params)
        if len(params) > 1 and self.hidden and inputs.shape[-1] >= self.hidden[0]:
            kernels = [one[FIRST]["kernel"].astype(self.dtype) for one in params]
            firsts = products.of_shared_inputs(inputs.astype(self.dtype), kernels)
        pairs = zip(params, firsts, strict=True)
        return [self.apply({"params": one}, inputs, first) for one, first in pairs]


class CNN(nn.Module):
    """3 x 3 convolutions without padding, then dense layers, each followed by the activation.

    One convolution of 16 channels and one dense layer of 128 units is the network of MinAtar: Young
    & Tian 2019, arXiv:1903.03176, section 4.
    """

    channels: tuple[int, ...]
    hidden: tuple[int, ...]
    activation: Callable[[Array], Array]
    dtype: Any = jnp.float32
    recurrent = False

    @staticmethod
    def smallest_image(channels: tuple[int, ...]) -> int:
        """Pixels that a side needs so that every convolution has something to see."""
        return len(channels) * (KERNEL_SIZE[0] - 1) + 1

    @staticmethod
    def largest_layer(image: tuple[int, ...], channels: tuple[int, ...]) -> int:
        """Numbers that the largest convolution holds of an image: its patches and what it gives."""
        height, width, seen = image if len(image) == 3 else (*image, 1)
        sizes = []
        for given in channels:
            height, width = height - KERNEL_SIZE[0] + 1, width - KERNEL_SIZE[1] + 1
            sizes.append(height * width * (math.prod(KERNEL_SIZE) * seen + given))
            seen = given
        return max(sizes)

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """`[..., H, W, C]` -> `[..., hidden[-1]]` float32."""
        pixels = inputs
        for channels in self.channels:
            pixels = self.activation(Conv(channels, dtype=self.dtype)(pixels))
        features = pixels.reshape(*pixels.shape[:-3], -1)
        for width in self.hidden:
            features = self.activation(nn.Dense(width, dtype=self.dtype)(features))
        return features.astype(jnp.float32)

    def of_each(self, params: Sequence[Params], inputs: Array) -> list[Array]:
        """The features of torsos with these parameters."""
        return [self.apply({"params": one}, inputs) for one in params]


class Conv(nn.Module):
    """A 3 x 3 convolution without padding, as one product with the patches of an image.

        y[i, j] = b + sum_{u, v} x[i + u, j + v] W[u, v]

    The function and the parameters of `flax.linen.Conv`, whose convolution XLA turns into loops
    without vector instructions where each lane has a kernel of its own: a minibatch of three lanes
    took ten times as long on a CPU.
    """

    channels: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, pixels: Array) -> Array:
        """`[..., H, W, C]` -> `[..., H - 2, W - 2, channels]`."""
        zeros = nn.initializers.zeros
        shape = (*KERNEL_SIZE, pixels.shape[-1], self.channels)
        kernel = self.param("kernel", zeros, shape).astype(self.dtype)
        bias = self.param("bias", zeros, (self.channels,)).astype(self.dtype)
        return patches(pixels.astype(self.dtype)) @ kernel.reshape(-1, self.channels) + bias


def patches(pixels: Array) -> Array:
    """`[..., H, W, C]` -> `[..., H - 2, W - 2, 9 C]`: what a kernel sees from every place."""
    rows, columns = KERNEL_SIZE
    height, width = pixels.shape[-3] - rows + 1, pixels.shape[-2] - columns + 1
    seen = [
        pixels[..., i : i + height, j : j + width, :] for i in range(rows) for j in range(columns)
    ]
    return jnp.concatenate(seen, axis=-1)
