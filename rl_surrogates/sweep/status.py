"""How does a sweep stand? Read from its folder on any machine, while others write there.

The manifest says what is done and what was given up, the leases say who works on what and how far,
the plan says what there is to do. Nothing is locked and nothing is written.
"""

import os
import time
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any, NamedTuple

from rl_surrogates.store import Lease, Leases, manifest, read_plan, stored_runs


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
    done_steps: int
    steps_per_second: float  # of those who run now, together

    now: float  # seconds since 1970

    def age(self, lease: Lease) -> float:
        """Seconds since its holder was heard of."""
        return self.now - lease.heartbeat

    @property
    def seconds_left(self) -> float | None:
        """At the speed of those who run now; None where nobody does."""
        missing = self.total_steps - self.done_steps
        return missing / self.steps_per_second if self.steps_per_second else None


def status_of(folder: str | os.PathLike, clock: Callable[[], float] = time.time) -> Status:
    """Reads how the sweep in `folder` stands.

    Raises:
      StoreError: there are no results, or what is there is damaged.
    """
    folder = Path(folder)
    plan, listed = read_plan(folder), manifest.recover_manifest(folder).files
    leases = Leases(folder, clock=clock)
    stored = manifest.items(listed)
    failed = {item for item, parts in stored.items() if "traceback" in parts}
    done = finished_items(plan, stored.keys() - failed, folder, listed)
    held = [each for each in leases.all() if not each.released and each.item not in done]
    lost = [lease for lease in held if leases.expired(lease)]
    running = [lease for lease in held if lease not in lost]
    each = steps_of_items(plan)
    begun = {lease.item for lease in held}
    return Status(
        name=plan["name"],
        items=len(each),
        done=len(done),
        failed=len(failed & each.keys()),
        running=running,
        lost=lost,
        waiting=len(each.keys() - done - failed - begun),
        total_steps=sum(each.values()),
        done_steps=sum(each[item] for item in done) + sum(progress(one, each) for one in running),
        steps_per_second=sum(speed(lease) for lease in running),
        now=clock(),
    )


def finished_items(
    plan: dict[str, Any], stored: Set[str], folder: Path, listed: manifest.Files
) -> set[str]:
    """Items of the plan whose runs are all stored, in items of this plan or of an earlier one."""
    runs = {item["item"]: item["runs"] for item in plan["items"]}
    done = stored & runs.keys()
    if others := stored - done:
        elsewhere = stored_runs(folder, listed, others)
        done |= {item for item in runs.keys() - done if elsewhere >= set(runs[item])}
    return done


def steps_of_items(plan: dict) -> dict[str, int]:
    """Environment steps of each work item of a plan."""
    first = {p["program"]: p["static"] for p in plan["programs"]}
    steps = {program: steps_of_run(static) for program, static in first.items()}
    return {i["item"]: steps[i["program"]] * len(i["runs"]) for i in plan["items"]}


def steps_of_run(static: dict) -> int:
    """Environment steps of a run with these static values."""
    batch = static["num_envs"] * static["num_steps"]
    return static["total_timesteps"] // batch * batch


def progress(lease: Lease, each: dict[str, int]) -> int:
    """Environment steps of a running item that are done."""
    report = lease.report
    return int(each.get(lease.item, 0) * report.get("update", 0) / max(report.get("of", 1), 1))


def speed(lease: Lease) -> float:
    """Environment steps per second of a running item, since its holder began."""
    seconds = lease.heartbeat - lease.report.get("began", lease.heartbeat)
    return lease.report.get("steps", 0) / seconds if seconds > 0 else 0.0
