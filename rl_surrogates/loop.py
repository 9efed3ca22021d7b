"""What is done over and over on the device: updates, and parts of a rollout?

The trip count of updates is hidden from the compiler by an optimisation barrier: a loop whose
length is known is compiled otherwise, and the last bits then differ between one chunk of updates
and two.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from rl_surrogates.types import Array, Distribution, Info, Network, Params

PARTS, SAMPLES = 16, 1024  # how many parts a batch has at most, how many samples a part at least


def repeat(
    update: Callable[[Any, Any], tuple[Any, Info]],
    state: Any,
    hypers: Any,
    times: int | Array,
    *,
    rows: int,
) -> tuple[Any, Info]:
    """`times` updates of `state`; their infos fill the first of `rows` rows, the rest is 0.

    Args:
      update: `(state, hypers) -> (state, info)`, pure; the state keeps its shapes and types.
      state: what the first update begins with.
      hypers: of every update.
      times: how often, at most `rows`. May be traced.
      rows: length of what is returned of the infos: `[rows, ...]`.
    """
    update = jax.jit(update)  # traced once for both uses
    shapes = jax.eval_shape(update, state, hypers)[1]
    empty = jax.tree.map(lambda leaf: jnp.zeros((rows, *leaf.shape), leaf.dtype), shapes)

    def step(row: Array, carry: tuple[Any, Info]) -> tuple[Any, Info]:
        state, infos = carry
        state, info = update(state, hypers)
        record = partial(jax.lax.dynamic_update_index_in_dim, index=row, axis=0)
        return state, jax.tree.map(record, infos, info)

    count = jax.lax.optimization_barrier(jnp.asarray(times, jnp.int32))
    return jax.lax.fori_loop(0, count, step, (state, empty))


def unroll(
    network: Network, params: Params, observation: Any, reset: Array, carry: Any
) -> tuple[Distribution, Array, Any]:
    """`network.unroll` on a whole rollout; without a memory, in parts."""
    if network.recurrent:
        return network.unroll(params, observation, reset, carry)

    def of_part(seen: tuple[Any, Array]) -> tuple[Distribution, Array, Any]:
        return network.unroll(params, *seen, carry)

    return in_parts(of_part, (observation, reset), reset.size)


def in_parts(function: Callable[[Any], Any], batch: Any, num_samples: int) -> Any:
    """`function` of the rows `[R, ...]` of a batch, some of them after the others.

    A pass of a network over a whole rollout holds every observation as float32 and a whole layer of
    activations: several times what the rollout takes, and more than the processor's cache. A small
    batch is one part.

    Args:
      function: rows -> rows, each by itself.
      batch: leaves `[R, ...]`.
      num_samples: of all rows together.
    """
    rows = jax.tree.leaves(batch)[0].shape[0]
    parts = num_parts(rows, num_samples)
    if parts == 1:
        return function(batch)
    size = rows // parts

    def of_part(part: Array) -> Any:
        # Cut out where it lies: to split the batch would copy it, with the lanes in between.
        cut = partial(jax.lax.dynamic_slice_in_dim, start_index=part * size, slice_size=size)
        return function(jax.tree.map(cut, batch))

    found = jax.lax.map(of_part, jnp.arange(parts))
    return jax.tree.map(lambda leaf: leaf.reshape(rows, *leaf.shape[2:]), found)


def num_parts(rows: int, num_samples: int) -> int:
    """How many parts, of equally many rows, a batch is passed through in."""
    most = max(1, min(PARTS, num_samples // SAMPLES))
    return max(n for n in range(1, most + 1) if rows % n == 0)
