"""The report as it is read: question, answer, first figure; then what the answer rests on."""

import os

from rl_surrogates.report import html, records, sections, sensitivity
from rl_surrogates.report.study import examine
from rl_surrogates.store import StoreError, open_results, write_if_changed
from rl_surrogates.store.places import Place, Url

SECTIONS = (
    sections.first_screen,
    sections.settings,
    sections.learning,
    sections.maps,
    sensitivity.section,
    sections.movement,
    sections.paired,
    sections.overall,
    sections.diverged,
    records.plan,
    records.compute,
    records.configs,
    records.provenance,
    records.tables,
)


def write(path: str | os.PathLike | Url) -> Place:
    """Writes `report.html`, and its figures as SVG and PDF, into the results folder `path`; returns
    the page's path.

    What is damaged or missing is left out, and said. Equal results give equal bytes.

    Raises:
      StoreError: no results there, a damaged plan, or a folder that cannot be written.
    """
    results = open_results(path, partial=True)
    if not results.plan:
        raise StoreError(
            f"{results.path / 'plan.json'}: missing or damaged: there is no question to report on"
        )
    study, drawings = examine(results), {}
    body = [part for section in SECTIONS for part in section(study, drawings)]
    for name, drawing in drawings.items():
        write_if_changed(results.path / "figures" / f"{name}.svg", drawing.svg.encode())
        write_if_changed(results.path / "figures" / f"{name}.pdf", drawing.pdf)
    target = results.path / "report.html"
    write_if_changed(target, html.page(results.plan["name"], body))
    return target
