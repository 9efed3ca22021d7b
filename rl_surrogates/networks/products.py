"""How is a product of matrices written so that a CPU is fast at its gradient in the kernel?

That gradient is a product over all samples, and XLA's CPU backend takes it in the orientation in
which it is asked for. Where one side is narrow, a few actions or a few numbers of an observation,
the other orientation is several times as fast. The barriers keep the compiler from undoing it.

Each function is a `dot_general` for `flax.linen.Dense`; of what Dense hands it, all but the first
two arguments are always the same.
"""

from typing import Any

import jax

from rl_surrogates.types import Array


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
