"""How is a product of matrices written so that a CPU is fast at its gradient in the kernel?

That gradient is a product over all samples, and XLA's CPU backend takes it in the orientation in
which it is asked for. Where one side is narrow, a few actions or a few numbers of an observation,
the other orientation is several times as fast. The barriers keep the compiler from undoing it.
Where several kernels see the same wide inputs, one product for all of them is faster than several.

`narrow_output` and `narrow_input` are each a `dot_general` for `flax.linen.Dense`, and so is what
`known` returns; of what Dense hands it, all but the first two arguments are always the same.
"""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from rl_surrogates.types import Array


def known(product: Array) -> Callable[..., Array]:
    """The product that has been taken already, whatever it is asked for."""
    return lambda *unused, **also_unused: product


def narrow_output(inputs: Array, kernel: Array, *unused: Any, **also_unused: Any) -> Array:
    """`[..., F]` times `[F, A]`, whose gradient in the kernel is computed as `[A, F]`."""
    turned = jax.lax.optimization_barrier(kernel.T)
    return jax.lax.dot_general(inputs, turned, (((inputs.ndim - 1,), (1,)), ((), ())))


def narrow_input(inputs: Array, kernel: Array, *unused: Any, **also_unused: Any) -> Array:
    """`[..., F]` times `[F, H]`, whose gradient in the kernel is computed from `[F, N]`."""
    return _narrow_input(inputs, kernel)


@jax.custom_jvp
def _narrow_input(inputs: Array, kernel: Array) -> Array:
    return inputs @ kernel


def _of_kernel(change: Array, output: Array, inputs: Array, kernel: Array) -> Array:
    turned = jax.lax.optimization_barrier(inputs.reshape(-1, inputs.shape[-1]).T)
    return (change.T @ turned).T.reshape(output.shape)


_narrow_input.defjvps(lambda change, output, inputs, kernel: change @ kernel, _of_kernel)


@jax.custom_jvp
def of_shared_inputs(inputs: Array, kernels: Sequence[Array]) -> list[Array]:
    """`[..., F]` times each of several `[F, H]`, whose gradient in all kernels is one product."""
    return [inputs @ kernel for kernel in kernels]


def _changes(primals: tuple, tangents: tuple) -> tuple[list[Array], list[Array]]:
    """A kernel that is held fixed, as where only the policy is differentiated, adds no product."""
    (inputs, kernels), (inputs_change, changes) = primals, tangents
    outputs = of_shared_inputs(inputs, kernels)
    found = [jnp.zeros_like(output) for output in outputs]
    moving = [k for k, change in enumerate(changes) if not isinstance(change, SymbolicZero)]
    if moving:
        together = inputs @ jnp.concatenate([changes[k] for k in moving], axis=-1)
        ends = list(accumulate(kernels[k].shape[-1] for k in moving))
        for k, part in zip(moving, jnp.split(together, ends[:-1], axis=-1), strict=True):
            found[k] = part
    if not isinstance(inputs_change, SymbolicZero):
        found = [one + inputs_change @ kernel for one, kernel in zip(found, kernels, strict=True)]
    return outputs, found


of_shared_inputs.defjvp(_changes, symbolic_zeros=True)
