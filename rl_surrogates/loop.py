"""How is an update repeated on the device, so that every chunking gives the same bits?

The trip count is hidden from the compiler by an optimisation barrier: a loop whose length is known
is compiled otherwise, and the last bits then differ.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from rl_surrogates.types import Array, Info


def repeat(
    update: Callable[[Any], tuple[Any, Info]], state: Any, times: int | Array, *, rows: int
) -> tuple[Any, Info]:
    """`times` updates of `state`; their infos fill the first of `rows` rows, the rest is 0.

    Args:
      update: `state -> (state, info)`, pure; the state keeps its shapes and types.
      state: what the first update begins with.
      times: how often, at most `rows`. May be traced.
      rows: length of what is returned of the infos: `[rows, ...]`.
    """
    update = jax.jit(update)  # traced once for both uses
    shapes = jax.eval_shape(update, state)[1]
    empty = jax.tree.map(lambda leaf: jnp.zeros((rows, *leaf.shape), leaf.dtype), shapes)

    def step(row: Array, carry: tuple[Any, Info]) -> tuple[Any, Info]:
        state, infos = carry
        state, info = update(state)
        return state, jax.tree.map(lambda all_, one: all_.at[row].set(one), infos, info)

    count = jax.lax.optimization_barrier(jnp.asarray(times, jnp.int32))
    return jax.lax.fori_loop(0, count, step, (state, empty))
