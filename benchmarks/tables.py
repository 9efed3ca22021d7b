"""How are figures written? The same on the screen and in BENCHMARKS.md."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.contest import Figure

Rows = list[dict[str, Any]]


def show(title: str, rows: Rows) -> None:
    """Prints a table."""
    names = columns(rows)
    table = Table(title=title, title_justify="left", box=None)
    for name in names:
        table.add_column(name, justify="left" if name == names[0] else "right")
    for row in rows:
        table.add_row(*(written(row.get(name)) for name in names))
    Console(width=150).print(table)


def markdown(rows: Rows) -> Iterable[str]:
    """The lines of a table."""
    names = columns(rows)
    yield "| " + " | ".join(names) + " |"
    yield "|---" + "|--:" * (len(names) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(written(row.get(name)) for name in names) + " |"


def columns(rows: Rows) -> list[str]:
    """Every column of any row, in order."""
    return list(dict.fromkeys(name for row in rows for name in row))


def written(value: Any) -> str:
    """A number as short as it can be told; a figure over turns with the lowest and the highest."""
    if value is None:
        return ""
    if isinstance(value, Figure | list):
        figure = as_figure(value)
        if figure.low == figure.high:
            return written(figure.median)
        return "{} ({}, {})".format(*map(written, figure[:3]))
    if isinstance(value, float) and abs(value) < 1000:
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.{1 if abs(value) >= 10 else 2}f}"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)


def as_figure(value: Any) -> Figure:
    """A figure, as it is or as JSON has it."""
    return Figure(*value)
