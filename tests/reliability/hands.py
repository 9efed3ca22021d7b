"""Executors of the tests: all that is real but the way to the workers.

The workers of `Mailbox` outlive the process that drives a sweep, as the tasks of SLURM do:

    <errand>.sent     a line of JSON
    <errand>.taken    a `Worker`, a thread of the tests, is at it
    <errand>.done     its answer
"""

import json
import os
import secrets
import threading
import time
from collections import deque
from pathlib import Path

from rl_surrogates.store import Store
from rl_surrogates.sweep import leased, make_plan, session, use_every_core
from rl_surrogates.sweep.executors.remote import Remote
from rl_surrogates.sweep.executors.slurm import Slurm
from rl_surrogates.sweep.job import make_job
from tests.reliability.sweeping import ask


def far():
    """Two workers with the programs of this process, so that bits are equal."""
    return {"devices": use_every_core(), "workers": 2}


def opened_job(tmp_path, **about):
    """A job in a folder whose sweep is under way, and what a worker is sent of it."""
    devices = use_every_core()
    plan = make_plan(ask(**about), devices)
    store = Store.open(tmp_path, "tiny", plan.as_json(), {"versions": {}})
    job = make_job(plan, plan.items()[0], store)
    token = session.begin(store.path)
    return job, leased.errand(job, "first", token, devices)


class Beside(Remote):
    """Does errands in this process, one per look."""

    slots = 2

    def start(self, lines):
        """Nothing yet."""
        return [deque([line]) for line in lines]

    def answer(self, handle):
        """Does it."""
        return json.loads(leased.work(handle.pop()))

    def cancel(self, handle):
        """Does not do it."""
        handle.clear()


class HereSlurm(Slurm):
    """The same jobs by submitit's own executor on this machine."""

    cluster = "local"


class Mailbox(Remote):
    """Sends errands to the folder that the variable MAILBOX names."""

    slots = 2

    def start(self, lines):
        """A letter for each."""
        folder = Path(os.environ["MAILBOX"])
        return [post(folder / f"{secrets.token_hex(8)}.sent", line) for line in lines]

    def answer(self, handle):
        """What came back."""
        path = handle.with_suffix(".done")
        return json.loads(path.read_text()) if path.exists() else None

    def wait(self, handles, seconds):
        """Looks often: the items are tiny."""
        time.sleep(0.02)

    def cancel(self, handle):
        """Takes a letter back that nobody has taken."""
        handle.unlink(missing_ok=True)


class Worker(threading.Thread):
    """Does errands until it is told that the tests are over."""

    def __init__(self, folder):
        """Looks for letters in this folder."""
        super().__init__(daemon=True)
        self.folder, self.over = folder, threading.Event()

    def run(self):
        """One errand after the other."""
        while not self.over.wait(0.01):
            for sent in self.folder.glob("*.sent"):
                taken = sent.with_suffix(".taken")
                try:
                    os.replace(sent, taken)
                except FileNotFoundError:
                    continue  # another worker was faster
                post(sent.with_suffix(".done"), leased.work(taken.read_text(), self.over.is_set))


def post(path, text):
    """Leaves a whole file, or none."""
    aside = path.with_suffix(".aside")
    aside.write_text(text)
    return aside.replace(path)
