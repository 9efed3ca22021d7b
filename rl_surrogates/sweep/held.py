"""How does everybody see what the holder of a lease does? In the report that the lease carries.

steps, update, of               how far
timed                           when its first chunk was done, which had to be compiled, and steps
score, diverged                 as in the event `chunk`
submission                      which errand this is, where the worker was sent one
resumed, checkpoints, ended     events of `item`; of the checkpoints the last ones
"""

import contextlib
import threading
import time
from typing import Any

from rl_surrogates.store import Lease, Leases, StoreError

KEPT = 2  # checkpoints that are reported
PAUSE = 0.5  # seconds between two reports of progress


class Held:
    """A lease while its holder works: a thread keeps its heart beating."""

    def __init__(self, leases: Leases, lease: Lease) -> None:
        """The heart beats from `begin` on; the context only leaves."""
        self.leases, self.lease = leases, lease
        self.lost, self.left = False, threading.Event()
        self.guard, self.told = threading.Lock(), 0.0
        self.heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "Held":
        """Nothing is reported yet."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Lets the next one take the item."""
        self.leave()

    def leave(self) -> None:
        """The same, where there is no context; a second time it does nothing."""
        if not self.left.is_set():
            self.left.set()
            if self.heart.is_alive():
                self.heart.join()
            with contextlib.suppress(StoreError):  # it expires by itself
                self.leases.release(self.lease)

    def begin(self, **about: Any) -> None:
        """Reports a start, whatever the last holder had reported but its checkpoints."""
        fresh = {"timed": None, "steps": 0, "update": 0}
        self.note(**fresh, resumed=None, ended=None, **about)
        self.heart.start()

    @property
    def report(self) -> dict[str, Any]:
        """What was reported last."""
        return self.lease.report

    def note(self, write: bool = True, **report: Any) -> None:
        """Reports, and hears whether the item was taken over."""
        with self.guard:
            noted = self.lease._replace(report={**self.lease.report, **report})
            renewed = self.leases.renew(noted) if write and not self.lost else noted
            self.lost, self.lease = self.lost or renewed is None, renewed or noted

    def tell(self, event: dict[str, Any]) -> None:
        """Reports an event of the training."""
        kind = event["event"]
        if kind == "chunk":
            news = {name: event[name] for name in ("update", "score", "diverged")}
            due = time.monotonic() - self.told > PAUSE
            self.told = time.monotonic() if due else self.told
            steps = self.report["steps"] + event["steps"]
            timed = self.report["timed"] or [self.leases.clock(), steps]
            self.note(write=due, **news, steps=steps, timed=timed)
        elif kind == "resumed":
            self.note(resumed=event, update=event["update"])
        elif kind == "checkpoint":
            kept = {**(self.report.get("checkpoints") or {}), event["path"]: event["entry"]}
            self.note(checkpoints=dict(list(kept.items())[-KEPT:]))

    def _beat(self) -> None:
        while not self.left.wait(self.leases.ttl / 4):
            with contextlib.suppress(StoreError):  # the holder will meet it, or the next beat not
                self.note()
