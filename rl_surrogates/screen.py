"""What does a person see on the terminal? The plan before, the table after, lists of names."""

from math import isnan

import pandas as pd
from rich.console import Console
from rich.table import Table

from rl_surrogates import environments, objectives
from rl_surrogates.store.places import Place
from rl_surrogates.sweep import Plan, Status, item_bytes
from rl_surrogates.sweep.progress import clock
from rl_surrogates.sweep.status import speed

NUMBERS = ("iqm", "low", "high", "runs", "diverged")


def show_plan(plan: Plan) -> None:
    """Programs, lanes and runs, before anything is compiled."""
    question, items = plan.question, plan.items()
    seeds = question.seeds.count
    console().print(
        f"[bold]{question.name}[/bold]: {len(plan.settings)} settings x {seeds} seeds = "
        f"{len(plan.runs)} runs, {plan.steps(items):,} environment steps\n"
        f"{len(plan.programs)} programs, {len(items)} work items of up to {plan.width} lanes, "
        f"about {item_bytes(plan) / 2**20:,.1f} MiB of device memory"
    )
    varying = _varying([_dotted(program.config.static()) for program in plan.programs])
    table = Table("program", "objectives", *varying, "runs", "items", box=None, pad_edge=False)
    for program in plan.programs:
        static = _dotted(program.config.static())
        count = sum(item.program == program.index for item in items)
        cells = [str(static.get(path, "")) for path in varying]
        row = [str(program.index), ", ".join(program.objectives), *cells, str(len(program.runs))]
        table.add_row(*row, str(count))
    console().print(table)


def show_summary(summary: pd.DataFrame, missing: list[str], page: Place) -> None:
    """The interquartile mean of each setting with its 95 % interval, and where the report is."""
    axes = [name for name in summary.columns if name not in NUMBERS]
    diverged = summary["diverged"].sum() > 0
    table = Table(*axes, box=None, pad_edge=False)
    for name in ["IQM", "95 % interval", "runs", *(["diverged"] if diverged else [])]:
        table.add_column(name, justify="right")
    for row in summary.to_dict("records"):
        interval = "none" if isnan(row["low"]) else f"{row['low']:.4g} to {row['high']:.4g}"
        score = "none" if isnan(row["iqm"]) else f"{row['iqm']:.4g}"
        numbers = [score, interval, str(row["runs"])]
        extra = [str(row["diverged"])] if diverged else []
        values = ["" if row[name] != row[name] else f"{row[name]}" for name in axes]
        table.add_row(*values, *numbers, *extra)
    console().print("\nevaluation return, greedy: interquartile mean over seeds")
    console().print(table)
    for line in missing:
        console().print(line, style="yellow")
    console().print(f"\n{page}")


def show_status(status: Status) -> None:
    """Counts of work items, who runs which, the speed of all together and the time left."""
    left = status.seconds_left
    console().print(
        f"[bold]{status.name}[/bold]: {status.done} of {status.items} work items done, "
        f"{len(status.running)} running, {status.waiting} waiting, {status.failed} failed, "
        f"{len(status.lost)} lost\n"
        f"{status.done_steps:,} of {status.total_steps:,} environment steps, "
        f"{status.steps_per_second:,.0f} steps/s"
        + (f", {clock(left)} left" if left is not None else "")
    )
    if not status.running and not status.lost:
        return
    table = Table("item", "where", "update", "steps/s", "heard of", box=None, pad_edge=False)
    for lease in [*status.running, *status.lost]:
        update = f"{lease.report.get('update', 0):,} of {lease.report.get('of', 0):,}"
        lost = lease in status.lost
        pace = "lost" if lost else f"{speed(lease):,.0f}" if speed(lease) else "compiling"
        cells = [lease.holder, update, pace, f"{status.age(lease):.0f} s ago"]
        table.add_row(lease.item, *cells, style="red" if lost else None)
    console().print(table)


def show_list(what: str) -> None:
    """The names that a config may use, and what they are."""
    if what == "environments":
        columns = ("environment", "actions", "observations", "steps", "what it is for")
        table = Table(*columns, box=None, pad_edge=False)
        for name in environments.names():
            table.add_row(*environments.describe(name))
        console().print(table)
        return
    table = Table("objective", "coefficients", "first order", "scale free", "source", box=None)
    for name in objectives.names():
        entry = objectives.find(name)
        coefficients = ", ".join(f"{k}={v:g}" for k, v in entry.coefficients.items())
        declared = [
            {True: "yes", False: "no"}.get(p, "?") for p in (entry.first_order, entry.scale_free)
        ]
        table.add_row(name, coefficients, *declared, entry.source)
    console().print(table)


def console() -> Console:
    """Standard output, as wide as the terminal, or unwrapped in a pipe."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=200)


def _varying(rows: list[dict]) -> list[str]:
    paths = dict.fromkeys(path for row in rows for path in row)
    return [path for path in paths if len({str(row.get(path)) for row in rows}) > 1]


def _dotted(tree: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in tree.items():
        inner = (
            _dotted(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
        flat |= inner
    return flat
