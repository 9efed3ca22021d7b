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

import jax
import jax.numpy as jnp

from rl_surrogates.networks.heads import HEAD
from rl_surrogates.networks.orthonormal import orthonormal
from rl_surrogates.networks.recurrent import GATES, NUM_GATES
from rl_surrogates.types import Array, Params

HIDDEN_GAIN = math.sqrt(2.0)
GATES_GAIN = 1.0
GAINS = {"policy": 0.01, "value": 1.0}  # of the heads
STD_WITHIN_TWO = 0.87962566103423978  # of a standard normal number that lies in [-2, 2]

Kernels = dict[tuple[str, ...], Array]  # by the names that lead to them


def orthogonal(key: Array, shapes: Params) -> Params:
    """Initial parameters: orthogonal kernels times their gain, zero biases; consumes `key`.

    Args:
      key: `[]`.
      shapes: a tree `{"policy": ..., "value": ...}` of shapes, kernels `[..., inputs, outputs]`.
      The kernel of a convolution is one matrix with an output per column, that of a recurrent unit
      one per gate.

    Source: Saxe et al. 2014, arXiv:1312.6120; the gains as in the module docstring.
    """

    def kernels(normals: Kernels) -> Kernels:
        matrices = {
            names: jnp.split(
                normal.reshape(-1, normal.shape[-1]), NUM_GATES if _of_gates(names) else 1, axis=-1
            )
            for names, normal in normals.items()
        }
        return {
            names: _gain(names) * jnp.concatenate(made, axis=-1).reshape(normals[names].shape)
            for names, made in orthonormal(matrices).items()
        }

    return _fill(shapes, lambda size: jax.random.normal(key, (size,)), kernels)


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

    def kernels(normals: Kernels) -> Kernels:
        return jax.tree.map(lambda one: one / math.sqrt(math.prod(one.shape[:-1])), normals)

    return _fill(shapes, draw, kernels)


INITIALISERS: dict[str, Callable[[Array, Params], Params]] = {
    "orthogonal": orthogonal,
    "lecun": lecun,
}


def _of_gates(names: tuple[str, ...]) -> bool:
    return any(name.startswith(GATES) for name in names)


def _gain(names: tuple[str, ...]) -> float:
    if _of_gates(names):
        return GATES_GAIN
    return GAINS[names[0]] if HEAD in names else HIDDEN_GAIN


def _fill(
    shapes: Params, draw: Callable[[int], Array], kernels: Callable[[Kernels], Kernels]
) -> Params:
    """Kernels made of one draw of random numbers; zeros where a leaf has one axis or none."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)
    named = {tuple(entry.key for entry in path): leaf for path, leaf in leaves}
    wanted = {names: leaf.shape for names, leaf in named.items() if len(leaf.shape) > 1}
    ends = list(itertools.accumulate(math.prod(shape) for shape in wanted.values()))
    random = jnp.split(draw(ends[-1]), ends[:-1])
    made = kernels({n: r.reshape(wanted[n]) for n, r in zip(wanted, random, strict=True)})
    filled = [
        made[names] if names in made else jnp.zeros(leaf.shape, leaf.dtype)
        for names, leaf in named.items()
    ]
    return jax.tree.unflatten(tree, filled)
