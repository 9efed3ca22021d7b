"""One worker process, which may die. It drives all devices of the machine, over which the lanes are
spread: lanes never talk, so a process per device would gain nothing and cost memory and a
compilation each. If it dies, by a fault of the runtime or for want of memory, the sweep lives on.
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
from rl_surrogates.sweep.executors.protocol import ENDINGS, OneAtATime

if TYPE_CHECKING:  # jax is not imported here, so that a worker starts before it is
    from rl_surrogates.sweep.job import Job

GRACE = 20.0  # seconds in which a worker that was told to stop has to save and leave
PACKAGE = Path(__file__).parents[3]


class Local(OneAtATime):
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

    def hold(self, lock: int | None) -> None:
        """Gives the worker the lock of the results folder, and every one that replaces it."""
        self.lock = lock
        with contextlib.suppress(BrokenPipeError):  # dead already, which `run` will notice
            socket.send_fds(self.line, [b"\n"], [] if lock is None else [lock])

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
