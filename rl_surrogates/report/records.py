"""What was run, with what, at what cost: plan, compute, configs, provenance, tables as CSV."""

import json

import pandas as pd

from rl_surrogates.report import html
from rl_surrogates.report.layout import text
from rl_surrogates.report.study import Study

CSV_RUNS = 5000  # the table of runs is left out of the page beyond this


def plan(study: Study, drawings: dict) -> list[str]:
    """What the question came to."""
    content = study.results.plan
    seeds, items = content.get("seeds", {}), content.get("items", [])
    planned = sum(len(item["runs"]) for item in items)
    note = (
        f"Method {content.get('method', '?')}; {len(content.get('settings', []))} settings x"
        f" {seeds.get('count', '?')} seeds (from {seeds.get('start', '?')}) = {planned} runs,"
        f" work items: {len(items)}, compiled programs:"
        f" {len(content.get('programs', []))}."
    )
    axes = pd.DataFrame(
        [
            {"axis": a, "values": "; ".join(text(v) for v in values)}
            for a, values in study.axes.items()
        ]
    )
    parts = [html.element("h2", "Plan"), html.element("p", note, "note")]
    if len(axes):
        parts.append(html.table(axes))
    programs = [
        {
            "program": program["program"],
            "objectives": ", ".join(program["objectives"]),
            "items": sum(item["program"] == program["program"] for item in items),
            "runs": sum(len(i["runs"]) for i in items if i["program"] == program["program"]),
        }
        for program in content.get("programs", [])
    ]
    return (
        [*parts, html.element("p", "", "note"), html.table(pd.DataFrame(programs))]
        if programs
        else parts
    )


def compute(study: Study, drawings: dict) -> list[str]:
    """What it cost."""
    parts = [html.element("h2", "Compute")]
    if study.runs.empty:
        return [*parts, html.element("p", "Nothing was run.", "note")]
    last = study.results.curves(["env_steps"]).groupby("run_id")["env_steps"].max()
    runs = study.runs.assign(steps=study.runs["run_id"].map(last).fillna(0).astype("int64"))
    grouped = runs.groupby(["device", "width"], sort=True)
    table = grouped.agg(
        runs=("run_id", "size"), steps=("steps", "sum"), seconds=("wall_s", "sum")
    ).reset_index()
    table["steps per second"] = (
        table["steps"] / table["seconds"].where(table["seconds"] > 0)
    ).round()
    table = table.rename(columns={"width": "lanes side by side", "steps": "environment steps"})
    note = (
        "Seconds: wall time of each work item, shared equally among its runs, compilation included."
    )
    return [*parts, html.element("p", note, "note"), html.table(table)]


def configs(study: Study, drawings: dict) -> list[str]:
    """Every leaf of every config: once where all settings share it, else setting by setting."""
    leaves = pd.DataFrame(
        [s["config"] for s in study.results.plan.get("settings", [])], dtype=object
    )
    parts = [html.element("h2", "Every config")]
    if leaves.empty:
        return parts
    shown = leaves.map(lambda value: "" if _absent(value) else _value(value))
    shared = [name for name in shown if shown[name].nunique() == 1]
    common = pd.DataFrame({"field": shared, "value": [shown[name].iloc[0] for name in shared]})
    parts += [html.element("p", "Shared by all settings:", "note"), html.table(common)]
    others = [name for name in shown if name not in shared]
    if others:
        varying = pd.concat(
            [study.table.index.to_series(name="setting").reset_index(drop=True), shown[others]],
            axis=1,
        )
        parts += [html.element("p", "Setting by setting:", "note"), html.table(varying)]
    return parts


def provenance(study: Study, drawings: dict) -> list[str]:
    """Code, packages, machine and random numbers of the first session."""
    content = study.results.provenance
    parts = [html.element("h2", "Provenance")]
    if not content:
        return [*parts, html.element("p", "The provenance is missing.", "note")]
    rows = pd.DataFrame([{"of": path, "is": value} for path, value in _leaves(content)])
    return [*parts, html.table(rows)]


def tables(study: Study, drawings: dict) -> list[str]:
    """The tables behind the figures, to be copied."""
    parts = [html.element("h2", "Tables"), html.as_csv("Every setting", study.table.reset_index())]
    if len(study.runs) > CSV_RUNS:
        count = len(study.runs)
        note = f"The table of {count} runs is too long for this page; it lies in the Parquet parts."
        return [*parts, html.element("p", note, "note")]
    scores = study.results.scores(study.scores.metric)[["run_id", "score"]]
    always = ("run_id", "setting", "seed", "status")
    kept = [c for c in study.runs if c in always or study.runs[c].nunique(dropna=False) > 1]
    runs = study.runs[kept].merge(scores, on="run_id")
    return [*parts, html.as_csv("Every run", runs)]


def _leaves(content, path: str = "") -> list[tuple[str, str]]:
    if isinstance(content, dict):
        return [leaf for k, v in content.items() for leaf in _leaves(v, f"{path}.{k}".lstrip("."))]
    return [(path, _value(content))]


def _value(value) -> str:
    return (
        json.dumps(value) if isinstance(value, (list, dict, bool)) or value is None else str(value)
    )


def _absent(value) -> bool:
    return isinstance(value, float) and value != value
