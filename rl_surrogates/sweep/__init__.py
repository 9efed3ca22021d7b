"""How does a question become results? Plan, run what is missing, store, read back.

`run_sweep(path)` is the same thing from a notebook as `rl-surrogates sweep FILE` from a shell.
"""

from rl_surrogates.sweep.engine import check_memory, check_size, run_sweep
from rl_surrogates.sweep.lanes import use_every_core
from rl_surrogates.sweep.memory import item_bytes
from rl_surrogates.sweep.plan import Plan, make_plan
from rl_surrogates.sweep.signals import Interrupted

__all__ = [
    "Interrupted",
    "Plan",
    "check_memory",
    "check_size",
    "item_bytes",
    "make_plan",
    "run_sweep",
    "use_every_core",
]
