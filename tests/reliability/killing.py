"""Who drives a sweep, or works for it, is killed at random moments of the work."""

import os
import random
import signal
import threading
import time

from rl_surrogates.store import Leases, lock
from tests.reliability.sweeping import assert_whole, at_work, held


class Killer(threading.Thread):
    """Kills holders of leases, at random moments of their work."""

    def __init__(self, folder, times, seed):
        super().__init__(daemon=True)
        self.leases, self.times, self.chosen = Leases(folder), times, random.Random(seed)
        self.kills, self.over = 0, threading.Event()

    def run(self):
        while self.kills < self.times and not self.over.wait(self.chosen.uniform(0.0, 0.05)):
            live = held(self.leases)
            if live and self.chosen.random() < 0.3:
                self.kills += self.kill(self.chosen.choice(live))

    def kill(self, lease):
        """Whether it hit the holder at work, and not when it had just done with it."""
        os.kill(lease.pid, signal.SIGKILL)
        while lock.runs(lease.pid):
            time.sleep(0.001)
        left = self.leases._read(lease.item, lease.generation)
        return bool(left) and at_work(left)


class Drivers:
    """Processes that drive one sweep, and are killed."""

    def __init__(self, zygote, root, chosen, latest, **about):
        """`about` says what a driver does, as for `zygote.sweep`; it is killed up to so many
        seconds after its items are begun."""
        self.zygote, self.root, self.about = zygote, root, about
        self.chosen, self.latest = chosen, latest
        self.leases, self.logs = Leases(root / "tiny"), {}

    def start(self):
        """The process id of one more."""
        log = self.root.with_suffix(f".{len(self.logs)}.log")
        pid = self.zygote.start(self.root, log, **self.about)
        self.logs[pid] = log
        return pid

    def end(self, pid):
        """How it ended."""
        status = self.zygote.wait(pid)
        if os.WIFSIGNALED(status):
            return "killed"
        said = self.logs[pid].read_text()
        assert status == 0 or "is writing there" in said, said
        return "refused" if status else "done"

    def kill_one(self, rivals):
        """Kills one of one or of two at a random moment; whether items were being worked on then,
        and whether the sweep is done."""
        drivers = [self.start()]
        while not (driven_by(drivers[0], self.root / "tiny") and held(self.leases)):
            if self.zygote.ended(drivers[0]):
                return False, self.end(drivers[0]) == "done"
            time.sleep(0.002)
        drivers += [self.start() for _ in range(rivals)]
        time.sleep(self.chosen.uniform(0.0, self.latest))
        victim, before = self.chosen.choice(drivers), held(self.leases)
        os.kill(victim, signal.SIGKILL)
        left = [self.leases._read(lease.item, lease.generation) for lease in before]
        ends = {pid: self.end(pid) for pid in drivers}
        hit = ends[victim] == "killed" and any(lease and at_work(lease) for lease in left)
        return hit, "done" in ends.values()


def driven_by(pid, folder):
    """Whether this process holds the lock."""
    path = folder / lock.LOCK
    return path.exists() and f'"pid": {pid},' in path.read_text()


def kill_drivers(times, rivals, seed, folder, zygote, reference, **about):
    """Kills so many drivers, each of them or one of two at work; in how many sweeps."""
    chosen, kills, number = random.Random(seed), 0, 0
    while kills < times:
        number, done = number + 1, False
        drivers = Drivers(zygote, folder / f"sweep{number}", chosen, **about)
        while not done and kills < times:
            hit, done = drivers.kill_one(rivals)
            kills += hit
        assert done or drivers.end(drivers.start()) == "done"
        assert_whole(drivers.root / "tiny", reference)
    return number
