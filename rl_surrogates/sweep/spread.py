"""How are lanes spread over devices?

A function of one lane is `vmap`ped over the lanes of a device, and these are sharded over all
devices. One CPU device computes small programs on one core, so `use_every_core` asks jax for a
virtual device per core.
"""

import contextlib
import os
from collections.abc import Callable

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from rl_surrogates import grouping

LANES, SHARED = 0, None  # whether an argument has one value per lane, or one for all
# On a CPU most of the compile time goes into optimising random number kernels; level 1 halves it at
# equal run time.
CPU_OPTIONS = {"xla_backend_optimization_level": 1}


def over_lanes(
    fn: Callable, axes: tuple[int | None, ...], donate: tuple[int, ...] = ()
) -> Callable:
    """`jit` of `fn` over lanes, which are sharded over all devices.

    Args:
      fn: of one lane.
      axes: for each of its arguments `LANES` or `SHARED`.
      donate: numbers of the arguments whose memory becomes that of the results.
    """
    specs = tuple(PartitionSpec() if axis is None else PartitionSpec("lanes") for axis in axes)
    sharded = jax.shard_map(
        jax.vmap(fn, in_axes=axes),
        mesh=mesh(),
        in_specs=specs,
        out_specs=PartitionSpec("lanes"),
        check_vma=False,
    )
    return jax.jit(sharded, donate_argnums=donate, compiler_options=compiler_options())


def mesh() -> Mesh:
    """All devices of this process, in one axis of lanes."""
    return jax.make_mesh((jax.local_device_count(),), ("lanes",), axis_types=(AxisType.Auto,))


def sharding() -> NamedSharding:
    """How arrays `[L, ...]` lie on all devices."""
    return NamedSharding(mesh(), PartitionSpec("lanes"))


def compiler_options() -> dict[str, int] | None:
    """On a CPU, less optimisation of what takes long to compile and no time to run."""
    return CPU_OPTIONS if jax.default_backend() == "cpu" else None


def use_every_core(devices: int = 0) -> int:
    """One virtual CPU device per core, or `devices` of them where said, unless jax already runs.

    Returns the number of devices, of whatever kind.
    """
    if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # the backend has started: its devices stand
            jax.config.update("jax_num_cpu_devices", devices or grouping.cores())
    return jax.local_device_count()
