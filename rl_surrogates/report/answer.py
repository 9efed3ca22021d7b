"""What is the answer, in plain sentences? Made from the figures, never from expectations."""

from typing import NamedTuple

import pandas as pd

from rl_surrogates import statistics
from rl_surrogates.report import tasks
from rl_surrogates.report.comparisons import complete_scores
from rl_surrogates.report.layout import OBJECTIVE, WAY, named, text
from rl_surrogates.report.study import Study, bracket, digits

FEW_SEEDS = 8  # with fewer, a bootstrap knows too little
MAX_LISTED = 6  # values of the coloured axis that a sentence names


class Cell(NamedTuple):
    """The settings that differ only in the coloured axis."""

    values: tuple  # of the layout's cell axes
    rows: pd.DataFrame  # of the summary; best first

    @property
    def spread(self) -> float:
        """How far the best is from the worst."""
        return float(self.rows["iqm"].max() - self.rows["iqm"].min())


def answer(study: Study) -> list[str]:
    """Sentences: the first one is the answer, the others say how sure it is and where it holds."""
    scored = study.table[study.table["iqm"].notna()]
    if scored.empty:
        return [_why_none(study)]
    found = cells(study)
    if not found:
        return _best_setting(study, scored)
    hardest = hardest_of(found)
    if tasks.has_tasks(study) and (overall := _over_tasks(study)):
        return overall
    sentences = [
        _where_they_differ(study, hardest),
        _how_clearly(study, hardest, comparisons(found)),
        _what_x_does(study, hardest),
        _where_they_agree(study, found, hardest),
    ]
    return [sentence for sentence in sentences if sentence]


def _over_tasks(study: Study) -> list[str]:
    """The order over all tasks, each on its own scale; nothing where no task is complete."""
    scores = complete_scores(study)
    if not scores:
        return []
    # Of few tasks an interquartile mean would leave out the one in which a method fails.
    each = {v: statistics.bootstrap_ci(mine, statistics.mean) for v, mine in scores.items()}
    best, *others = ranked = sorted(each, key=lambda value: -each[value].point)
    listed = "; ".join(_few([f"{_name(study, v)}: {_share(each[v])}" for v in ranked]))
    chances = len(scores) * len(others) // 2
    confidence = 1.0 - 0.05 / chances
    found = {
        other: statistics.paired_difference_ci(
            scores[best],
            scores[other],
            statistics.mean,
            confidence=confidence,
            resamples=20_000,
        )
        for other in others
    }
    tied = [_name(study, o) for o, d in found.items() if not d.low > 0.0]
    beaten = [f"{_name(study, o)} by {_share(d)}" for o, d in found.items() if d.low > 0.0]
    sentences = [f"Mean over all tasks ({tasks.ends(study)}): {listed}."]
    if tied:
        level = _joined(tied, "or") if len(tied) <= MAX_LISTED else f"{len(tied)} of the others"
        sentences.append(f"These runs cannot tell {_name(study, best)} from {level}.")
    if beaten:
        sentences.append(f"{_name(study, best)} leads {_joined(_few(beaten), 'and')}.")
    sentences.append(f"(Paired by seed; at 95 % for all {chances} comparisons at once.)")
    if left_out := tasks.without_scale(study):
        where = _joined(left_out, "and")
        sentences.append(f"Left out, as no setting is above the score 0 there: {where}.")
    return sentences


def cells(study: Study) -> list[Cell]:
    """The cells in which two values of the coloured axis or more can be compared."""
    layout = study.layout
    if layout.colour is None:
        return []
    ranked = study.table[study.table["iqm"].notna()]
    ranked = ranked.sort_values("iqm", ascending=study.scores.sign < 0, kind="stable")
    groups = ranked.groupby(layout.cell, sort=True) if layout.cell else [((), ranked)]
    return [Cell(tuple(values), rows) for values, rows in groups if len(rows) > 1]


def hardest_of(found: list[Cell]) -> Cell:
    """The cell in which the choice matters most."""
    return max(found, key=lambda cell: cell.spread)


def _why_none(study: Study) -> str:
    if study.runs.empty:
        return "There is no answer yet: nothing has been run."
    if (study.runs["status"] == "diverged").all():
        return f"There is no answer: each of the {len(study.runs)} runs diverged."
    return "There is no answer: no run has a score."


def _where_they_differ(study: Study, cell: Cell) -> str:
    layout = study.layout
    listed = [_score_of(study, row) for _, row in cell.rows.iterrows()]
    listed = _few(listed)
    known = {OBJECTIVE: "objectives", WAY: "ways"}
    name = known.get(layout.colour, f"values of {layout.names[layout.colour]}")
    if not layout.cell:
        return f"The {name}, best first: {', '.join(listed)}."
    where = layout.describe(layout.cell, cell.values)
    return f"The {name} differ most at {where}: {', '.join(listed)}."


