"""Who drives the sweep in this place? One process at a time lists what is finished.

In a folder the kernel's lock says so, and a worker of this machine inherits it (`store.lock`).
Below a URL there is no kernel that all could ask: there it is a lease with a heartbeat, as that of
a work item. Such a lease can be lost by a process that lives, so it is looked at before every
commit; and a killed sweep's worker may still write when the next sweep begins, so that what it
writes must carry a token.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from rl_surrogates.store import Leases, StoreError, locked
from rl_surrogates.store.places import Place
from rl_surrogates.sweep.held import Held

DRIVER = "driver"  # the folder of its leases, and the item that they are of


class Driving(NamedTuple):
    """The right to list what is finished."""

    lock: int | None  # descriptor of the kernel's lock, which a worker is to inherit, if that is it
    check: Callable[[], None]  # raises StoreError where the right is lost


@contextlib.contextmanager
def driving(place: Place) -> Iterator[Driving]:
    """Has this process drive the sweep in `place`, and no other.

    Raises:
      StoreError: another process does, with its process id and host.
    """
    if isinstance(place, Path):
        with locked(place) as lock:
            yield Driving(lock, lambda: None)
        return
    leases = Leases(place / DRIVER)
    if not (lease := leases.claim(DRIVER)):
        raise StoreError(
            f"{place}: {_who(leases)}; if it no longer runs, try again {leases.ttl:g} s after it"
            " was last heard of"
        )
    with Held(leases, lease) as held:
        held.begin()

        def check() -> None:
            if held.lost or not leases.holds(held.lease):
                raise StoreError(f"{place}: this process was taken for lost, and {_who(leases)}")

        yield Driving(None, check)


def _who(leases: Leases) -> str:
    other = leases.find(DRIVER)
    who = other.holder if other else "another process"
    return f"{who} is writing there"
