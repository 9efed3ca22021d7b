"""What does a person see while a sweep runs? A bar on a terminal, plain lines elsewhere.

Nothing here touches the computation: it is told how many environment steps are done.
"""

import sys
import time

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from rl_surrogates.sweep.plan import Plan, WorkItem

SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Counts environment steps; a context manager."""

    def __init__(self, plan: Plan, items: list[WorkItem]) -> None:
        """Prepares for `items`, the part of `plan` that is still to be run."""
        self.total = sum(plan.steps(item.runs) for item in items)
        self.items, self.finished_items, self.done, self.diverged = len(items), 0, 0, 0
        self.console = Console(stderr=True, highlight=False)
        self.bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}%  {task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self.console,
            disable=not (self.console.is_terminal and self.total),
        )
        self.task = self.bar.add_task("", total=self.total, speed="compiling")
        self.last_line = self.started = time.monotonic()

    def __enter__(self) -> "Progress":
        """Shows the bar."""
        self.started = time.monotonic()
        self.bar.__enter__()
        self._describe()
        return self

    def __exit__(self, *exception) -> None:
        """Takes the bar down."""
        self.bar.__exit__(*exception)

    def advance(self, steps: int) -> None:
        """`steps` more environment steps are done."""
        self.done += steps
        speed = self.done / max(time.monotonic() - self.started, 1e-9)
        self.bar.update(self.task, advance=steps, speed=f"{speed:,.0f} steps/s")
        if self.bar.disable and time.monotonic() - self.last_line > SECONDS_BETWEEN_LINES:
            self._line(speed)

    def finish(self, item: WorkItem, runs: pd.DataFrame) -> None:
        """`item` is trained, evaluated and stored."""
        self.finished_items += 1
        self.diverged += int((runs["status"] == "diverged").sum())
        self._describe()

    def _describe(self) -> None:
        diverged = f", {self.diverged} diverged" if self.diverged else ""
        self.bar.update(self.task, description=f"item {self._item()} of {self.items}{diverged}")

    def _item(self) -> int:
        return min(self.finished_items + 1, self.items)

    def _line(self, speed: float) -> None:
        self.last_line = time.monotonic()
        left = (self.total - self.done) / speed
        print(
            f"item {self._item()} of {self.items}: {self.done / self.total:.0%}, "
            f"{speed:,.0f} steps/s, {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
