"""What does a person see while a sweep runs? A live table on a terminal, plain lines elsewhere.

Nothing here touches the computation: it is told what a training reports between two chunks.

What is done and how long the rest takes are told in work, as steps of different programs do not
take equally long:

    work = environment steps x (ACTING + passes over their data: epochs, or products with the Fisher
           matrix)
"""

import sys
import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from rl_surrogates.sweep.plan import Plan, WorkItem

SECONDS_BETWEEN_LINES = 10.0
# Acting once takes as long as four passes: 100 000 steps of CartPole, 128 lanes side by side on two
# cores, took 0.97, 1.36 and 3.70 s a lane with 1, 4 and 16 epochs.
ACTING = 4
PASSES = ("num_epochs", "cg_iterations", "critic_epochs")


class Progress:
    """Counts environment steps and shows them; a context manager."""

    def __init__(self, plan: Plan, items: list[WorkItem]) -> None:
        """Prepares for `items`, the part of `plan` that is still to be run."""
        self.plan = plan
        self.total = sum(self.work(item, plan.steps([item])) for item in items)
        self.items, self.finished_items = len(items), 0
        self.finished_work = 0  # of the sweep's work, what was before included
        self.session_steps = self.session_work = 0  # what the speed is computed from
        self.began: float | None = None
        self.running: dict[str, WorkItem] = {}
        self.item_work: dict[str, int] = {}  # of the items that are running
        self.diverging: dict[str, int] = {}
        self.update = self.num_updates = self.diverged = 0  # of the item that was heard of last
        self.score: float | None = None
        self.last_line = time.monotonic()
        console = Console(stderr=True, highlight=False)
        live = console.is_terminal and self.total > 0
        self.live = (
            Live(console=console, get_renderable=self.table, transient=True) if live else None
        )

    def __enter__(self) -> "Progress":
        """Shows the table."""
        if self.live:
            self.live.__enter__()
        return self

    def __exit__(self, *exception) -> None:
        """Takes the table down."""
        if self.live:
            self.live.__exit__(*exception)

    def begin(self, item: WorkItem) -> None:
        """`item` is begun."""
        self.num_updates = self.plan.programs[item.program].config.num_updates
        self.update, self.score = 0, None
        self.running[item.item] = item
        self.item_work[item.item] = self.diverging[item.item] = 0

    def tell(self, event: dict[str, Any]) -> None:
        """What a training reports; only some of it is shown."""
        name = event["item"]
        if event["event"] == "resumed":
            self.update = event["update"]
            self.item_work[name] = self.work(self.running[name], event["steps"])
        if event["event"] == "chunk":
            self.update, self.diverging[name] = event["update"], event["diverged"]
            work = self.work(self.running[name], event["steps"])
            self.item_work[name] += work
            if self.began:
                self.session_steps += event["steps"]
                self.session_work += work
            self.began = self.began or time.monotonic()  # the first chunk waits for its compilation
            self.score = self.score if event["score"] is None else event["score"]
            waited = self.session_steps and time.monotonic() - self.last_line
            if not self.live and waited > SECONDS_BETWEEN_LINES:
                self.last_line = time.monotonic()
                self.say(self.line())

    def finish(self, item: WorkItem) -> None:
        """`item` is trained, evaluated and stored, or given up."""
        self.finished_items += 1
        self.finished_work += self.work(item, self.plan.steps([item]))
        self.diverged += self.diverging.get(item.item, 0)
        self.leave(item)

    def leave(self, item: WorkItem) -> None:
        """`item` does not run any more, whatever becomes of it."""
        for of_items in (self.running, self.item_work, self.diverging):
            of_items.pop(item.item, None)

    def work(self, item: WorkItem, steps: int) -> int:
        """What so many environment steps of an item cost, in passes over one step."""
        ascent = self.plan.programs[item.program].config.ascent
        return steps * (ACTING + sum(getattr(ascent, name, 0) for name in PASSES))

    def say(self, text: str) -> None:
        """One line that stays, above the table where there is one."""
        if self.live:
            self.live.console.print(text, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def cells(self) -> dict[str, str]:
        """What is shown, by its heading."""
        seconds = time.monotonic() - self.began if self.began else 0.0
        speed = self.session_steps / seconds if seconds else 0.0
        pace = self.session_work / seconds if seconds else 0.0
        done = self.finished_work + sum(self.item_work.values())
        return {
            "item": f"{self._numbers()} of {self.items}",
            "update": f"{self.update:,} of {self.num_updates:,}",
            "return": "" if self.score is None else f"{self.score:.1f}",
            "steps/s": f"{speed:,.0f}" if speed else "compiling",
            "done": f"{done / max(self.total, 1):.0%}",
            "left": clock((self.total - done) / pace) if pace else "",
            "diverged": str(self.diverged + sum(self.diverging.values())),
        }

    def _numbers(self) -> str:
        """The number of the item that is running, or the first and the last."""
        first = min(self.finished_items + 1, self.items)
        last = min(self.finished_items + len(self.running), self.items)
        return f"{first}" if last <= first else f"{first} to {last}"

    def table(self) -> Table:
        """One row: where the sweep stands, and the interquartile mean of the lanes' returns."""
        cells = self.cells()
        table = Table(box=None, pad_edge=False)
        for name in cells:
            table.add_column("return (IQM)" if name == "return" else name, justify="right")
        table.add_row(*cells.values())
        return table

    def line(self) -> str:
        """The same, as one line."""
        cells = self.cells()
        score = f", return {cells['return']} (IQM)" if cells["return"] else ""
        return (
            f"item {cells['item']}: update {cells['update']}{score}, {cells['steps/s']} steps/s, "
            f"{cells['done']} done, {cells['left']} left, {cells['diverged']} diverged"
        )


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
