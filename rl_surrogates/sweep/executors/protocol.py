"""What is an executor? A hand and nothing more: it is told jobs, and tells how each of them goes.

It knows neither the plan nor the manifest. An event is a dict that says which `event` it is; those
of a training stand in `item`, and one of `ENDINGS` is the last that is heard of a job.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # nothing heavy is imported here, so that a worker starts before it is
    from rl_surrogates.config import ConfigError, Execution
    from rl_surrogates.sweep.job import Job

Event = dict[str, Any]
ENDINGS = {
    "finished",  # its parts are written, and are to be listed
    "stopped",  # as it was asked to; what was done is saved
    "failed",  # an error that the next attempt is likely to meet again
    "out_of_memory",  # a narrower item may fit
    "died",  # took its worker with it
    "lost",  # its worker is gone, which says nothing of the job
    "unwritable",  # the place is at fault, and no job can be done there
    "refused",  # the worker is at fault, and can do no job of this sweep
}


class Executor(Protocol):
    """Carries out jobs."""

    slots: int  # jobs that it takes at a time
    devices: int  # over which a worker spreads the lanes of an item
    leased: bool  # whether its workers hold the leases of their items themselves

    def hold(self, lock: int | None) -> None:
        """Has whatever it started keep the lock of the results as long as it lives, if any."""

    def submit(self, job: "Job") -> None:
        """Takes a job, of at most `slots`."""

    def next(self) -> tuple[str, Event]:
        """Waits for the next event, with the name of the item that it is of."""

    def stop(self) -> None:
        """Asks every job to save and leave; called from a signal handler."""

    def close(self) -> None:
        """Ends at once what it started."""


class OneAtATime:
    """An executor of one slot, made from one that gives the events of a job as an iterator."""

    slots, leased = 1, False

    def run(self, job: "Job") -> Iterator[Event]:
        """The events of a job, as they happen."""
        raise NotImplementedError

    def submit(self, job: "Job") -> None:
        """Begins when the first event is asked for."""
        self.job, self.events = job, self.run(job)

    def next(self) -> tuple[str, Event]:
        """The next event of the one job."""
        return self.job.item.item, next(self.events, {"event": "stopped"})


def local_devices(execution: "Execution") -> int:
    """How many devices of this machine `execution` asks for.

    Raises:
      ConfigError: there is another number of them.
    """
    from rl_surrogates.sweep.spread import use_every_core

    wanted = None if execution.devices == "auto" else execution.devices
    found = use_every_core(wanted)
    if wanted not in (None, found):
        message = f"{wanted} asked for, and this process has {found}; take {found} or auto"
        raise problem("devices", message)
    return found


def problem(field: str, message: str) -> "ConfigError":
    """What cannot be done, about a field of `execution`."""
    from rl_surrogates.config import ConfigError, Problem

    return ConfigError([Problem("", 0, 0, f"execution.{field}", message)])


def needs(extra: str, package: str) -> "ConfigError":
    """What to say where the package of an executor is not installed."""
    message = f"{extra} needs the package {package}: pip install 'rl-surrogates[{extra}]'"
    return problem("executor", message)


@contextlib.contextmanager
def refusing(field: str) -> Iterator[None]:
    """Tells an error of another package in one line about a field of `execution`."""
    try:
        yield
    except Exception as error:
        lines = (line.strip() for line in str(error).splitlines())
        raise problem(field, next(filter(None, lines), repr(error))) from error
