"""Axes that make no grid with the objective become one axis of ways to train."""

import pandas as pd
import pytest

from rl_surrogates.report.layout import WAY, lay_out
from rl_surrogates.report.ways import join, nested

NAN = float("nan")
GAMMA = {"one": 0.9, "two": 0.99}
TABLE_1 = pd.DataFrame(
    [
        {"objective.name": o, "objective.epsilon": e, "objective.beta": b, "adaptation.name": a}
        | {"adaptation.target": t, "env.name": env, "advantage.gamma": GAMMA[env]}
        for o, e, b, a, t in [
            ("importance_sampled", NAN, NAN, "fixed", NAN),
            ("ppo_clip", 0.1, NAN, "fixed", NAN),
            ("ppo_clip", 0.2, NAN, "fixed", NAN),
            ("kl_penalty", NAN, 1.0, "adaptive_kl", 0.01),
            ("kl_penalty", NAN, 1.0, "fixed", NAN),
            ("kl_penalty", NAN, 3.0, "fixed", NAN),
        ]
        for env in ("one", "two")
    ]
)  # fmt: skip
AXES = {axis: list(TABLE_1[axis].unique()) for axis in TABLE_1}


def test_coefficients_of_some_objectives_are_joined_with_their_objective():
    table, axes = join(TABLE_1, AXES, "grid")
    assert axes[WAY] == [
        "importance_sampled",
        "ppo_clip, epsilon = 0.1",
        "ppo_clip, epsilon = 0.2",
        "kl_penalty, beta = 1, adaptive_kl",
        "kl_penalty, beta = 1, fixed",
        "kl_penalty, beta = 3, fixed",
    ]
    assert list(axes) == [WAY, "adaptation.target", "env.name", "advantage.gamma"]
    layout = lay_out(table, axes)
    assert (layout.colour, layout.x, layout.panels) == (WAY, None, ("env.name",))


def test_a_grid_stays_as_it_is():
    grid = pd.DataFrame(
        [{"objective.name": o, "ascent.num_epochs": e} for o in "ab" for e in (1, 4)]
    )
    assert nested(grid, list(grid)) == []
    assert join(grid, {}, "grid")[0] is grid


def test_an_axis_that_follows_the_objective_says_nothing_new():
    table = pd.DataFrame({"objective.name": list("abc"), "ascent.learning_rate": [1.0, 2.0, 3.0]})
    assert nested(table, list(table)) == []


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_points_of_no_grid_have_no_ways(method):
    assert join(TABLE_1, AXES, method)[1] is AXES
