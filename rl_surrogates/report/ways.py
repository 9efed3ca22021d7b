"""When does one line of a figure need more than the name of its objective?

Where axes are zipped, or belong to some objectives only, they make no grid with the objective:
three values of epsilon for `ppo_clip`, four of beta for `kl_penalty`. These are joined to one axis,
whose values are ways to train: `ppo_clip, epsilon = 0.1`. A grid stays as it is.
"""

from typing import Any

import pandas as pd

from rl_surrogates.report.layout import MAX_COLOURS, OBJECTIVE, WAY, short_names, text


def join(
    table: pd.DataFrame, axes: dict[str, list], method: str
) -> tuple[pd.DataFrame, dict[str, list]]:
    """The table with a column of ways, and the axes with it in place of those that it joins.

    Args:
      table: a summary, a row per setting.
      axes: swept axis -> its values.
      method: of the question; only a grid has axes that can lack a combination.
    """
    joined = nested(table, [axis for axis in axes if axis in table]) if method == "grid" else []
    if not joined:
        return table, axes
    names = short_names(list(axes))
    varied = table.groupby(OBJECTIVE)[joined].nunique(dropna=False) > 1
    ways = [
        _label(row, [axis for axis in joined if varied.loc[row[OBJECTIVE], axis]], names)
        for row in table[[OBJECTIVE, *joined]].to_dict("records")
    ]
    values = list(dict.fromkeys(ways))
    if len(values) > MAX_COLOURS:
        return table, axes
    left = {axis: v for axis, v in axes.items() if axis not in (OBJECTIVE, *joined)}
    return table.assign(**{WAY: ways}), {WAY: values, **left}


def nested(table: pd.DataFrame, axes: list[str]) -> list[str]:
    """The axes that neither cross the objective nor follow from it."""
    if OBJECTIVE not in axes:
        return []
    key, found = [OBJECTIVE], []
    for axis in axes:
        apart, together = _count(table, key), _count(table, [*key, axis])
        if axis != OBJECTIVE and apart < together < apart * _count(table, [axis]):
            key, found = [*key, axis], [*found, axis]
    return found


def _count(table: pd.DataFrame, axes: list[str]) -> int:
    """How many combinations there are; a missing value is one."""
    return len(table[axes].drop_duplicates())


def _label(row: dict[str, Any], told: list[str], names: dict[str, str]) -> str:
    """The objective with the axes that its own ways differ in."""
    parts = [str(row[OBJECTIVE])]
    for axis in told:
        value = row[axis]
        if isinstance(value, str):
            parts.append(value)
        elif value is not None and value == value:
            parts.append(f"{names[axis]} = {text(value)}")
    return ", ".join(parts)
