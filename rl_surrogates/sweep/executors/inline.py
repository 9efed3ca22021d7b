"""This process: no second start, and a debugger stops where one expects.

What kills a training kills the sweep, which resumes from its last checkpoint.
"""

import threading
from collections.abc import Iterator

from rl_surrogates.sweep import worker
from rl_surrogates.sweep.executors.protocol import Event, OneAtATime
from rl_surrogates.sweep.job import Job


class Inline(OneAtATime):
    """Carries out jobs in this process."""

    def __init__(self, devices: int) -> None:
        """Ready at once; the `devices` are those of this process."""
        self.devices = devices
        self.programs, self.stopping = worker.Programs(), threading.Event()

    def hold(self, lock: int | None) -> None:
        """This process holds it already."""

    def run(self, job: Job) -> Iterator[Event]:
        """The events of a job, as they happen."""
        return worker.perform(job, self.programs, self.stopping.is_set)

    def stop(self) -> None:
        """Leaves after the chunk that is running."""
        self.stopping.set()

    def close(self) -> None:
        """Nothing is left to end."""
