"""How does every figure look? One palette that colour-blind readers can tell apart, one set of
sizes, no hidden state.

A figure becomes SVG text and a PDF with the same bytes each time: no date, and identifiers that
depend on its name only.
"""

import io
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rl_surrogates.report.layout import clipped, named

# Okabe and Ito 2008, "Color Universal Design"; yellow last, it is faint on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", ":", "-.")
INK, FAINT = "#222222", "#777777"
LINE = 140  # letters of a legend's line
WIDTH = 10.6  # inches: the page is as wide

STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "legend.frameon": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "text.parse_math": False,  # a name with dollar signs is a name
    "svg.fonttype": "none",
    "pdf.fonttype": 42,  # letters stay letters
    "figure.facecolor": "white",
}


class Look(NamedTuple):
    """How one value of the coloured axis is drawn, in every figure."""

    colour: str
    marker: str
    dash: str


def looks(values: Sequence[Any]) -> dict[Any, Look]:
    """A look for each value; colours return with another dash after eight."""
    size = len(COLOURS)
    return {
        value: Look(COLOURS[i % size], MARKERS[i % size], DASHES[i // size % len(DASHES)])
        for i, value in enumerate(values)
    }


@contextmanager
def drawn(height: float) -> Iterator[Figure]:
    """A figure of the page's width and this height in inches; matplotlib's global state stays."""
    with mpl.rc_context(STYLE):
        yield Figure((WIDTH, height), layout="constrained")


def grid_of(figure: Figure, rows: int, columns: int, **share: Any) -> list[list[Axes]]:
    """Axes in rows, always two levels of lists."""
    return figure.subplots(rows, columns, squeeze=False, **share).tolist()


def take(grid: list[list[Axes]], count: int) -> list[Axes]:
    """The first `count` axes of a grid; the others are hidden."""
    places = [place for row in grid for place in row]
    for i in range(count, len(places)):
        places[i].set_visible(False)
        places[i - len(grid[0])].tick_params(labelbottom=True)  # now the lowest of its column
    return places[:count]


def legend(figure: Figure, name: str, entries: dict[Any, Look]) -> None:
    """One legend for all panels, above them; nothing where there is nothing to tell apart."""
    if len(entries) < 2:
        return
    labels = {value: clipped(named(name, value), 60) for value in entries}
    columns = max(1, min(5, len(entries), LINE // (max(map(len, labels.values())) + 8)))
    handles = [
        Line2D(
            [],
            [],
            color=k.colour,
            marker=k.marker,
            linestyle=k.dash,
            label=labels[value],
        )
        for value, k in entries.items()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=columns)


def wrapped(title: str, width: int = 44) -> str:
    """A title in lines of at most `width` characters where it can be broken so."""
    return "\n".join(textwrap.fill(line, width) for line in title.split("\n"))


class Drawing(NamedTuple):
    """A finished figure: for the page, and as a file for a paper."""

    svg: str  # an element to stand in a page among others
    pdf: bytes


def drawing(name: str, draw: Callable[[Figure], None], height: float) -> Drawing:
    """The figure that `draw` fills.

    Identifiers of the SVG begin with `name`, so that two figures of one page never share one.
    """
    page, paper = io.BytesIO(), io.BytesIO()
    with drawn(height) as figure, mpl.rc_context({"svg.hashsalt": name}):
        draw(figure)
        figure.savefig(page, format="svg")
        figure.set_layout_engine("none")  # all stands where it has to
        figure.savefig(paper, format="pdf", metadata={"CreationDate": None})
    svg = page.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)  # holds a date
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    return Drawing(re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", svg), paper.getvalue())
