"""Who carries out the jobs of a sweep? Interchangeable hands: the results folder is the truth.

    local    one worker process on this machine, over all of its devices; it may die
    inline   this process
    ray      tasks on a Ray cluster: a running one by its address, or one started on this machine
    slurm    a job array, through submitit

`EXECUTORS[name](execution)` is an `Executor`, as `protocol` says what that is. Most is imported
when it is needed: a worker is to be started before jax and the schema are imported here.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rl_surrogates.sweep.executors.local import Local
from rl_surrogates.sweep.executors.protocol import ENDINGS, Executor, local_devices

if TYPE_CHECKING:
    from rl_surrogates.config import Execution, Question

__all__ = [
    "ENDINGS",
    "EXECUTORS",
    "Executor",
    "check_executor",
    "chosen_executor",
    "early_worker",
    "local_devices",
]


def new_local(execution: "Execution") -> Executor:
    """A worker process."""
    return Local(local_devices(execution))


def new_inline(execution: "Execution") -> Executor:
    """This process."""
    from rl_surrogates.sweep.executors.inline import Inline

    return Inline(local_devices(execution))


def new_ray(execution: "Execution") -> Executor:
    """Tasks of Ray."""
    from rl_surrogates.sweep.executors.ray import Ray

    return Ray(execution)


def new_slurm(execution: "Execution") -> Executor:
    """An array of SLURM jobs."""
    from rl_surrogates.sweep.executors.slurm import Slurm

    return Slurm(execution)


EXECUTORS = {"local": new_local, "inline": new_inline, "ray": new_ray, "slurm": new_slurm}


@contextlib.contextmanager
def early_worker(executor: str) -> Iterator[Local | None]:
    """A `local` executor whose worker has started, for `run_sweep`; None for any other."""
    if executor != "local":
        yield None
        return
    with contextlib.closing(Local()) as hand:
        yield hand


def chosen_executor(question: "Question", default: str) -> str:
    """Who trains by what the question says; `default` where it leaves that open."""
    said = question.execution.executor
    return default if said == "auto" else said


def check_executor(name: str) -> None:
    """Raises ConfigError unless there is an executor of this name."""
    if name not in EXECUTORS:
        from rl_surrogates.config import ConfigError, Problem
        from rl_surrogates.config.problems import show, suggest

        message = f"unknown executor {show(name)}{suggest(name, EXECUTORS, 'executors')}"
        raise ConfigError([Problem("", 0, 0, "executor", message)])
