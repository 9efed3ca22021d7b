"""A torso with a memory.

It is called as `torso(inputs, reset, carry) -> features, carry`, has the same for whole sequences
as `unroll`, and says how its memory begins by `initial_carry`.

Source of the gated recurrent unit: Cho et al. 2014, arXiv:1406.1078, with the reset gate applied
after the product, as in cuDNN.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from rl_surrogates.types import Array

NUM_GATES = 3  # of a recurrent unit: reset, update, candidate
GATES = "gates"  # how the names of its kernels begin


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
