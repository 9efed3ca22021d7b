"""A process that has imported everything and started nothing: it forks one sweep per line it reads.

A sweep of its own costs the start of jax and no imports, so that hundreds can be killed. A line is
JSON: `root`, `log`, `aim`, at which call of the disk the sweep is to kill itself, and `after`, in
how many seconds it is killed; null for neither. The answer is the status in which it ended.
"""

import itertools
import json
import os
import signal
import sys
import time
import warnings

import jax

from rl_surrogates.store import files, provenance
from rl_surrogates.sweep import memory, run_sweep
from rl_surrogates.sweep.progress import Progress
from tests.reliability.sweeping import ask

QUESTION = {"seeds": 12, "lanes": 8}  # 24 runs in three work items
STEPS = ("write", "fsync", "replace")


def main():
    warnings.filterwarnings("ignore", message=".*os.fork.*")
    assert not jax._src.xla_bridge.backends_are_initialized()  # a fork of it would hang
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        after = request.pop("after")
        pid = os.fork()
        if not pid:
            sweep(**request)
        if after is not None:
            time.sleep(after)
            os.kill(pid, signal.SIGKILL)  # not waited for yet, so it is still this process
        print(os.waitpid(pid, 0)[1], flush=True)


def sweep(root, log, aim):
    """Runs the sweep; never returns."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 2)
    tell, note = Progress.tell, os.write

    def noted(progress, event):
        if event["event"] == "chunk":
            note(descriptor, b"chunk\n")
        tell(progress, event)

    Progress.tell = noted
    # What a kill cannot harm, and takes a fifth of such a sweep, is left out.
    memory.item_bytes = lambda plan: 0
    provenance._prng = lambda: {"implementation": "as in every fork of this process"}
    for step in STEPS:
        setattr(files.os, step, mortal(step, getattr(os, step), aim, descriptor, note))
    try:
        run_sweep(ask(**QUESTION), out=root)
        os._exit(0)
    except BaseException as error:
        note(descriptor, f"error {error!r}\n".encode())
        os._exit(1)


def mortal(step, real, aim, descriptor, note):
    """A call of the disk that is noted, and kills its process before or after it is made."""
    calls = itertools.count()

    def call(*arguments):
        note(descriptor, f"{step}\n".encode())
        here = aim and aim[:2] == [step, next(calls)]
        if here and aim[2] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if here and aim[2] == "within" and step == "write":
            real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
        elif not here or aim[2] != "within":
            result = real(*arguments)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


if __name__ == "__main__":
    main()
