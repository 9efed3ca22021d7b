"""How are lanes spread over devices, and on each of them over time?

A function of one lane is `vmap`ped over the lanes of a device, and these are sharded over all
devices. One CPU device computes small programs on one core, so `use_every_core` asks jax for a
virtual device per core.

A CPU trains a few lanes at a time, one group of them after the other: as many as its caches hold.
All at once, every operation would fetch its lanes from memory and bring them back.
"""

import contextlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, PartitionSpec

from rl_surrogates.types import Array

LANES, SHARED = 0, None  # whether an argument has one value per lane, or one for all
# On a CPU most of the compile time goes into optimising random number kernels; level 1 halves it at
# equal run time.
CPU_OPTIONS = {"xla_backend_optimization_level": 1}
# Environments that a CPU device steps together, of one lane or of several: enough to pay for the
# start of every operation. Eight kinds of programs took 0.73 to 0.92 of the time of all lanes.
ENVS_AT_ONCE = 32


def lanes_at_once(num_envs: int) -> int | None:
    """Lanes of so many environments that a device trains at a time, at least; None: all it has."""
    on_cpu = jax.default_backend() == "cpu"
    return max(1, ENVS_AT_ONCE // num_envs) if on_cpu else None


def group_size(lanes: int, at_once: int | None) -> int:
    """The smallest of at least `at_once` lanes, or all, into which `lanes` are cut without rest.

    A rest would be a program of its own, compiled beside the other.
    """
    least = min(at_once or lanes, lanes)
    return next(size for size in range(least, lanes + 1) if lanes % size == 0)


def over_lanes(
    fn: Callable,
    axes: tuple[int | None, ...],
    donate: tuple[int, ...] = (),
    at_once: int | None = None,
) -> Callable:
    """`jit` of `fn` over lanes, which are sharded over all devices.

    Args:
      fn: of one lane. With `at_once`, `(state, ...) -> (state, what else)`: its first argument as
        it becomes, which takes the place of the one before.
      axes: for each of its arguments `LANES` or `SHARED`.
      donate: numbers of the arguments whose memory becomes that of the results.
      at_once: lanes that a device has in hand at a time, at least; None: all that it has.
    """
    specs = tuple(PartitionSpec() if axis is None else PartitionSpec("lanes") for axis in axes)
    sharded = jax.shard_map(
        partial(_in_groups, fn, axes, at_once),
        mesh=mesh(),
        in_specs=specs,
        out_specs=PartitionSpec("lanes"),
        check_vma=False,
    )
    return jax.jit(sharded, donate_argnums=donate, compiler_options=compiler_options())


def _in_groups(
    fn: Callable, axes: tuple[int | None, ...], at_once: int | None, *arguments: Any
) -> Any:
    """`vmap` of `fn` on one device, over one group of its lanes after the other."""
    of_group = jax.vmap(fn, in_axes=axes)
    lanes = jax.tree.leaves(arguments[0])[0].shape[0]
    size = group_size(lanes, at_once)
    if size == lanes:
        return of_group(*arguments)

    def split(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.reshape(-1, size, *leaf.shape[1:]), tree)

    def one_group(states: Any, index: Array) -> tuple[Any, Any]:
        take = partial(jax.lax.dynamic_index_in_dim, index=index, keepdims=False)
        put = partial(jax.lax.dynamic_update_index_in_dim, index=index, axis=0)
        given = zip((states, *groups[1:]), axes, strict=True)
        own = [jax.tree.map(take, one) if axis == LANES else one for one, axis in given]
        state, other = of_group(*own)
        return jax.tree.map(put, states, state), other

    groups = [split(g) if axis == LANES else g for g, axis in zip(arguments, axes, strict=True)]
    # The states are carried, so that each is written where it was read: in place.
    found = jax.lax.scan(one_group, groups[0], jnp.arange(lanes // size))
    return jax.tree.map(lambda leaf: leaf.reshape(lanes, *leaf.shape[2:]), found)


def mesh() -> Mesh:
    """All devices of this process, in one axis of lanes."""
    return jax.make_mesh((jax.local_device_count(),), ("lanes",), axis_types=(AxisType.Auto,))


def compiler_options() -> dict[str, int] | None:
    """On a CPU, less optimisation of what takes long to compile and no time to run."""
    return CPU_OPTIONS if jax.default_backend() == "cpu" else None


def use_every_core(devices: int = 0) -> int:
    """One virtual CPU device per core, or `devices` of them where said, unless jax already runs.

    Returns the number of devices, of whatever kind.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cores = devices or cores
    if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # the backend has started: its devices stand
            jax.config.update("jax_num_cpu_devices", cores)
    return jax.local_device_count()
