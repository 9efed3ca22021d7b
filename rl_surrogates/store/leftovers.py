"""Which files of a results folder does nobody need? Those that no manifest and no report names."""

import re
from collections.abc import Container

from rl_surrogates.store import files
from rl_surrogates.store.leases import LEASES, Leases
from rl_surrogates.store.places import Place

# A part that a worker elsewhere wrote: the token of its lease stands before the table.
OF_A_WORKER = re.compile(
    r".+\.[0-9a-f]{16}\.((runs|curves|evaluations)\.parquet|policies)", re.ASCII
)


def remove_strays(listed: Container[str], folder: Place) -> None:
    """Removes checkpoints, and parts of lost workers or halves of them, that nobody needs any more.

    What is written under a lease that somebody holds is left alone, and so are the checkpoints
    that were reported last: whoever takes the item over goes on from them.
    """
    leases = Leases(folder)
    found = leases.all()
    live = {lease.token for lease in found if not leases.expired(lease)}
    if not live:
        files.remove_leftovers(folder / LEASES)
    reported = {path for lease in found for path in named(lease.report)}
    strays = [
        f"parts/{name}"
        for name in files.names(folder / "parts")
        if OF_A_WORKER.fullmatch(name) or files.ASIDE.fullmatch(name)
    ]
    for path in [*strays, *(f"checkpoints/{n}" for n in files.names(folder / "checkpoints"))]:
        if path not in listed and path not in reported and not live & set(path.split(".")):
            files.remove(folder / path)


def named(report: dict) -> list[str]:
    """Paths of the files that a report names."""
    ended = report.get("ended") or {}
    return [*(report.get("checkpoints") or ()), *(ended.get("entries") or ())]