def comparisons(found: list[Cell]) -> int:
    """How many pairs the answer could have been about: it picks the cell and the best in it."""
    return sum(len(cell.rows) * (len(cell.rows) - 1) // 2 for cell in found)


def _how_clearly(study: Study, cell: Cell, chances: int) -> str:
    """The best against the others, on common seeds, allowing for all the picks there were."""
    best, *others = cell.rows.index
    found = {other: study.scores.difference(best, other, chances) for other in others}
    seeds = min(common for _, common in found.values())
    if seeds < FEW_SEEDS:
        return (
            f"The order may be chance: with {seeds} common seed{'s' if seeds != 1 else ''} no"
            f" interval can hold for all {chances} comparisons there are."
        )
    name = {index: _name(study, value) for index, value in cell.rows[study.layout.colour].items()}
    tied = {o: d for o, (d, _) in found.items() if d.low <= 0.0 <= d.high}
    beaten = {o: d for o, (d, _) in found.items() if o not in tied}
    verb = "leads" if study.scores.sign > 0 else "is below"
    sentences = []
    if tied:
        each = [f"{name[o]} (difference {_ci(d)})" for o, d in tied.items()]
        sentences.append(f"These seeds cannot tell {name[best]} from {_joined(_few(each), 'or')}.")
    if beaten:
        each = [f"{name[o]} by {_ci(d, abs)}" for o, d in beaten.items()]
        sentences.append(f"{name[best]} {verb} {_joined(_few(each), 'and')}.")
    if chances > 1:
        sentences.append(f"(Paired by seed; at 95 % for all {chances} comparisons at once.)")
    return " ".join(sentences)


def _what_x_does(study: Study, cell: Cell) -> str:
    """How the best and the worst of the cell move along x."""
    layout = study.layout
    if layout.x is None:
        return ""
    fixed = {a: v for a, v in zip(layout.cell, cell.values, strict=True) if a != layout.x}
    here = study.table[study.table["iqm"].notna()]
    for axis, value in fixed.items():
        here = here[here[axis] == value]
    low, high = text(here[layout.x].min()), text(here[layout.x].max())
    moves = []
    for value in cell.rows[layout.colour].iloc[[0, -1]]:
        line = here[here[layout.colour] == value].sort_values(layout.x)
        if len(line) > 1:
            start, end = digits(*line["iqm"].iloc[[0, -1]])
            first, last = (text(at) for at in line[layout.x].iloc[[0, -1]])
            short = f" (known from {first} to {last} only)" if (first, last) != (low, high) else ""
            moves.append(f"{_name(study, value)} goes from {start} to {end}{short}")
    if not moves:
        return ""
    where = f", at {layout.describe(list(fixed), tuple(fixed.values()))}" if fixed else ""
    return f"From {layout.names[layout.x]} = {low} to {high}{where}, {_joined(moves, 'and')}."


def _where_they_agree(study: Study, found: list[Cell], hardest: Cell) -> str:
    least = min(found, key=lambda cell: cell.spread)
    if least.values == hardest.values:
        return ""
    low, high = digits(least.rows["iqm"].min(), least.rows["iqm"].max())
    where = study.layout.describe(study.layout.cell, least.values)
    return f"They differ least at {where}: {low} to {high}."


def _best_setting(study: Study, scored: pd.DataFrame) -> list[str]:
    ranked = scored.sort_values("iqm", ascending=study.scores.sign < 0, kind="stable")
    best = ranked.iloc[0]
    seeds = f"{int(best['runs'])} seed{'s' if best['runs'] > 1 else ''}"
    if len(scored) == 1:
        which = study.describe(ranked.index[0]) if study.swept else ""
        which = f"The setting {which}" if which else "The setting"
        return [f"{which} reaches {_of(best)} over {seeds}."]
    middle = digits(float(scored["iqm"].median()))[0]
    where = study.describe(ranked.index[0])
    sign = study.scores.sign
    ends = sign * ranked.iloc[1:]["high" if sign > 0 else "low"]
    level = int((ends >= sign * best["iqm"]).sum())
    return [
        f"The best of {len(scored)} settings is {where}: {_of(best)} over {seeds};"
        f" the middle one reaches {middle}.",
        *([f"The intervals of {level} other settings reach as far."] if level else []),
    ]


def _name(study: Study, value) -> str:
    return named(study.layout.names[study.layout.colour], value)


def _score_of(study: Study, row: pd.Series) -> str:
    value = row[study.layout.colour]
    return f"{_name(study, value)}{'' if isinstance(value, str) else ':'} {_of(row)}"


def _of(row: pd.Series) -> str:
    return bracket(row["iqm"], row["low"], row["high"])


def _ci(interval, turn=float) -> str:
    low, high = sorted((turn(interval.low), turn(interval.high)))
    return bracket(turn(interval.point), low, high)


def _share(interval) -> str:
    low, point, high = (round(float(end), 2) + 0.0 for end in interval)  # and never -0.00
    return f"{point:.2f} [{low:.2f}, {high:.2f}]"


def _few(parts: list[str]) -> list[str]:
    """The first and the last of many parts."""
    half = MAX_LISTED // 2
    return parts if len(parts) <= MAX_LISTED else [*parts[:half], "...", *parts[-half:]]


def _joined(parts: list[str], word: str) -> str:
    return f" {word} ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
