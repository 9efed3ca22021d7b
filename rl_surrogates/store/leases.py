"""Who works on this item, and does it still? A lease per work item, with a heartbeat.

    leases/<item>.<generation>     one line of JSON, which only its holder ever replaces

The first lease of an item has generation 0. Who finds the newest one released, its heartbeat older
than `ttl`, or its holder dead on this host, takes the item over by making the next generation. A
file is made by a hard link, or by a conditional PUT, which fails where the name is taken: of any
number of takers one succeeds. The holder of an older generation learns at its next heartbeat that
it has lost the item. No folder is listed on the way, so that a claim costs the same among ten
leases and among a hundred thousand.

A lease guards against work done twice, not against damage: whoever works under a lease writes only
files that carry its token, and they count once the manifest lists them.

Heartbeats are clocks of the holders: those of two hosts must agree much better than `ttl`.
"""

import json
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from rl_surrogates.store import files, lock
from rl_surrogates.store.places import Place, StoreError

LEASES = "leases"
TTL = 60.0  # seconds without a heartbeat after which a holder counts as lost
_HELD: set[str] = set()  # tokens of the leases that this process holds, by whatever `Leases`
_FILE = re.compile(rf"({files.NAME.pattern})\.(\d+)", re.ASCII)


class Lease(NamedTuple):
    """The right to work on an item, as its file says it."""

    item: str
    generation: int  # how often the item was taken before
    host: str
    pid: int
    token: str  # random; names what is written under this lease
    heartbeat: float  # seconds since 1970 by the holder's clock
    released: bool = False
    report: dict[str, Any] = {}  # what the holder wants others to read

    @property
    def holder(self) -> str:
        """Who holds it, in words; a file that cannot be read names nobody."""
        known = f"process {self.pid} on host {self.host!r}"
        return known if self.host else "a process whose lease cannot be read"


class Leases:
    """The leases of one results folder, as one process sees and takes them."""

    def __init__(
        self,
        folder: Place,
        *,
        ttl: float = TTL,
        clock: Callable[[], float] = time.time,
        host: str | None = None,
        pid: int | None = None,
    ) -> None:
        """`folder` is that of the results; `clock`, `host` and `pid` are those of this process."""
        self.folder = folder / LEASES
        self.ttl, self.clock = ttl, clock
        self.host, self.pid = host or socket.gethostname(), pid or os.getpid()
        self.made = False

    def claim(self, item: str, **report: Any) -> Lease | None:
        """Takes the item, with what was last reported of it; None where another works on it.

        Raises:
          StoreError: the lease cannot be written.
        """
        newest = self.find(item)
        if newest and not self.expired(newest):
            return None
        generation = newest.generation + 1 if newest else 0
        report = {**(newest.report if newest else {}), **report}
        token = secrets.token_hex(8)
        mine = Lease(item, generation, self.host, self.pid, token, self.clock(), report=report)
        if not self.made:
            files.make_folder(self.folder)
            self.made = True
        if not self._make(mine):
            return None
        _HELD.add(token)
        return mine

    def renew(self, lease: Lease, **report: Any) -> Lease | None:
        """The lease with a new heartbeat and `report`; None where the item was taken over."""
        if not self.holds(lease):
            return None
        renewed = lease._replace(heartbeat=self.clock(), report={**lease.report, **report})
        self._replace(renewed)
        return renewed

    def release(self, lease: Lease) -> None:
        """Lets others take the item at once.

        Raises:
          StoreError: that cannot be written, as on a full disk. This process may take the item all
            the same, and others once the heartbeat is old.
        """
        _HELD.discard(lease.token)
        if self.holds(lease):
            self._replace(lease._replace(released=True))

    def holds(self, lease: Lease) -> bool:
        """Whether nobody has taken the item over, or finished with it."""
        mine, next_one = (self._path(lease.item, lease.generation + n) for n in (0, 1))
        return files.exists(mine) and not files.exists(next_one)

    def expired(self, lease: Lease) -> bool:
        """Whether the item may be taken over."""
        if lease.released or self.clock() - lease.heartbeat > self.ttl:
            return True
        if lease.host != self.host:
            return False
        forgotten = lease.pid == self.pid and lease.token not in _HELD
        return forgotten or not lock.runs(lease.pid)

    def find(self, item: str) -> Lease | None:
        """The newest lease of the item; None where it was never taken."""
        generation = -1
        while files.exists(self._path(item, generation + 1)):
            generation += 1
        return self._read(item, generation) if generation >= 0 else None

    def all(self) -> list[Lease]:
        """The newest lease of every item; lists the folder once."""
        newest: dict[str, int] = {}
        for name in files.names(self.folder):
            if found := _FILE.fullmatch(name):
                item, generation = found[1], int(found[2])
                newest[item] = max(generation, newest.get(item, 0))
        leases = (self._read(item, generation) for item, generation in sorted(newest.items()))
        return [lease for lease in leases if lease]

    def forget(self, items: Iterable[str]) -> None:
        """Removes the leases of items that the manifest lists: nobody needs to take them again."""
        for item in items:
            newest = self.find(item)
            for generation in range(newest.generation if newest else -1, -1, -1):
                files.remove(self._path(item, generation))

    def _path(self, item: str, generation: int) -> Place:
        if not files.NAME.fullmatch(item):
            raise StoreError(f"{item[:120]!r}: not a name for a work item")
        return self.folder / f"{item}.{generation}"

    def _read(self, item: str, generation: int) -> Lease | None:
        """What the file says; one that cannot be read is as old as its last change.

        None where it is gone: its item was finished, and forgotten, since it was looked for.
        """
        path = self._path(item, generation)
        try:
            found = json.loads(files.read(path))
            found |= {"pid": int(found["pid"]), "heartbeat": float(found["heartbeat"])}
            found |= {"host": str(found["host"]), "report": dict(found["report"])}
            return Lease(item, generation, **found)
        except (StoreError, ValueError, TypeError, KeyError):
            written = files.written(path)
            return None if written is None else Lease(item, generation, "", 0, "", written)

    def _make(self, lease: Lease) -> bool:
        """Makes the file of a new lease, whole, unless there is one of that name."""
        return files.create(self._path(lease.item, lease.generation), _line(lease))

    def _replace(self, lease: Lease) -> None:
        files.write_lightly(self._path(lease.item, lease.generation), _line(lease))


def _line(lease: Lease) -> bytes:
    content = lease._asdict()
    del content["item"], content["generation"]
    return json.dumps(content).encode("ascii") + b"\n"
