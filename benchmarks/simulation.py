"""A sweep with a fake clock: what happens to whom, over the real plan, leases and manifest.

Every call that a worker or the driver would make is made, and timed; the training is a wait.
"""

import argparse
import collections
import contextlib
import heapq
import itertools
import math
import random
import time
from pathlib import Path

import numpy as np

from rl_surrogates import store
from rl_surrogates.store import Leases, Store, manifest
from rl_surrogates.sweep import job as jobs
from rl_surrogates.sweep import outcome
from rl_surrogates.sweep.plan import Plan, WorkItem

TTL = 60.0  # seconds without a heartbeat after which an item may be taken over
BEAT = 15.0  # seconds between heartbeats
ABSENT = 300.0  # seconds until a worker that was cut off is back
REPLACED = 120.0  # seconds until another machine stands in for a dead one
AGAIN = 5.0  # seconds until an item that is still held is asked for again
DEVICE = "simulated"


class Clock:
    """The time of the simulation, seconds."""

    now = 0.0

    def __call__(self) -> float:
        """Now."""
        return self.now


class Stopwatch:
    """Real seconds spent in each part of the bookkeeping, one by one."""

    def __init__(self) -> None:
        """Nothing is measured yet."""
        self.seconds: dict[str, list[float]] = collections.defaultdict(list)

    @contextlib.contextmanager
    def __call__(self, name: str):
        """Measures one call."""
        start = time.perf_counter()
        yield
        self.seconds[name].append(time.perf_counter() - start)

    def rows(self) -> list[tuple[str, int, float, float, float]]:
        """Part, how often, mean, 99th percentile and maximum in milliseconds."""
        return [
            (
                name,
                len(each),
                *(1e3 * np.array([np.mean(each), np.quantile(each, 0.99), max(each)])),
            )
            for name, each in self.seconds.items()
        ]


class Worker:
    """A machine, as far as the leases know it."""

    def __init__(self, number: int, folder: Path, clock: Clock) -> None:
        """It has nothing to do yet."""
        self.leases = Leases(folder, ttl=TTL, clock=clock, host=f"worker{number}")
        self.item: WorkItem | None = None
        self.lease: store.Lease | None = None
        self.began = self.share = 0.0  # when it began, and how much of the item was done then
        self.seconds = 0.0  # that the whole item takes
        self.ends = math.inf  # when it is lost
        self.heard = True  # whether the driver still waits for it

    def done(self, now: float) -> float:
        """How much of its item is trained, in [0, 1]."""
        return min(1.0, self.share + (now - self.began) / self.seconds)


