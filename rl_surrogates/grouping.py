"""How many lanes does a device train at a time?

`vmap` takes all lanes through every operation at once. An accelerator is best at that; a CPU would
fetch the lanes from memory for every operation and bring them back, and trains as many at a time as
its caches hold: one group of them after the other. `in_groups` makes this the batching rule of a
function, so that it holds for the lanes of a sweep and for anyone's `vmap` of a training.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from rl_surrogates.types import Array

# Environments that a core of a CPU steps together, of one lane or of several: enough to pay for the
# start of every operation. Eight kinds of programs took 0.73 to 0.92 of the time of all lanes.
ENVS_PER_CORE = 32


def cores() -> int:
    """Cores of the CPU that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def lanes_at_once(num_envs: int) -> int | None:
    """Lanes of so many environments that a device trains at a time, at least; None: all it has."""
    if jax.default_backend() != "cpu":
        return None
    of_device = max(1, cores() // jax.local_device_count())
    return max(1, ENVS_PER_CORE * of_device // num_envs)


def group_size(lanes: int, at_once: int | None) -> int:
    """The smallest of at least `at_once` lanes, or all, into which `lanes` are cut without rest.

    A rest would be a program of its own, compiled beside the other.
    """
    least = min(at_once or lanes, lanes)
    return next(size for size in range(least, lanes + 1) if lanes % size == 0)


def in_groups(fn: Callable, at_once: int | None) -> Callable:
    """`fn`, of which `vmap` computes few lanes at a time; equal to all at once, to rounding.

    Args:
      fn: of one lane: `(state, ...) -> (state, what else)`. Its first argument as it becomes takes
        the place of the one before. What it closes over must not be mapped.
      at_once: lanes in hand at a time, at least; None: all there are.
    """
    fn = jax.jit(fn)  # traced once, for one lane and for many
    grouped = custom_vmap(fn)

    @grouped.def_vmap
    def of_lanes(lanes: int, batched: list, state: Any, *rest: Any) -> tuple[Any, Any]:
        of_state, *of_rest = batched
        state = jax.tree.map(partial(_batched, lanes), of_state, state)
        few = at_once if _of_one_device() else None
        found = _one_after_the_other(fn, few, of_rest, state, rest)
        return found, jax.tree.map(lambda _: True, found)

    return grouped


def _of_one_device() -> bool:
    """Whether the lanes at hand are one device's: those of the only one, or of a shard.

    Lanes that XLA is to spread over devices stay together: a loop over them would gather them.
    """
    return jax.local_device_count() == 1 or bool(jax.sharding.get_abstract_mesh().manual_axes)


def _one_after_the_other(
    fn: Callable, at_once: int | None, batched: list, states: Any, rest: tuple
) -> tuple[Any, Any]:
    """`fn` of all lanes of `states`, and of those leaves of `rest` that have lanes too."""
    lanes, batched = jax.tree.leaves(states)[0].shape[0], tuple(batched)
    size = group_size(lanes, at_once)
    axes = jax.tree.map(lambda own: 0 if own else None, batched)
    # Another `vmap` around this one maps whole groups.
    of_group = in_groups(jax.vmap(fn, (0, *axes)), at_once and max(1, at_once // size))
    if size == lanes:
        return of_group(states, *rest)

    def one_group(states: Any, index: Array) -> tuple[Any, Any]:
        take = partial(jax.lax.dynamic_index_in_dim, index=index, keepdims=False)
        put = partial(jax.lax.dynamic_update_index_in_dim, index=index, axis=0)
        given = jax.tree.map(partial(_if_own, take), batched, rest)
        state, other = of_group(jax.tree.map(take, states), *given)
        return jax.tree.map(put, states, state), other

    split = partial(_split, size)
    rest = jax.tree.map(partial(_if_own, split), batched, rest)
    # The states are carried, so that each is written where it was read: in place.
    found = jax.lax.scan(one_group, jax.tree.map(split, states), jnp.arange(lanes // size))
    return jax.tree.map(lambda leaf: leaf.reshape(lanes, *leaf.shape[2:]), found)


def _batched(lanes: int, already: bool, leaf: Array) -> Array:
    return leaf if already else jnp.broadcast_to(leaf, (lanes, *leaf.shape))


def _if_own(change: Callable[[Array], Array], own: bool, leaf: Array) -> Array:
    return change(leaf) if own else leaf


def _split(size: int, leaf: Array) -> Array:
    """`[L, ...]` -> `[L / size, size, ...]`."""
    return leaf.reshape(-1, size, *leaf.shape[1:])
