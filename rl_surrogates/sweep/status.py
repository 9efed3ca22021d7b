"""How does a sweep stand? Read from its folder on any machine, while others write there.

The manifest says what is done and what was given up, the leases say who works on what and how far,
the plan says what there is to do. Nothing is locked and nothing is written.
"""

import os
import time
from collections.abc import Callable, Set
from typing import Any, NamedTuple

from rl_surrogates.store import Lease, Leases, manifest, read_plan, stored_runs
from rl_surrogates.store.places import Place, Url, place


class Status(NamedTuple):
    """Where a sweep stands; a work item is one of done, running, failed, lost or waiting."""

    name: str
    items: int  # of the plan
    done: int
    failed: int  # given up
    running: list[Lease]  # with a holder who lives
    lost: list[Lease]  # with a holder who does not
    waiting: int
    total_steps: int  # environment steps of the plan
    done_steps: int  # what running items have done and others have saved counts
    missing_steps: int  # the rest, without that of items that were given up
    steps_per_second: float  # of those who run now, together
    now: float  # seconds since 1970

    def age(self, lease: Lease) -> float:
        """Seconds since its holder was heard of."""
        return self.now - lease.heartbeat

    @property
    def seconds_left(self) -> float | None:
        """At the speed of those who run now; None where nobody does."""
        return self.missing_steps / self.steps_per_second if self.steps_per_second else None


def status_of(folder: str | os.PathLike | Url, clock: Callable[[], float] = time.time) -> Status:
    """Reads how the sweep in `folder` stands.

    Raises:
      StoreError: there are no results, or what is there is damaged.
    """
    folder = place(folder)
    plan, listed = read_plan(folder), manifest.recover_manifest(folder).files
    leases = Leases(folder, clock=clock)
    stored = manifest.items(listed)
    failed = {item for item, parts in stored.items() if "traceback" in parts}
    done = finished_items(plan, stored.keys() - failed, folder, listed)
    found = leases.all()
    held = [each for each in found if not each.released and each.item not in done]
    lost = [lease for lease in held if leases.expired(lease)]
    running = [lease for lease in held if lease not in lost]
    updates, steps = lengths(plan)
    reached = saved_updates(listed, found)
    for lease in running:
        reached[lease.item] = max(lease.report.get("update", 0), reached.get(lease.item, 0))
    reached |= {item: updates[item] for item in done}
    whole = {item: updates[item] * steps[item] for item in steps}
    made = {item: reached.get(item, 0) * steps[item] for item in steps}
    begun = {lease.item for lease in held}
    return Status(
        name=plan["name"],
        items=len(steps),
        done=len(done),
        failed=len(failed & steps.keys()),
        running=running,
        lost=lost,
        waiting=len(steps.keys() - done - failed - begun),
        total_steps=sum(whole.values()),
        done_steps=sum(made.values()),
        missing_steps=sum(whole[item] - made[item] for item in steps.keys() - failed),
        steps_per_second=sum(speed(lease) for lease in running),
        now=clock(),
    )


def finished_items(
    plan: dict[str, Any], stored: Set[str], folder: Place, listed: manifest.Files
) -> set[str]:
    """Items of the plan whose runs are all stored, in items of this plan or of an earlier one."""
    runs = {item["item"]: item["runs"] for item in plan["items"]}
    done = stored & runs.keys()
    if others := stored - done:
        elsewhere = stored_runs(folder, listed, others)
        done |= {item for item in runs.keys() - done if elsewhere >= set(runs[item])}
    return done


def lengths(plan: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    """Updates of each work item of a plan, and environment steps of one of them."""
    updates, steps = {}, {}
    static = {each["program"]: each["static"] for each in plan["programs"]}
    for item in plan["items"]:
        sizes = static[item["program"]]
        batch = sizes["num_envs"] * sizes["num_steps"]
        updates[item["item"]] = sizes["total_timesteps"] // batch
        steps[item["item"]] = batch * len(item["runs"])
    return updates, steps


def saved_updates(listed: manifest.Files, leases: list[Lease]) -> dict[str, int]:
    """How far work items have come by their checkpoints, listed or reported."""
    paths = [path for path, entry in listed.items() if "checkpoint" in entry]
    paths += [path for lease in leases for path in lease.report.get("checkpoints") or ()]
    saved: dict[str, int] = {}
    for path in paths:
        item, update = path.rpartition("/")[2].split(".")[:2]
        saved[item] = max(int(update), saved.get(item, 0))
    return saved


def speed(lease: Lease) -> float:
    """Environment steps per second of a running item, by whoever holds it now; 0 until it has done
    more than what it compiled first."""
    since, steps = lease.report.get("timed") or (lease.heartbeat, 0)
    seconds = lease.heartbeat - since
    return (lease.report.get("steps", 0) - steps) / seconds if seconds > 0 else 0.0
