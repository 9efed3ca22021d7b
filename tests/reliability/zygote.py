"""A process that has imported everything and started nothing: it forks sweeps as it is told.

A sweep of its own costs the start of jax and no imports, so that hundreds can be killed. It is told
one line of JSON, and answers with another:

    {"root": .., "log": .., ..}    what `sweep` takes   -> its process id
    {"ended": PID}                                      -> whether it has
    {"wait": PID}                                       -> the status in which it ended

`Zygote` is the other end. What it forked may be killed by its number until it is waited for.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import jax

from rl_surrogates.store import files, provenance
from rl_surrogates.sweep import engine, memory, run_sweep
from rl_surrogates.sweep.progress import Progress
from tests.reliability.hands import Mailbox
from tests.reliability.sweeping import ROOT, ask

QUESTION = {"seeds": 12, "lanes": 8}  # 24 runs in three work items
PRNG = {"implementation": "as in every fork of this process"}
STEPS = ("write", "fsync", "replace")
LOOK = os.WEXITED | os.WNOHANG | os.WNOWAIT


def main():
    warnings.filterwarnings("ignore", message=".*os.fork.*")
    assert not jax._src.xla_bridge.backends_are_initialized()  # a fork of it would hang
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = os.waitpid(request["wait"], 0)[1]
        elif "ended" in request:
            answer = os.waitid(os.P_PID, request["ended"], LOOK) is not None
        elif not (answer := os.fork()):
            sweep(**request)
        print(json.dumps(answer), flush=True)


def sweep(root, log, aim=None, question=QUESTION, executor=None, environment=None, prng=PRNG):
    """Runs the sweep of `ask(**question)`; never returns. Its workers must have the same `prng`."""
    os.environ.update(environment or {})
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 2)
    tell, note = Progress.tell, os.write

    def noted(progress, event):
        if event["event"] == "chunk":
            note(descriptor, b"chunk\n")
        tell(progress, event)

    Progress.tell = noted
    # What a kill cannot harm, and takes a fifth of such a sweep, is left out.
    engine.EXECUTORS["mailbox"] = Mailbox
    memory.item_bytes = lambda plan: 0
    provenance._prng = lambda: prng
    for step in STEPS:
        setattr(files.os, step, mortal(step, getattr(os, step), aim, descriptor, note))
    try:
        run_sweep(ask(**question), out=root, executor=executor)
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


class Zygote:
    """Forks sweeps, and kills them."""

    def __init__(self, environment):
        """Waits until everything is imported."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.reliability.zygote"],
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def told(self, **request):
        """Its answer."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def start(self, root, log, **about):
        """The process id of a sweep below `root` that has begun."""
        return self.told(root=str(root), log=str(log), **about)

    def wait(self, pid):
        """The status in which a sweep ended, once it has."""
        return self.told(wait=pid)

    def ended(self, pid):
        """Whether it has; it is still to be waited for."""
        return self.told(ended=pid)

    def sweep(self, root, aim=None, after=None):
        """Runs or resumes the sweep below `root`; whether it was killed, and its seconds."""
        started, log = time.monotonic(), root.with_suffix(".log")
        pid = self.start(root, log, aim=aim)
        if after is not None:
            time.sleep(after)
            os.kill(pid, signal.SIGKILL)
        status = self.wait(pid)
        killed = os.WIFSIGNALED(status)
        assert killed or status == 0, log.read_text()[-3000:]
        return killed, time.monotonic() - started

    def close(self):
        """Ends it."""
        self.process.stdin.close()
        self.process.wait(timeout=30)
        self.process.stdout.close()


if __name__ == "__main__":
    main()
