"""Who carries out a job? This process, or a worker that may die.

An executor is a hand and nothing more: `run(job)` gives events, `stop()` asks it to save and leave,
`close()` ends it, `hold(lock)` has it keep the lock of the results folder as long as it lives. It
knows neither the plan nor the manifest, and is told nothing but jobs.

    local    one worker process. It drives all devices of the machine, over which the lanes are
             spread: lanes never talk, so a process per device would gain nothing and cost memory
             and a compilation each. If it dies, by a fault of the runtime or for want of memory,
             the sweep lives on.
    inline   this process: no second start, and a debugger stops where one expects. What kills a
             training kills the sweep, which resumes from its last checkpoint.
"""

import collections
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rl_surrogates.sweep import worker

if TYPE_CHECKING:  # jax is not imported here, so that a worker starts before it is
    from rl_surrogates.sweep.job import Job

ENDINGS = {"finished", "stopped", "failed", "out_of_memory", "unwritable"}
GRACE = 20.0  # seconds in which a worker that was told to stop has to save and leave
PACKAGE = Path(__file__).parents[2]


class Inline:
    """Carries out jobs in this process."""

    def __init__(self, devices: int) -> None:
        """Ready at once; the `devices` are those of this process."""
        self.programs, self.stopping = worker.Programs(), threading.Event()

    def hold(self, lock: int) -> None:
        """This process holds it already."""

    def run(self, job: "Job") -> Iterator[dict]:
        """The events of a job, as they happen."""
        return worker.perform(job, self.programs, self.stopping.is_set)

    def stop(self) -> None:
        """Leaves after the chunk that is running."""
        self.stopping.set()

    def close(self) -> None:
        """Nothing is left to end."""


class Local:
    """Carries out jobs in one worker process, which is started again when it has died."""

    def __init__(self, devices: int | None = None) -> None:
        """Starts the worker, which imports what it needs while the caller plans.

        It must have as many `devices` as the plan is made for: another number is another program.
        They may be said later, before the first job.
        """
        self.devices = devices
        self.lock: int | None = None
        self.stopping, self.sending, self.unsaved = False, False, False
        self.environment = dict(os.environ)
        # An accelerator's memory is the worker's: this process only asks for names and counts.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        self.process: subprocess.Popen | None = None
        self._start()

    def hold(self, lock: int) -> None:
        """Gives the worker the lock of the results folder, and every one that replaces it."""
        self.lock = lock
        with contextlib.suppress(BrokenPipeError):  # dead already, which `run` will notice
            socket.send_fds(self.line, [b"\n"], [lock])

    def run(self, job: "Job") -> Iterator[dict]:
        """The events of a job; `died` is the last one where the worker did."""
        if self.stopping:
            yield {"event": "stopped"}
            return
        if self.process.poll() is not None:
            self._start()
            self.hold(self.lock)
        from rl_surrogates.sweep.job import to_line

        self.unsaved = False
        self._send(to_line(job))
        for line in self.process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                break  # cut off while it was written
            if event["event"] == "ready":
                self._check(event["devices"])
                continue
            self.unsaved = event["event"] == "chunk"
            yield event
            if event["event"] in ENDINGS:
                return
        status = self.process.wait()
        self.errors.join(timeout=5)
        text = "".join(self.tail)
        yield {"event": "died", "traceback": f"{text}\nthe worker ended with status {status}"}

    def stop(self) -> None:
        """Has the worker save and leave; one that has nothing to save, or is too slow, is ended."""
        self.stopping = True
        if not self.unsaved:
            self.process.kill()
        elif not self.sending:
            self._send(worker.STOP)
            timer = threading.Timer(GRACE, self.process.kill)
            timer.daemon = True
            timer.start()

    def close(self) -> None:
        """Ends the worker at once."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.line.close()

    def _check(self, found: int) -> None:
        """Ends a worker that does not have the devices of the plan; the next one is told them."""
        if found != self.devices:
            self.tail.append(f"planned for {self.devices} devices; the worker has {found}")
            self.process.kill()

    def _start(self) -> None:
        self.close()  # what is left of the one before
        self.line, theirs = socket.socketpair()
        paths = [str(PACKAGE), self.environment.get("PYTHONPATH", "")]
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rl_surrogates.sweep.worker", str(self.devices or "")],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**self.environment, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )
        theirs.close()
        self.tail: collections.deque[str] = collections.deque(maxlen=200)
        self.errors = threading.Thread(target=_keep, args=(self.process.stderr, self.tail))
        self.errors.daemon = True
        self.errors.start()

    def _send(self, line: str) -> None:
        self.sending, data = True, memoryview(f"{line}\n".encode("ascii"))
        try:
            while data:
                data = data[os.write(self.line.fileno(), data) :]
        except BrokenPipeError:
            pass  # it is dead, which `run` will notice
        self.sending = False


def _keep(pipe, tail: collections.deque) -> None:
    with pipe:
        for line in pipe:
            tail.append(line.decode("utf-8", "replace"))


EXECUTORS = {"local": Local, "inline": Inline}


@contextlib.contextmanager
def early_worker(executor: str) -> Iterator[Local | str]:
    """A `local` executor whose worker has started, for `run_sweep`; another's name as it is."""
    if executor != "local":
        yield executor
        return
    with contextlib.closing(Local()) as hand:
        yield hand
