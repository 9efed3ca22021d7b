"""Runs a question: what the store holds is not run again, a work item that was begun goes on from
its last checkpoint, and each finished one is stored at once.

One process owns the results folder: it plans, holds the lock and writes the manifest. Training is
an executor's, on this machine or on others, whose workers write checkpoints and parts that count
once they are listed here.
"""

import contextlib
import os
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from rl_surrogates import store
from rl_surrogates.config import ConfigError, Problem, Question, load_question
from rl_surrogates.store import Parts
from rl_surrogates.store.places import Url
from rl_surrogates.sweep import cache, leased, memory, outcome, session
from rl_surrogates.sweep.driving import driving
from rl_surrogates.sweep.executors import (
    ENDINGS,
    EXECUTORS,
    Executor,
    check_executor,
    chosen_executor,
    local_devices,
)
from rl_surrogates.sweep.held import Held
from rl_surrogates.sweep.job import make_job
from rl_surrogates.sweep.lanes import Lanes
from rl_surrogates.sweep.plan import Plan, WorkItem, ceil_div, cut, make_plan
from rl_surrogates.sweep.progress import Progress
from rl_surrogates.sweep.signals import Heard, Interrupted, listening

# How often a work item may end so before it is given up. A lost worker says nothing of its item.
ATTEMPTS = {"failed": 3, "out_of_memory": 3, "died": 3, "lost": 10}
PATIENCE = 10.0  # seconds that the workers of a killed sweep may take to leave this machine
MAX_RUNS = 100_000  # more than this is refused unless it was meant


def run_sweep(
    question: str | os.PathLike | Question,
    *,
    out: str | os.PathLike | Url = "results",
    overrides: Sequence[str] = (),
    allow_large: bool = False,
    strict: bool = False,
    executor: str | Executor | None = None,
    on_plan: Callable[[Plan], None] = lambda plan: None,
) -> store.Results:
    """Trains every run of a question that is not already stored, and opens the results.

    Args:
      question: a YAML file, or a loaded `Question`.
      out: the results go to `out/<name of the question>`; a folder, or a URL for fsspec.
      overrides: `dotted.path=value`, as on the command line; only with a file.
      allow_large: whether more than `MAX_RUNS` runs, or more memory than there is, are meant.
      strict: refuse to continue results that other versions of the packages began.
      executor: who trains, one of `executors.EXECUTORS`; by default what the question says, or else
        `inline`, this process. Or what `early_worker` gave, which is closed at the end.
      on_plan: told the plan before anything is compiled or written.

    Raises:
      ConfigError: a question that cannot be run; nothing is written.
      StoreError: a place that cannot be written, or where another process writes; damaged results.
      Interrupted: SIGINT or SIGTERM came; what was done until then is kept.
    """
    cache.keep_compilations()
    if not isinstance(question, Question):
        question = load_question(question, overrides)
    check_size(question, allow_large)
    store.check_writable(out, question.name)
    with contextlib.closing(make_executor(executor, question)) as hand:
        plan = make_plan(question, hand.devices)
        check_programs(plan)
        on_plan(plan)
        if not hand.leased:  # what the devices of workers elsewhere hold is not known here
            check_memory(plan, allow_large)
        folder = store.results_folder(out, question.name)
        store.make_folder(folder)
        with driving(folder) as driver:
            hand.hold(driver.lock)
            made_by = store.collect_provenance(overrides)
            opened = store.Store.open(out, question.name, plan.as_json(), made_by, driver.check)
            store.check_versions(opened, strict=strict)
            items = missing_items(plan, opened, hand.devices)
            with listening(hand.stop) as heard, Progress(plan, items) as progress:
                sweep = Sweep(plan, opened, hand, progress, tagged=driver.lock is None)
                sweep.run(items, heard)
    if heard.signum:
        raise Interrupted(heard.signum)
    return store.open_results(opened.path)


def make_executor(wanted: str | Executor | None, question: Question) -> Executor:
    """The executor that is meant, ready to take jobs."""
    wanted = wanted or chosen_executor(question, "inline")
    if isinstance(wanted, str):
        check_executor(wanted)
        return EXECUTORS[wanted](question.execution)
    wanted.devices = local_devices(question.execution)
    return wanted


