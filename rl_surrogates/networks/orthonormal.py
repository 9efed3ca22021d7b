"""How are random matrices made orthonormal on any device, many at a time?"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from rl_surrogates.types import Array

TOLERANCE = 1e-4  # of X^T X before the last step
MAX_STEPS = 60  # each multiplies a small singular value by 1.5 at least: enough down to 1e-9
MAX_SCALE = 2.0  # of a squared; at 3, a singular value of 1 would become 0
LEAST_SINGULAR = 1e-4  # of a square normal matrix of norm 1, mostly


def orthonormal(normals: Any) -> Any:
    """Normal matrices made orthonormal in their columns, or rows if wide: their polar factors.

        X <- a X (3 I - a^2 X^T X) / 2    until X^T X = I
        a^2 = 3 / (1 + l + l^2), at most 2;    l <- a l (3 - a^2 l^2) / 2

    where no singular value is below l, as far as the shape of X tells. The scale a goes to 1 as l
    does, and takes half of the steps.

    The polar factor of a normal matrix is as uniformly distributed as the Q of its QR, which the
    LAPACK kernels of jaxlib compute by waiting inside the thread pool that is to do the work: two
    of them at a time stop for ever on a machine with two cores (seen with jax 0.10.2).

    Those with equally many rows (columns, if wide) are filled up with zeros to one shape, which
    change nothing, and take their steps together: every loop is compiled by itself. Those that are
    nearly square have loops of their own, as they take several times as many steps.

    Args:
      normals: a tree of matrices, of any shapes.

    Source: Bjorck & Bowie 1971, "An iterative algorithm for computing the best estimate of an
    orthogonal matrix", eq. 2.3; the scale from Chen & Chow 2014, "A stable scaling of Newton-Schulz
    for improving the sign function computation of a Hermitian matrix".
    """
    leaves, tree = jax.tree.flatten(normals)
    wide = [leaf.shape[0] < leaf.shape[1] for leaf in leaves]
    talls = [leaf.T if is_ else leaf for leaf, is_ in zip(leaves, wide, strict=True)]
    together: dict[tuple[int, bool], list[int]] = {}
    for index, (rows, columns) in enumerate(tall.shape for tall in talls):
        together.setdefault((rows, rows < 2 * columns), []).append(index)
    made: dict[int, Array] = {}
    for group in together.values():
        made.update(zip(group, _polar_factors([talls[i] for i in group]), strict=True))
    return jax.tree.unflatten(tree, [made[i].T if is_ else made[i] for i, is_ in enumerate(wide)])


def _polar_factors(talls: list[Array]) -> list[Array]:
    """The polar factors of matrices with equally many rows, and no more columns than those."""
    widths = [tall.shape[1] for tall in talls]
    filled = [jnp.pad(tall, ((0, 0), (0, max(widths) - tall.shape[1]))) for tall in talls]
    own = jnp.arange(max(widths)) < jnp.array(widths)[:, None]
    identity = jax.vmap(jnp.diag)(own.astype(filled[0].dtype))

    scales = jnp.array(_scales(len(talls[0]), max(widths)), jnp.float32)

    def with_gram(step: Array, tall: Array) -> tuple[Array, Array, Array]:
        return step, tall, jnp.swapaxes(tall, 1, 2) @ tall

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        step, _, gram = carry
        return (step < MAX_STEPS) & (jnp.max(jnp.abs(gram - identity)) > TOLERANCE)

    def improved(tall: Array, gram: Array, scale: Array | float) -> Array:
        return tall @ (scale * (1.5 * identity - 0.5 * scale**2 * gram))

    def improve(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        step, tall, gram = carry
        return with_gram(step + 1, improved(tall, gram, scales[step]))

    tall = jnp.stack(filled)
    # No singular value above 1: the iteration converges.
    tall = tall / jnp.linalg.norm(tall, axis=(1, 2), keepdims=True)
    _, *near = jax.lax.while_loop(unfinished, improve, with_gram(jnp.int32(0), tall))
    made = improved(*near, 1.0)  # the error is squared by every step: from here to that of float32
    return [one[:, :width] for one, width in zip(made, widths, strict=True)]


def _scales(rows: int, columns: int) -> list[float]:
    """`a` of every step; the first `l` is half of what a normal matrix of norm 1 tends to have."""
    tends_to = (math.sqrt(rows) - math.sqrt(columns)) / math.sqrt(rows * columns)
    least, scales = max(LEAST_SINGULAR, 0.5 * tends_to), []
    for _ in range(MAX_STEPS):
        scales.append(math.sqrt(min(MAX_SCALE, 3.0 / (1.0 + least + least**2))))
        least = 0.5 * scales[-1] * least * (3.0 - scales[-1] ** 2 * least**2)
    return scales
