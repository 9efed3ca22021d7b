"""The process in which work items are trained: it may die, and the sweep goes on.

Its standard input, a socket, brings the lock of the results folder, which it only has to keep open,
and then one job a line, or `stop`. One event a line goes back by what was its standard output. When
the input ends, its parent is gone, and so is it, at once. Signals are its parent's business: a
terminal sends Ctrl-C to both.
"""

import faulthandler
import json
import os
import queue
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator

STOP = "stop"


class Programs:
    """The compiled functions of the last program: items come program by program."""

    def __init__(self) -> None:
        """Nothing is compiled yet."""
        self._digest, self._lanes = None, None

    def lanes(self, program):
        """The lanes of a program."""
        from rl_surrogates.sweep.lanes import Lanes

        if program.digest != self._digest:
            self._lanes = None  # freed before the next one is made
            self._digest, self._lanes = program.digest, Lanes(program)
        return self._lanes


def perform(job, programs: Programs, stopping: Callable[[], bool]) -> Iterator[dict]:
    """The events of a job; what goes wrong is an event as well.

    failed         traceback    an error that the next attempt is likely to meet again
    out_of_memory  message      a narrower item may fit
    unwritable     message      the place, not the job, is at fault
    refused        message      this process sees another place under that name
    """
    from rl_surrogates.store import Leases, StoreError
    from rl_surrogates.sweep.item import train

    try:
        if job.tag and not Leases(job.folder).find(job.item.item):  # under which it is to write
            message = f"the worker does not see {job.folder}; take a place that all processes share"
            yield {"event": "refused", "message": message}
            return
        yield from train(job, programs.lanes(job.program), stopping)
    except StoreError as error:
        yield {"event": "unwritable", "message": str(error)}
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error) or isinstance(error, MemoryError):
            yield {"event": "out_of_memory", "message": str(error).partition("\n")[0]}
        else:
            yield {"event": "failed", "traceback": traceback.format_exc()}


def main() -> None:
    """Performs jobs until the input ends."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    faulthandler.enable()
    events = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever else prints, prints elsewhere
    jobs: queue.SimpleQueue = queue.SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(jobs, stop), daemon=True).start()

    # All that is needed is imported while the parent still plans; gymnax with the first of its own,
    # which starts the devices.
    from rl_surrogates import environments
    from rl_surrogates.sweep import cache, item, job, spread  # noqa: F401

    devices = spread.use_every_core(int(sys.argv[1] or 0))
    cache.keep_compilations()
    environments.make(environments.ENVIRONMENT_NAMES[0])
    print(json.dumps({"event": "ready", "devices": devices}), file=events, flush=True)
    programs = Programs()
    while True:
        for event in perform(job.from_line(jobs.get()), programs, stop.is_set):
            print(json.dumps(event), file=events, flush=True)


def _listen(jobs: queue.SimpleQueue, stop: threading.Event) -> None:
    try:
        with socket.socket(fileno=os.dup(0)) as line:
            socket.recv_fds(line, 1, 1)  # the lock, which stays open until the process ends
        for line in sys.stdin:
            if line.strip() == STOP:
                stop.set()
            else:
                jobs.put(line)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