class Simulation:
    """A sweep whose trainings only take time."""

    def __init__(self, plan: Plan, opened: Store, options: argparse.Namespace) -> None:
        """All items of the plan are waiting."""
        self.plan, self.opened, self.options = plan, opened, options
        self.clock, self.watch, self.chance = Clock(), Stopwatch(), random.Random(options.seed)
        self.waiting = collections.deque(plan.items())
        self.counts: collections.Counter[str] = collections.Counter()
        self.finished: collections.Counter[str] = collections.Counter()  # item -> times listed
        self.again = 0.0  # simulated seconds of training that were done twice
        self.trained = 0.0
        self.events: list[tuple] = []
        self.numbers = itertools.count()
        self.left = len(self.waiting)

    def run(self) -> float:
        """Simulates until all items are listed; how many simulated seconds that takes."""
        for _ in range(self.options.workers):
            self._enter(self.chance.uniform(0.0, BEAT))
        while self.left:
            self.clock.now, _, happens, worker = heapq.heappop(self.events)
            happens(worker)
        return self.clock.now

    def _at(self, when: float, happens, worker: Worker) -> None:
        heapq.heappush(self.events, (when, next(self.numbers), happens, worker))

    def _enter(self, when: float) -> None:
        """A new machine, with the time at which it will be lost."""
        worker = Worker(next(self.numbers), self.opened.path, self.clock)
        if self.options.loss:
            rate = -math.log1p(-self.options.loss) / 3600.0
            worker.ends = when + self.chance.expovariate(rate)
        self._at(when, self._take, worker)

    def _take(self, worker: Worker) -> None:
        """The driver hands out the next item, and the worker claims it."""
        if self.clock.now >= worker.ends:
            return self._lose(worker)
        if not self.waiting:
            return self._at(self.clock.now + BEAT, self._take, worker)
        item = self.waiting.popleft()
        with self.watch("hand out (driver)"):
            line = jobs.to_line(jobs.make_job(self.plan, item, self.opened))
        self.counts["bytes of a job"] = len(line)
        with self.watch("claim (worker)"):
            worker.lease = worker.leases.claim(item.item)
        if worker.lease is None:
            self.counts["claims refused, as a lost worker still held the item"] += 1
            self.waiting.append(item)
            return self._at(self.clock.now + AGAIN, self._take, worker)
        worker.item, worker.began = item, self.clock.now
        if ended := worker.lease.report.get("ended"):
            self.counts["items finished by a worker that was given up"] += 1
            return self._list(worker, store.Parts(**ended))
        self.counts["items taken over"] += worker.lease.generation > 0
        worker.share = worker.lease.report.get("share", 0.0)
        worker.seconds = 60.0 * self.options.minutes * self.chance.lognormvariate(-0.125, 0.5)
        self._next(worker)

    def _next(self, worker: Worker) -> None:
        """The next heartbeat, the end of the training, or the loss of the worker."""
        ready = worker.began + (1.0 - worker.share) * worker.seconds
        beat = self.clock.now + BEAT
        if worker.ends < min(ready, beat):
            self._at(worker.ends, self._lose, worker)
        else:
            self._at(min(ready, beat), self._finish if ready <= beat else self._beat, worker)

    def _beat(self, worker: Worker) -> None:
        with self.watch("heartbeat (worker)"):
            renewed = worker.leases.renew(worker.lease, share=worker.done(self.clock.now))
        if renewed is None:
            return self._fenced(worker)
        worker.lease = renewed
        self._next(worker)

    def _fenced(self, worker: Worker) -> None:
        """It learns that its item was taken over, and leaves it."""
        self.counts["workers that came back and found their item taken"] += 1
        self._free(worker)

    def _lose(self, worker: Worker) -> None:
        """The driver hears of it and hands the item out again, to whoever may claim it."""
        self.counts["workers lost"] += 1
        worker.ends, worker.heard = math.inf, False
        if worker.item is not None:
            self.waiting.appendleft(worker.item)
            kept = worker.lease.report.get("share", worker.share)
            self.again += (worker.done(self.clock.now) - kept) * worker.seconds
        if worker.item is not None and self.chance.random() < 0.2:
            self._at(self.clock.now + ABSENT, self._beat, worker)
        else:
            self._enter(self.clock.now + REPLACED)

    def _finish(self, worker: Worker) -> None:
        """The worker writes the parts, if the item is still its own, and says so."""
        if not worker.leases.holds(worker.lease):
            return self._fenced(worker)
        item, self.trained = worker.item, self.trained + (1.0 - worker.share) * worker.seconds
        with self.watch("write parts (worker)"):
            written = self._write(jobs.make_job(self.plan, item, self.opened))
        worker.lease = worker.leases.renew(worker.lease, ended=written._asdict())
        if worker.heard:
            return self._list(worker, written)
        worker.leases.release(worker.lease)  # whoever takes the item finds it finished
        self._free(worker)

    def _list(self, worker: Worker, written: store.Parts) -> None:
        """The driver lists what a worker says that it has finished."""
        with self.watch("list (driver)"):
            self.opened.enlist(worker.item.item, written)
        worker.leases.release(worker.lease)
        self.finished[worker.item.item] += 1
        self.left -= 1
        self._free(worker)

    def _free(self, worker: Worker) -> None:
        worker.item, worker.heard = None, True
        self._at(self.clock.now, self._take, worker)

    def _write(self, job: jobs.Job) -> store.Parts:
        """Parts with a row per run; without `--parts` only what the manifest would say of them."""
        if not self.options.parts:
            entry = manifest.entry_of(b"", item=job.item.item, versions=job.versions)
            entries = {path: {**entry, "table": name} for name, path in job.parts.items()}
            return store.Parts(entries, {run.run_id: "done" for run in job.item.runs})
        ended = {"status": "done", "diverged_at": None, "params_sha256": "0" * 64}
        ended |= {"wall_s": 0.0, "device": DEVICE}
        rows = [{**outcome.run_row(job, lane), **ended} for lane in range(len(job.item.runs))]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        digests = {n: store.config_digest(config.flat()) for n, config in job.configs.items()}
        contents = columns, None, None
        return store.write_parts(
            job.folder, job.parts, job.item.item, contents, digests, job.versions
        )
