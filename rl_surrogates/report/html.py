"""How does text become a page that does no harm? All is escaped; nothing runs or is loaded."""

import csv
import html
import io
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; margin: 0; }
body { color: #222; background: #fff; }
h1, p { overflow-wrap: anywhere; } td { overflow-wrap: break-word; }
main { max-width: 1080px; margin: 0 auto; padding: 18px 24px 60px; }
h1 { font-size: 22px; margin: 0; }
h2 { font-size: 18px; margin: 40px 0 6px; border-top: 1px solid #ddd; padding-top: 14px; }
.question { font-size: 17px; margin: 2px 0 10px; color: #444; white-space: pre-line; }
.answer { font-size: 16px; margin: 0 0 4px; padding: 8px 14px; }
.answer { background: #f2f6fa; border-left: 4px solid #0072b2; }
.answer p, .warning p { margin: 2px 0; } .answer p:first-child { font-weight: 600; }
.warning { padding: 6px 14px; margin: 8px 0; }
.warning { background: #fdf3e7; border-left: 4px solid #d55e00; }
figure { margin: 10px 0 0; } figure svg { width: 100%; height: auto; display: block; }
figcaption, .note { color: #555; font-size: 13.5px; margin: 4px 0 10px; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
th, td { padding: 3px 10px; border-bottom: 1px solid #e5e5e5; text-align: left; }
th, .number { white-space: nowrap; }
td { max-width: 620px; }
th { border-bottom: 2px solid #999; }
td.number, th.number { text-align: right; }
pre { font-size: 12px; background: #f7f7f7; padding: 8px; overflow: auto; max-height: 420px; }
summary { cursor: pointer; }
@media print {
  main { max-width: none; padding: 0; }
  figure, tr, .answer { break-inside: avoid; }
  pre { max-height: none; white-space: pre-wrap; }
  h2 { break-after: avoid; } .wide { overflow: visible; } table { font-size: 10.5px; }
  th, td { padding: 2px 6px; } th { white-space: normal; overflow-wrap: anywhere; }
}
"""


def page(title: str, body: Sequence[str]) -> bytes:
    """The whole page around the finished parts of its body."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style></head><body><main>",
        *body,
        "</main></body></html>\n",
    ]
    return "\n".join(parts).encode("utf-8", "replace")


def escape(text: Any) -> str:
    """Any text as the content of an element or of a quoted attribute."""
    return html.escape(str(text), quote=True)


def element(name: str, text: Any, kind: str = "") -> str:
    """An element with this text."""
    return f"<{name}{_class(kind)}>{escape(text)}</{name}>"


def block(kind: str, paragraphs: Sequence[str]) -> str:
    """Paragraphs that belong together."""
    return f"<div{_class(kind)}>{''.join(element('p', text) for text in paragraphs)}</div>"


def figure(svg: str, caption: str) -> str:
    """A drawn figure and what it shows; the caption is also what a screen reader says."""
    named = svg.replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)
    return f"<figure>\n{named}\n<figcaption>{escape(caption)}</figcaption></figure>"


def table(frame: pd.DataFrame) -> str:
    """The rows of a frame; its index is not shown."""
    numeric = [pd.api.types.is_numeric_dtype(frame[name]) for name in frame]
    kinds = ["number" if n else "" for n in numeric]
    head = "".join(
        f"<th{_class(k)}>{escape(name)}</th>" for name, k in zip(frame, kinds, strict=True)
    )
    rows = [
        "".join(f"<td{_class(k)}>{escape(cell(v))}</td>" for v, k in zip(row, kinds, strict=True))
        for row in frame.itertuples(index=False, name=None)
    ]
    lines = "\n".join(f"<tr>{row}</tr>" for row in rows)
    body = f"<thead><tr>{head}</tr></thead><tbody>\n{lines}\n</tbody>"
    return f'<div class="wide"><table>{body}</table></div>'


def as_csv(title: str, frame: pd.DataFrame) -> str:
    """The frame as comma-separated text that can be folded out and copied."""
    return folded(f"{title} as CSV", csv_text(frame))


def folded(title: str, text: str) -> str:
    """Text that is shown when asked for."""
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def csv_text(frame: pd.DataFrame) -> str:
    """Comma-separated text; an apostrophe precedes what a spreadsheet would take for a formula."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow([_harmless(name) for name in frame])
    for row in frame.itertuples(index=False, name=None):
        writer.writerow([_harmless(value) for value in row])
    return sink.getvalue()


def cell(value: Any) -> str:
    """A value in a table: four digits of a number, nothing for what is not there."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    return str(value)


def _harmless(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.lstrip()[:1] in tuple("=+-@\t\r") else value
    return "" if cell(value) == "" else value


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
