"""How does a question become results? Plan, run what is missing, store, read back.

`run_sweep(path)` is the same thing from a notebook as `rl-surrogates sweep FILE` from a shell.

Names are imported when they are first used: a worker process can be started before jax is imported.
"""

import importlib

_HOME = {
    "Interrupted": "signals",
    "Plan": "plan",
    "Status": "status",
    "check_executor": "executors",
    "check_memory": "engine",
    "check_size": "engine",
    "chosen_executor": "executors",
    "early_worker": "executors",
    "item_bytes": "memory",
    "make_plan": "plan",
    "run_sweep": "engine",
    "status_of": "status",
    "use_every_core": "spread",
}

__all__ = list(_HOME)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