def missing_items(plan: Plan, opened: store.Store, devices: int) -> list[WorkItem]:
    """The work items that are still to be run; checkpoints of no such item are dropped.

    Lanes that are spread over another number of devices are another program, with other last bits:
    what was begun on another number starts again.
    """
    begun = [entry for entry in opened.begun() if entry["devices"] == devices]
    items = plan.items(opened.finished_runs(), begun)
    stale = set(opened.listed.begun()) - {item.item for item in items}
    opened.drop_checkpoints([path for item in stale for path in opened.checkpoints(item)])
    return items


class Sweep:
    """A question while it is run: hands out work items, and lists what comes back."""

    def __init__(
        self,
        plan: Plan,
        opened: store.Store,
        executor: Executor,
        progress: Progress,
        tagged: bool = False,
    ) -> None:
        """`opened` is the results folder, `executor` who trains.

        Where files are to be `tagged`, those of every worker carry the token of its lease.
        """
        self.tagged = tagged
        self.plan, self.opened, self.executor, self.progress = plan, opened, executor, progress
        self.attempts: Counter[tuple[str, str]] = Counter()  # item and how it ended -> how often
        self.fits: dict[int, int] = {}  # program -> widest item that memory allows
        self.waiting: deque[WorkItem] = deque()
        self.running: dict[str, WorkItem] = {}
        self.leases = store.Leases(opened.path)
        self.held: dict[str, Held] = {}  # what is held on behalf of a worker of this machine

    def run(self, items: list[WorkItem], heard: Heard) -> None:
        """Trains the items in order; those of one program share its compilation.

        Raises:
          StoreError: the results folder cannot be written.
          ConfigError: a worker that can do no job of this sweep.
        """
        self.waiting.extend(items)
        try:
            while True:
                while self.waiting and len(self.running) < self.executor.slots and not heard.signum:
                    self._submit(self.waiting.popleft())
                if not self.running:
                    break
                name, event = self.executor.next()
                self._note(name, event)
                if event["event"] in ENDINGS:
                    self._end(self.running.pop(name), event, heard)
        finally:
            if self.executor.leased:  # while the lock is held: the next driver takes a session over
                session.end(self.opened.path)
            for held in self.held.values():
                held.leave()
        if not self.waiting:
            session.end(self.opened.path)  # of a driver that was killed
            self.opened.tidy()

    def _submit(self, item: WorkItem) -> None:
        if item.width > self.fits.get(item.program, item.width):
            self.waiting.extendleft(reversed(self._narrower(item)))
            return
        job = make_job(self.plan, item, self.opened)
        if not self.executor.leased:
            lease = self._hold(item)
            job = leased.tagged(job, lease, self.executor.devices) if self.tagged else job
        self.running[item.item] = item
        self.progress.begin(item)
        self.executor.submit(job)

    def _hold(self, item: WorkItem) -> store.Lease:
        """Takes the lease of an item on behalf of a worker of this machine."""
        deadline = time.monotonic() + PATIENCE
        while not (lease := self.leases.claim(item.item)):
            other = self.leases.find(item.item)
            if not other or (other.host == self.leases.host and time.monotonic() < deadline):
                time.sleep(0.1)
                continue
            raise store.StoreError(
                f"{self.opened.path}: {other.holder} still trains work item {item.item} there, for "
                "a sweep that was killed; it will finish, or end it: the item is free "
                f"{self.leases.ttl:g} s after its holder was last heard of"
            )
        held = self.held[item.item] = Held(self.leases, lease)
        held.begin(of=self.plan.programs[item.program].config.num_updates)
        return lease

    def _note(self, name: str, event: dict[str, Any]) -> None:
        """Shows an event, and lists its checkpoint."""
        self.progress.tell({**event, "item": name})
        if name in self.held and event["event"] in ("resumed", "chunk"):
            self.held[name].tell(event)
        if event["event"] == "checkpoint":
            self.opened.enlist_checkpoint(name, event["path"], event["entry"])
        elif event["event"] == "resumed" and event["dropped"]:
            self.opened.drop_checkpoints(event["dropped"])
            warnings.warn(
                f"{'; '.join(event['damaged'])}; going on from update {event['update']}",
                store.StoreWarning,
                stacklevel=2,
            )

    def _end(self, item: WorkItem, event: dict[str, Any], heard: Heard) -> None:
        """What follows from the last event of an item."""
        kind = event["event"]
        if item.item in self.held:
            self.held.pop(item.item).leave()
        if kind == "finished":
            self.opened.enlist(item.item, Parts(event["entries"], event["status"]))
            self.progress.finish(item)
            return
        self.progress.leave(item)
        if kind == "out_of_memory" and self._halve(item):
            self.waiting.appendleft(item)
        elif kind == "unwritable":
            raise store.StoreError(event["message"])
        elif kind == "refused":
            raise ConfigError([Problem("", 0, 0, "execution.executor", event["message"])])
        elif kind != "stopped" and not heard.signum:
            self._try_again(item, event)

    def _halve(self, item: WorkItem) -> bool:
        """Allows the item's program half the width; False where it cannot be less."""
        width = ceil_div(ceil_div(item.width, 2), self.executor.devices) * self.executor.devices
        if width >= item.width:
            return False
        self.fits[item.program] = width
        self.opened.drop_checkpoints(self.opened.checkpoints(item.item))
        self.progress.say(
            f"out of memory with {item.width} lanes side by side: going on with {width}"
        )
        return True

    def _narrower(self, item: WorkItem) -> list[WorkItem]:
        """The runs of `item` in items as wide as memory allows."""
        width = self.fits[item.program]
        self.progress.items += ceil_div(len(item.runs), width) - 1
        return cut(item.runs, item.program, width)

    def _try_again(self, item: WorkItem, event: dict[str, Any]) -> None:
        """Once more from the last checkpoint; after `ATTEMPTS`, the item is given up."""
        reason = event.get("traceback") or event.get("message", "")
        last = next((line for line in reversed(reason.splitlines()) if line.strip()), "")
        kind = event["event"]
        self.attempts[item.item, kind] += 1
        if self.attempts[item.item, kind] < ATTEMPTS[kind]:
            self.progress.say(f"work item {item.item}: {last}: trying again")
            self.waiting.appendleft(item)
            return
        job = make_job(self.plan, item, self.opened)
        path = self.opened.quarantine(item.item, outcome.failed(job).runs, reason)
        self.progress.say(f"work item {item.item}: {last}: given up, see {self.opened.path / path}")
        self.progress.finish(item)


