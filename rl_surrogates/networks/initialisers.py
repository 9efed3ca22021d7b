"""How do parameters begin?

Orthogonal, with gain sqrt(2) in the hidden layers, 0.01 for the last layer of the policy (a nearly
uniform start) and 1 for the value; biases, and whatever else has one axis, are 0. Source: Schulman
et al. 2017 and its reference code; its effect was measured by Andrychowicz et al. 2020,
arXiv:2006.05990, section 3.2.
"""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp

from rl_surrogates.networks.heads import HEAD
from rl_surrogates.types import Array, Params

HIDDEN_GAIN = math.sqrt(2.0)
GAINS = {"policy": 0.01, "value": 1.0}  # of the heads


def orthogonal(key: Array, shapes: Params) -> Params:
    """Initial parameters: orthogonal kernels times their gain, zero biases; consumes `key`.

    All kernels come from one draw of normal numbers: every draw is compiled anew, and one for each
    kernel would take longer to compile than a whole update.

    Args:
      key: `[]`.
      shapes: the tree `{"policy": ..., "value": ...}` of shapes, kernels `[inputs, outputs]`.

    Source: Saxe et al. 2014, arXiv:1312.6120; the gains as in the module docstring.
    """
    kernels = [leaf for leaf in jax.tree.leaves(shapes) if len(leaf.shape) > 1]
    sizes = [math.prod(leaf.shape) for leaf in kernels]
    ends = list(itertools.accumulate(sizes))[:-1]
    normal = iter(jnp.split(jax.random.normal(key, (sum(sizes),)), ends))

    def fill(path: tuple, leaf: Any) -> Array:
        if len(leaf.shape) < 2:
            return jnp.zeros(leaf.shape, leaf.dtype)
        names = [entry.key for entry in path]
        gain = GAINS[names[0]] if HEAD in names else HIDDEN_GAIN
        return gain * _orthonormal(next(normal).reshape(-1, leaf.shape[-1])).reshape(leaf.shape)

    return jax.tree_util.tree_map_with_path(fill, shapes)


def _orthonormal(normal: Array) -> Array:
    """A normal matrix made orthonormal in its columns, or its rows if it is wide."""
    rows, columns = normal.shape
    q, r = jnp.linalg.qr(normal if rows >= columns else normal.T)
    q = q * jnp.sign(jnp.diag(r))
    return q if rows >= columns else q.T
