"""From what `inputs` reads of an observation to features.

A torso is a flax module: `torso(inputs) -> features`. One with a memory is called as `torso(inputs,
reset, carry) -> features, carry`, has the same for whole sequences as `unroll`, and says how its
memory begins by `initial_carry`. Torsos compute in `dtype` and hand over float32, so that
log-probabilities and values are float32 whatever the torso computes in.

Source of the gated recurrent unit: Cho et al. 2014, arXiv:1406.1078, with the reset gate applied
after the product, as in cuDNN.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rl_surrogates.networks import products
from rl_surrogates.types import Array

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "swish": jax.nn.swish,
    "gelu": jax.nn.gelu,
    "elu": jax.nn.elu,
    "leaky_relu": jax.nn.leaky_relu,
}
KERNEL_SIZE = (3, 3)  # of every convolution
NUM_GATES = 3  # of a recurrent unit: reset, update, candidate
GATES = "gates"  # how the names of its kernels begin


class MLP(nn.Module):
    """Dense layers, each followed by the activation."""

    hidden: tuple[int, ...]
    activation: Callable[[Array], Array]
    dtype: Any = jnp.float32
    recurrent = False

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """`[..., F]` -> `[..., hidden[-1]]` float32."""
        features = inputs
        for width in self.hidden:
            narrow = features.shape[-1] < width
            product = products.narrow_input if narrow else jax.lax.dot_general
            layer = nn.Dense(width, dtype=self.dtype, dot_general=product)
            features = self.activation(layer(features))
        return features.astype(jnp.float32)


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


class GRU(nn.Module):
    """Dense layers, then a gated recurrent unit as wide as the last of `hidden`.

        r = sigmoid(W_r x + U_r h + b_r),    z = sigmoid(W_z x + U_z h + b_z)
        n = tanh(W_n x + b_n + r (U_n h + c)),    h' = (1 - z) n + z h

    The memory h is zeroed where an episode begins, before it is used. Features and carry are both
    h'. The carry is float32 in any `dtype`: a memory that is rounded at every step would drift.
    """

    hidden: tuple[int, ...]
    activation: Callable[[Array], Array]
    dtype: Any = jnp.float32
    recurrent = True

    def initial_carry(self, num_envs: int) -> Array:
        """`[B, hidden[-1]]` zeros."""
        return jnp.zeros((num_envs, self.hidden[-1]))

    def __call__(self, inputs: Array, reset: Array, carry: Array) -> tuple[Array, Array]:
        """One step: `[..., F]`, `[...]`, `[..., H]` -> features and carry, `[..., H]`."""
        projected, step = self.unit(inputs)
        carry = step(carry, projected, reset)
        return carry, carry

    def unroll(self, inputs: Array, reset: Array, carry: Array) -> tuple[Array, Array]:
        """A sequence `[T, ..., F]` from `carry` `[..., H]`: features and carries after each step.

        Only the product with the memory is inside the loop.
        """
        projected, step = self.unit(inputs)

        def advance(carry: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
            carry = step(carry, *now)
            return carry, carry

        _, carries = jax.lax.scan(advance, carry, (projected, reset))
        return carries, carries

    @nn.compact
    def unit(self, inputs: Array) -> tuple[Array, Callable]:
        """`[..., F]` -> what the inputs add to the gates, `[..., 3 H]`, and the step itself."""
        *before, width = self.hidden
        features = inputs
        for units in before:
            features = self.activation(nn.Dense(units, dtype=self.dtype)(features))
        gates = nn.Dense(NUM_GATES * width, dtype=self.dtype, name=f"{GATES}_input")
        zeros = nn.initializers.zeros
        kernel = self.param(f"{GATES}_memory", zeros, (width, NUM_GATES * width))
        bias = self.param("candidate_bias", zeros, (width,))

        def step(carry: Array, projected: Array, reset: Array) -> Array:
            memory = jnp.where(reset[..., None], 0.0, carry)
            product = memory.astype(self.dtype) @ kernel.astype(self.dtype)
            return gated(memory, projected, product.astype(jnp.float32), bias)

        return gates(features).astype(jnp.float32), step


def gated(memory: Array, projected: Array, product: Array, bias: Array) -> Array:
    """The next memory `[..., H]` from the present one and both sides of the gates `[..., 3 H]`."""
    split = partial(jnp.split, indices_or_sections=NUM_GATES, axis=-1)
    (x_reset, x_update, x_candidate), (h_reset, h_update, h_candidate) = map(
        split, (projected, product)
    )
    reset, update = jax.nn.sigmoid(x_reset + h_reset), jax.nn.sigmoid(x_update + h_update)
    candidate = jnp.tanh(x_candidate + reset * (h_candidate + bias))
    return (1.0 - update) * candidate + update * memory