def check_programs(plan: Plan) -> None:
    """Refuses, before anything is compiled, a program whose parts do not fit each other."""
    for program in plan.programs:
        try:
            Lanes(program)
        except ValueError as error:
            field, _, message = str(error).partition(": ")
            raise ConfigError([Problem("", 0, 0, field, message)]) from error


def check_size(question: Question, allow_large: bool) -> None:
    """Refuses a question with an absurd number of runs, before it is expanded."""
    runs = question.size * question.seeds.count
    if runs > MAX_RUNS and not allow_large:
        message = (
            f"{question.size} settings x {question.seeds.count} seeds are {runs} runs, more than "
            f"{MAX_RUNS}; take fewer values, `method: random` with num_samples, or say --yes"
        )
        raise ConfigError([Problem("", 0, 0, "parameters", message)])


def check_memory(plan: Plan, allow_large: bool) -> None:
    """Refuses, before anything is compiled, work items that the devices cannot hold."""
    needed, there = memory.item_bytes(plan), memory.available()
    if there and needed > there and not allow_large:
        message = (
            f"a work item of {plan.width} lanes needs about {needed / 2**30:.1f} GiB, the devices "
            f"have {there / 2**30:.1f}; take fewer execution.lanes, num_envs or num_steps, "
            "or say --yes"
        )
        raise ConfigError([Problem("", 0, 0, "execution.lanes", message)])
