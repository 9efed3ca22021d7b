"""What should a policy-gradient update maximise, and for how long on the same data?

Read `training.py` first: one update on a page. The catalogue of answers is `objectives`.

    config    load_config  Config  load_question
    training  make_train  make_program  make_network
    sweeps    run_sweep  open_results
    acting    save_policy  load_policy  render
    formulas  objectives  divergences  advantages  value_losses  distributions  solvers
    reading   statistics  diagnostics  adaptation  evaluation

Names are imported when they are first used: `from rl_surrogates import objectives` costs jax and
nothing more.
"""

import importlib

_HOME = {
    "Config": "config",
    "ConfigError": "config",
    "load_config": "config",
    "load_question": "config",
    "make_train": "training",
    "make_program": "training",
    "make_network": "assembly",
    "save_policy": "store.policies",
    "load_policy": "store.policies",
    "render": "rendering",
    "run_sweep": "sweep",
    "open_results": "store",
}
_MODULES = (
    "adaptation",
    "advantages",
    "diagnostics",
    "distributions",
    "divergences",
    "evaluation",
    "objectives",
    "solvers",
    "statistics",
    "value_losses",
)

__version__ = "0.1.0"
__all__ = ["__version__", *_HOME, *_MODULES]


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
