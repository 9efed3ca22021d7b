"""A process of its own for contenders, so that each has its own memory, devices and packages.

Reads one line of JSON per order, answers with one line each:

    {"prepare": spec}   compile and warm up     -> what is known of the contender
    {"run": index}      one run of a contender  -> seconds
    {"about": null}     versions and device; starts jax, so that devices can no longer be chosen
    {}                  nothing: the process is there

Idle, it waits for its next order and takes nothing from the contender whose turn it is.
"""

import hashlib
import importlib
import json
import math
import os
import platform
import resource
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from benchmarks.compiled import Ready
from benchmarks.work import Spec

MODULES = {
    "ours": ("ours", "sweep", "memory", "objectives", "ascent", "ascent_sweep"),
    "peer_rejax": ("rejax", "rejax_settings"),
    "peer_sb3": ("sb3", "sb3_contrib"),
    "products": ("products", "products_sweep", "square"),
}
PACKAGES = ("rl-surrogates", "jax", "jaxlib", "flax", "optax", "gymnax", "rejax", "distrax")
PACKAGES += ("tfp-nightly", "stable-baselines3", "sb3-contrib", "gymnasium", "torch", "numpy")


def prepare(told: list) -> tuple[Ready, dict[str, Any]]:
    """Compiles a contender and runs it once; what is known of it then."""
    spec = Spec(*told)
    name = next(module for module, names in MODULES.items() if spec.contender in names)
    module = importlib.import_module(f"benchmarks.{name}")
    ready = module.CONTENDERS[spec.contender](spec)
    start = time.perf_counter()
    result = ready.run()
    return ready, {
        "steps": ready.steps,
        "compile_s": ready.compile_s,
        "first_run_s": time.perf_counter() - start,
        "program_bytes": ready.program_bytes,
        "peak_bytes": peak_bytes(),
        "digest": digest(result),
        "episode_return": episode_return(result),
        **ready.facts,
    }


def run(ready: Ready) -> dict[str, float]:
    """One run, timed."""
    start = time.perf_counter()
    ready.run()
    return {"run_s": time.perf_counter() - start, "peak_bytes": peak_bytes()}


def about() -> dict[str, Any]:
    """Versions, device, and how busy the machine was."""
    import jax

    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return {
        "versions": found,
        "platform": jax.default_backend(),
        "devices": jax.local_device_count(),
        "device": jax.local_devices()[0].device_kind,
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg(),
    }


def peak_bytes() -> int:
    """The most memory that was held so far: on the accelerator, or resident in this process."""
    jax = sys.modules.get("jax")
    stats = jax.local_devices()[0].memory_stats() if jax else None
    if stats and "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"]
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def digest(result: Any) -> str:
    """SHA-256 of every array of a result: equal where runs agree to the bit."""
    jax = sys.modules.get("jax")
    if jax is None:
        return ""
    found = hashlib.sha256()
    for leaf in jax.tree.leaves(result):
        if not isinstance(leaf, jax.Array):
            continue
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        found.update(jax.device_get(jax.random.key_data(leaf) if is_key else leaf).tobytes())
    return found.hexdigest()


def episode_return(result: Any) -> float:
    """Mean over the lanes in which an episode ended in the last update; nan if there are none."""
    match result:
        case (_, {"episode_return": found}):
            last = np.asarray(found)[:, -1]
            ended = last[~np.isnan(last)]
            return float(ended.mean()) if ended.size else math.nan
    return math.nan


def main() -> None:
    """Answers orders until there are no more."""
    answers, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr  # what a peer prints is no answer
    os.dup2(2, 1)
    held: list[Ready] = []
    for line in sys.stdin:
        order = json.loads(line)
        if "prepare" in order:
            ready, known = prepare(order["prepare"])
            held.append(ready)
        elif "run" in order:
            known = run(held[order["run"]])
        else:
            known = about() if "about" in order else {}
        print(json.dumps(known), file=answers, flush=True)


if __name__ == "__main__":
    main()
