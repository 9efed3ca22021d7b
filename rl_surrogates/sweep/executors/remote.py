"""What has workers elsewhere: `ray`, `slurm`. What such a worker does is read from its lease.

A subclass only starts errands, and tells when one has ended and whether with an answer. A driver
that dies takes nothing along that is not in the folder: the next one sends the same items out, and
a worker that finds an item held waits for its holder, or takes it over when the holder is lost.
"""

import secrets
import time
from collections import deque
from typing import Any, NamedTuple

from rl_surrogates.config import Execution
from rl_surrogates.store import Leases
from rl_surrogates.sweep import leased, session
from rl_surrogates.sweep.executors.protocol import ENDINGS, Event
from rl_surrogates.sweep.job import Job

GRACE = 60.0  # seconds in which workers that were told to stop have to save and leave
READ_EVERY = 0.5  # seconds between two readings of a lease


class Errand(NamedTuple):
    """A job that was sent out."""

    handle: Any  # the subclass's
    submission: str
    told: dict[str, Any]  # what of its report was passed on


class Remote:
    """Sends jobs out as lines of JSON and reads in the results folder how they go."""

    slots: int
    leased = True

    def __init__(self, execution: Execution) -> None:
        """The devices are those of a worker, not of this machine."""
        own = max(execution.gpus, 1) if execution.gpus else execution.cpus
        self.devices = own if execution.devices == "auto" else execution.devices
        self.errands: dict[str, Errand] = {}  # by item
        self.outbox: list[tuple[str, str, str]] = []  # item, submission, line
        self.inbox: deque[tuple[str, Event]] = deque()
        self.folder, self.stopped, self.read = None, 0.0, 0.0

    def start(self, lines: list[str]) -> list[Any]:
        """Has errands done; a handle for each."""
        raise NotImplementedError

    def answer(self, handle: Any) -> Event | None:
        """What an errand ended with, `lost` where without an answer; None while it goes on."""
        raise NotImplementedError

    def wait(self, handles: list[Any], seconds: float) -> None:
        """Sleeps until an errand ends, or so long."""
        time.sleep(seconds)

    def cancel(self, handle: Any) -> None:
        """Ends an errand."""
        raise NotImplementedError

    def hold(self, lock: int | None) -> None:
        """Workers elsewhere hold leases instead."""

    def submit(self, job: Job) -> None:
        """Sends a job out, together with others that are submitted now."""
        job = job._replace(folder=job.folder.absolute())  # a worker starts in a folder of its own
        if self.folder is None:
            self.folder, self.leases = job.folder, Leases(job.folder)
        self.token = session.begin(job.folder)  # which a driver that was taken for lost may end
        submission = secrets.token_hex(8)
        line = leased.errand(job, submission, self.token, self.devices)
        self.outbox.append((job.item.item, submission, line))

    def next(self) -> tuple[str, Event]:
        """The next event of any job."""
        if self.outbox:
            handles = self.start([line for _, _, line in self.outbox])
            for (item, submission, _), handle in zip(self.outbox, handles, strict=True):
                self.errands[item] = Errand(handle, submission, {})
            self.outbox = []
        while not self.inbox:
            self._look()
            if not self.inbox:
                self.wait([errand.handle for errand in self.errands.values()], READ_EVERY)
        item, event = self.inbox.popleft()
        if event["event"] in ENDINGS:
            del self.errands[item]
            self.inbox = deque(pair for pair in self.inbox if pair[0] != item)
        return item, event

    def stop(self) -> None:
        """Ends the session, which every worker sees before its next chunk."""
        if self.folder:
            session.end(self.folder)
        self.stopped = time.monotonic()

    def close(self) -> None:
        """Ends what still runs."""
        for errand in self.errands.values():
            self.cancel(errand.handle)

    def _look(self) -> None:
        """Collects what has happened since the last look."""
        due = time.monotonic() - self.read > READ_EVERY
        self.read = time.monotonic() if due else self.read
        late = self.stopped and time.monotonic() - self.stopped > GRACE
        for item, errand in self.errands.items():
            waits = self.stopped and not errand.told  # not begun, and not to be any more
            answer = {"event": "stopped"} if late or waits else self.answer(errand.handle)
            kind = answer and answer["event"]
            if kind == "refused" and self.stopped:  # one that looked when the session had ended
                answer = {"event": "stopped"}
            elif kind == "stopped" and not self.stopped:
                answer = {"event": "lost", "message": "its worker left, and was not asked to"}
            if due or answer:
                self._read(item, errand)
            if answer:
                self.inbox.append((item, answer))

    def _read(self, item: str, errand: Errand) -> None:
        """Passes on what the lease of an item says and has not said before."""
        lease = self.leases.find(item)
        if not lease or lease.report.get("submission") != errand.submission:
            return
        report, told = lease.report, errand.told
        if report.get("resumed") and told.get("generation") != lease.generation:
            told.update(generation=lease.generation, steps=0)  # queued again, or begun
            self.inbox.append((item, report["resumed"]))
        if report.get("steps", 0) > told.get("steps", 0):
            news = {name: report[name] for name in ("update", "score", "diverged")}
            steps = report["steps"] - told.get("steps", 0)
            self.inbox.append((item, {"event": "chunk", **news, "steps": steps}))
            told["steps"] = report["steps"]
        for path, entry in (report.get("checkpoints") or {}).items():
            if path not in told:
                told[path] = True
                self.inbox.append((item, {"event": "checkpoint", "path": path, "entry": entry}))
        ended = report.get("ended")
        if ended and ended["event"] == "finished" and "ended" not in told:
            told["ended"] = True
            self.inbox.append((item, ended))
