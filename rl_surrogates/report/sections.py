"""The sections of a report: lists of finished parts. What one cannot show, it says in words."""

import pandas as pd

from rl_surrogates.report import comparisons, curves, html, outcomes, style
from rl_surrogates.report.answer import FEW_SEEDS, answer
from rl_surrogates.report.layout import WAY, short_names
from rl_surrogates.report.study import Study

Drawings = dict[str, style.Drawing]  # by name; filled as the sections are written


def first_screen(study: Study, drawings: Drawings) -> list[str]:
    """The question, the answer, and the figure that shows it."""
    plan = study.results.plan
    parts = [html.element("h1", plan["name"])]
    if plan.get("description"):
        parts.append(html.element("p", plan["description"], "question"))
    warnings = warnings_of(study)
    if warnings:
        parts.append(html.block("warning", warnings))
    parts.append(html.block("answer", answer(study)))
    if study.layout.x is not None and study.table["iqm"].notna().any():
        rows = -(-len(outcomes.shown_panels(study)) // 3)
        drawings["outcome"] = style.drawing(
            "outcome", lambda f: outcomes.draw_outcome(f, study), 1.0 + 3.3 * rows
        )
    elif study.layout.panels and study.table["iqm"].notna().any():
        drawings["outcome"] = style.drawing(
            "outcome",
            lambda f: outcomes.draw_panels_of_dots(f, study),
            1.4 + 0.3 * len(study.looks),
        )
    elif study.table["iqm"].notna().any():
        height = 1.2 + 0.27 * len(outcomes.dotted(study))
        drawings["outcome"] = style.drawing(
            "outcome", lambda f: outcomes.draw_dots(f, study), height
        )
    if "outcome" in drawings:
        parts.append(html.figure(drawings["outcome"].svg, _outcome_caption(study)))
    return parts


def warnings_of(study: Study) -> list[str]:
    """What a reader must know before believing any figure."""
    lines = [f"Incomplete: {line}." for line in study.results.missing]
    mixed = study.results.versions
    if mixed:
        text = "; ".join(f"{name} {' and '.join(versions)}" for name, versions in mixed.items())
        lines.append(f"Mixed: these runs were made by different versions: {text}.")
    seeds = study.runs["seed"].nunique()
    if 1 < seeds < FEW_SEEDS:
        lines.append(f"Only {seeds} seeds: bootstrap intervals over so few are too narrow.")
    if seeds == 1:
        lines.append(
            "One seed only: there are no intervals, and no difference can be told from chance."
        )
    without = int(study.table["iqm"].isna().sum())
    if 0 < without < len(study.table):
        lines.append(
            f"{without} of {len(study.table)} settings have no score, and are not compared."
        )
    if study.scores.unscored:
        lines.append(
            f"{study.scores.unscored} finished runs have no score; each counts as the worst."
        )
    return lines


def settings(study: Study, drawings: Drawings) -> list[str]:
    """The summary as a table."""
    shown = study.table.drop(columns=WAY, errors="ignore")  # its parts are columns themselves
    short = short_names([axis for axis in study.results.plan["axes"] if axis in shown])
    shown = shown.reset_index().rename(columns={**short, "iqm": "IQM"})
    note = (
        f"IQM: interquartile mean of the {study.metric} over seeds;"
        " low, high: its 95 % bootstrap interval."
    )
    if study.table["iqm"].isna().any():
        note += " Empty: no run of the setting has a score."
    if (study.table["iqm"].notna() & study.table["low"].isna()).any():
        note += " No interval: one run of the setting is there, and a bootstrap needs two."
    return [html.element("h2", "Every setting"), html.element("p", note, "note"), html.table(shown)]


def learning(study: Study, drawings: Drawings) -> list[str]:
    """Learning curves."""
    found, _ = curves.facets(study)
    parts = [html.element("h2", "Learning curves")]
    if curves.RETURN not in study.results.metrics or study.runs.empty:
        return [*parts, html.element("p", "No training return was recorded.", "note")]
    shown = found[: curves.MAX_FACETS]
    rows = -(-len(shown) // curves.columns_of(study, len(shown)))
    drawings["learning"] = style.drawing(
        "learning", lambda f: curves.draw_learning(f, study), 0.9 + 2.5 * rows
    )
    caption = (
        "Training return, interquartile mean over seeds, with 95 % bootstrap intervals. Where no"
        " episode ended, a run keeps its last value; from the update at which it diverged, a run"
        " counts as the lowest value of the figure."
    )
    if len(found) > len(shown):
        caption += f" The first {len(shown)} of {len(found)} combinations."
    return [*parts, html.figure(drawings["learning"].svg, caption)]


def maps(study: Study, drawings: Drawings) -> list[str]:
    """Heat maps over two numeric axes, where there are two."""
    if outcomes.heat_axis(study) is None or study.table["iqm"].isna().all():
        return []
    height = 0.6 + 2.2 * -(-len(study.looks) // 4)
    drawings["maps"] = style.drawing("maps", lambda f: outcomes.draw_heat(f, study), height)
    caption = f"Interquartile mean of the {study.metric} for each combination."
    return [html.element("h2", "Two axes at a time"), html.figure(drawings["maps"].svg, caption)]


def movement(study: Study, drawings: Drawings) -> list[str]:
    """How far the updates moved the policy."""
    parts = [html.element("h2", "How far each update moved the policy")]
    names = curves.movement_metrics(study)
    if not names or study.runs.empty:
        return [*parts, html.element("p", "No measure of it was recorded.", "note")]
    if not (study.runs["status"] == "done").any():
        note = "Nothing is drawn: each of the runs diverged or failed."
        return [*parts, html.element("p", note, "note")]
    drawings["movement"] = style.drawing(
        "movement", lambda f: curves.draw_movement(f, study), 0.8 + 1.9 * len(names)
    )
    caption = (
        "Interquartile mean over seeds, with 95 % bootstrap intervals"
        f"{curves.where_movement(study)}. Runs that diverged are left out of these panels."
        f" In logarithms 0 is drawn as {curves.SMALLEST:.0e}."
    )
    parts.append(html.figure(drawings["movement"].svg, caption))
    if "first_ratio_error" in names:
        largest = study.results.curves(["first_ratio_error"])["first_ratio_error"].max()
        limit = curves.LIMITS["first_ratio_error"]
        verdict = (
            "rounding, as it must be"
            if largest <= limit
            else "more than rounding: a defect, or a run that diverged"
        )
        parts.append(
            html.element(
                "p", f"Largest |ratio - 1| at a first minibatch: {largest:.2g} ({verdict}).", "note"
            )
        )
    return parts


def paired(study: Study, drawings: Drawings) -> list[str]:
    """Differences on common seeds."""
    parts = [html.element("h2", "Paired differences")]
    pairs = comparisons.paired_table(study)
    if pairs.empty:
        return [
            *parts,
            html.element(
                "p", "There is no axis of names along which settings could be paired.", "note"
            ),
        ]
    if pairs["difference"].isna().all():
        return [*parts, html.element("p", "No setting has a score: nothing is paired.", "note")]
    if comparisons.rows_of_forest(study, pairs) <= comparisons.MAX_ROWS:
        height = comparisons.height_of_forest(study, pairs)
        drawings["paired"] = style.drawing(
            "paired", lambda f: comparisons.draw_forest(f, study, pairs), height
        )
        caption = (
            "Difference of interquartile means on common seeds, with 95 % bootstrap intervals that"
            " draw the same seeds from both sides. An interval that holds 0 leaves the sign open."
            " Not corrected for the number of comparisons."
        )
        parts.append(html.figure(drawings["paired"].svg, caption))
    return [*parts, html.as_csv("Paired differences", pairs)]


def overall(study: Study, drawings: Drawings) -> list[str]:
    """Performance profile and probability of improvement over all cells."""
    scores = comparisons.complete_scores(study)
    if not scores or study.table["iqm"].isna().all():
        return []
    drawings["overall"] = style.drawing(
        "overall",
        lambda f: comparisons.draw_overall(f, study, scores),
        max(3.8, 0.36 * len(scores) + 1.6),
    )
    seeds, cells = next(iter(scores.values())).shape
    caption = (
        f"Over {cells} combinations of the other axes and {seeds} seeds. A diverged run is above"
        " no score and loses to every other; a tie counts half."
    )
    table = comparisons.improvement_table(scores)
    return [
        html.element("h2", "Over all combinations"),
        html.figure(drawings["overall"].svg, caption),
        html.as_csv("Probability of improvement", table),
    ]


def diverged(study: Study, drawings: Drawings) -> list[str]:
    """The runs that did not end well, by name."""
    parts = [html.element("h2", "Diverged, failed and missing runs")]
    bad = study.runs[study.runs["status"] != "done"]
    lines = [f"{line}." for line in study.results.missing]
    if bad.empty:
        lines.append(f"Each of the {len(study.runs)} runs that are there ended well.")
    parts += [html.element("p", line, "note") for line in lines]
    if len(bad):
        shown = pd.DataFrame(
            {
                "setting": [study.describe(i) for i in bad["setting"]],
                "seed": bad["seed"],
                "status": bad["status"],
                "diverged at update": bad["diverged_at"],
                "run_id": bad["run_id"],
            }
        )
        parts.append(html.table(shown))
    return parts


def _outcome_caption(study: Study) -> str:
    seeds = int(study.table["runs"].max())
    total, bad = len(study.runs), int(study.table["diverged"].sum())
    caption = f"Interquartile mean of the {study.metric} over {seeds} seeds"
    drawn = "bands" if study.layout.x is not None else "bars"
    if seeds > 1:
        caption += f"; {drawn}: 95 % bootstrap intervals over seeds."
    else:
        caption = f"The {study.metric} of one seed; no interval can be given."
    if study.layout.x is None and not study.layout.panels:
        shown, there = len(outcomes.dotted(study)), int(study.table["iqm"].notna().sum())
        what = "settings, the best ones"
    else:
        shown, there = len(outcomes.shown_panels(study)), len(outcomes.panels_of(study))
        what = "combinations, those in which the settings differ most"
    if shown < there:
        caption += f" Shown are {shown} of {there} {what}."
    if not bad:
        return f"{caption} {f'None of {total} runs' if total > 1 else 'The run has not'} diverged."
    worst = "" if study.scores.worst is None else f" ({html.cell(study.scores.worst)})"
    counted = f"each counts as the worst score of the sweep{worst}"
    return f"{caption} {bad} of {total} runs diverged; {counted}."
