"""How do parameters begin?

`orthogonal`: gain sqrt(2) in the hidden layers, 1 in a recurrent unit, 0.01 for the last layer of
the policy (a nearly uniform start) and 1 for the value. Source: Schulman et al. 2017 and its
reference code; its effect was measured by Andrychowicz et al. 2020, arXiv:2006.05990, section 3.2.
`lecun`: what flax layers begin with. Biases, and whatever else has one axis, are 0 in both.

All kernels come from one draw of random numbers: every draw is compiled anew, and one for each
kernel would take longer to compile than a whole update.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rl_surrogates.networks.heads import HEAD
from rl_surrogates.networks.torsos import GATES, NUM_GATES
from rl_surrogates.types import Array, Params

HIDDEN_GAIN = math.sqrt(2.0)
GATES_GAIN = 1.0
GAINS = {"policy": 0.01, "value": 1.0}  # of the heads
POLAR_TOLERANCE = 1e-4  # of X^T X before the last step
MAX_POLAR_STEPS = 60  # each multiplies a small singular value by 1.5: enough down to 1e-9
STD_WITHIN_TWO = 0.87962566103423978  # of a standard normal number that lies in [-2, 2]


def orthogonal(key: Array, shapes: Params) -> Params:
    """Initial parameters: orthogonal kernels times their gain, zero biases; consumes `key`.

    Args:
      key: `[]`.
      shapes: a tree `{"policy": ..., "value": ...}` of shapes, kernels `[..., inputs, outputs]`.
      The kernel of a convolution is one matrix with an output per column, that of a recurrent unit
      one per gate.

    Source: Saxe et al. 2014, arXiv:1312.6120; the gains as in the module docstring.
    """

    def kernel(names: list[str], normal: Array) -> Array:
        matrix = normal.reshape(-1, normal.shape[-1])
        if any(name.startswith(GATES) for name in names):
            gates = jnp.stack(jnp.split(matrix, NUM_GATES, axis=-1))
            return GATES_GAIN * jnp.concatenate(jax.vmap(orthonormal)(gates), axis=-1)
        gain = GAINS[names[0]] if HEAD in names else HIDDEN_GAIN
        return gain * orthonormal(matrix).reshape(normal.shape)

    return _fill(shapes, lambda size: jax.random.normal(key, (size,)), kernel)


def lecun(key: Array, shapes: Params) -> Params:
    """Initial parameters: normal kernels of variance 1 / inputs, cut at two standard deviations,
    and zero biases; consumes `key`.

    Args:
      key: `[]`.
      shapes: a tree of shapes, kernels `[..., inputs, outputs]`.

    Source: LeCun et al. 1998, "Efficient BackProp", section 4.6.
    """

    def draw(size: int) -> Array:
        return jax.random.truncated_normal(key, -2.0, 2.0, (size,)) / STD_WITHIN_TWO

    def kernel(names: list[str], normal: Array) -> Array:
        return normal / math.sqrt(math.prod(normal.shape[:-1]))

    return _fill(shapes, draw, kernel)


INITIALISERS: dict[str, Callable[[Array, Params], Params]] = {
    "orthogonal": orthogonal,
    "lecun": lecun,
}


def _fill(
    shapes: Params,
    draw: Callable[[int], Array],
    kernel: Callable[[list[str], Array], Array],
) -> Params:
    """Kernels made of one draw of random numbers; zeros where a leaf has one axis or none."""
    sizes = [math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes) if len(leaf.shape) > 1]
    ends = list(itertools.accumulate(sizes))[:-1]
    random = iter(jnp.split(draw(sum(sizes)), ends))

    def fill(path: tuple, leaf: Any) -> Array:
        if len(leaf.shape) < 2:
            return jnp.zeros(leaf.shape, leaf.dtype)
        return kernel([entry.key for entry in path], next(random).reshape(leaf.shape))

    return jax.tree_util.tree_map_with_path(fill, shapes)


def orthonormal(normal: Array) -> Array:
    """A normal matrix made orthonormal in its columns, or its rows if it is wide: its polar factor.

        X <- X (3 I - X^T X) / 2    until X^T X = I

    The polar factor of a normal matrix is as uniformly distributed as the Q of its QR, which the
    LAPACK kernels of jaxlib compute by waiting inside the thread pool that is to do the work: two
    of them at a time stop for ever on a machine with two cores (seen with jax 0.10.2).

    Source: Bjorck & Bowie 1971, "An iterative algorithm for computing the best estimate of an
    orthogonal matrix", eq. 2.3.
    """
    rows, columns = normal.shape
    tall = normal if rows >= columns else normal.T
    identity = jnp.eye(tall.shape[1], dtype=tall.dtype)

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        step, _, gram = carry
        return (step < MAX_POLAR_STEPS) & (jnp.max(jnp.abs(gram - identity)) > POLAR_TOLERANCE)

    def improve(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        step, tall, gram = carry
        tall = tall @ (1.5 * identity - 0.5 * gram)
        return step + 1, tall, tall.T @ tall

    tall = tall / jnp.linalg.norm(tall)  # no singular value above 1: the iteration converges
    near = jax.lax.while_loop(unfinished, improve, (jnp.int32(0), tall, tall.T @ tall))
    tall = improve(near)[1]  # the error is squared by every step: from here to that of float32
    return tall if rows >= columns else tall.T
