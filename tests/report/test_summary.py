import numpy as np
import pandas as pd
import pytest

from rl_surrogates import report, screen, statistics
from rl_surrogates.report.answer import answer, cells, hardest_of
from rl_surrogates.report.comparisons import complete_scores, paired_table
from rl_surrogates.report.curves import read_lines
from rl_surrogates.report.html import csv_text
from rl_surrogates.report.layout import lay_out, short_names
from rl_surrogates.report.study import bracket, digits, examine
from rl_surrogates.store import open_results


def results_of(synthetic, root, **arguments):
    small = {"seeds": 4, "updates": 10, "episodes": 2, **arguments}
    return open_results(synthetic.write_results(root, **small))


def test_a_summary_has_a_row_per_setting_in_the_order_of_the_plan(founding):
    results = open_results(founding)
    table = report.summary(results)
    assert table.index.name == "setting" and list(table.index) == list(range(24))
    axes = ["objective.name", "ascent.num_epochs", "ascent.learning_rate"]
    assert list(table) == [*axes, "iqm", "low", "high", "runs", "diverged"]
    assert table[axes].to_dict("records") == [s["axes"] for s in results.plan["settings"]]


def test_a_summary_holds_the_iqm_over_seeds_and_its_interval(founding):
    results = open_results(founding)
    row, scores = report.summary(results).loc[5], results.scores()
    mine = scores[scores["setting"] == 5]["score"].to_numpy()
    assert tuple(row[["low", "iqm", "high"]]) == statistics.bootstrap_ci(mine)


def test_a_diverged_run_is_counted_and_weighs_as_the_worst_of_the_sweep(founding):
    results = open_results(founding)
    row, scores = report.summary(results).loc[0], results.scores()
    mine = scores[scores["setting"] == 0]["score"].fillna(scores["score"].min())
    assert (row["runs"], row["diverged"]) == (8, 1)
    assert row["iqm"] == statistics.iqm(mine)


def test_a_setting_without_runs_has_no_figures(synthetic, tmp_path, capsys):
    table = report.summary(results_of(synthetic, tmp_path, keep=1 / 3))
    assert table["iqm"].isna().sum() == (table["runs"] == 0).sum() == 16
    screen.show_summary(table, ["32 of 48 planned runs are not there"], tmp_path)
    printed = capsys.readouterr().out
    assert printed.count("none") == 2 * 16 and "nan" not in printed
    assert "32 of 48 planned runs are not there" in printed


def test_a_question_of_one_setting_has_one_row(synthetic, tmp_path):
    table = report.summary(results_of(synthetic, tmp_path, axes={}))
    assert list(table) == ["iqm", "low", "high", "runs", "diverged"] and len(table) == 1


def test_where_lower_is_better_the_lowest_is_the_best_and_the_highest_the_worst(
    synthetic, tmp_path
):
    results = results_of(synthetic, tmp_path, goal="minimize", diverged=(0,), seeds=8)
    study = examine(results)
    assert study.scores.worst == results.scores()["score"].max()
    assert study.table["low"].le(study.table["iqm"]).all()
    sentences = answer(study)
    assert "policy_gradient 5" in sentences[0].split(",")[1]
    assert "is below" in sentences[1]


def test_the_answer_allows_for_every_comparison_it_could_have_picked(founding):
    study = examine(open_results(founding))
    sentence = answer(study)[1]
    assert "at 95 % for all 36 comparisons at once" in sentence  # 6 cells of 4 * 3 / 2 pairs
    best, *_, last = hardest_of(cells(study)).rows.index
    plain, _ = study.scores.difference(best, last)
    wide, _ = study.scores.difference(best, last, chances=36)
    assert wide.low < plain.low < plain.point == wide.point < plain.high < wide.high
    assert bracket(wide.point, wide.low, wide.high) in sentence
    assert bracket(plain.point, plain.low, plain.high) not in sentence


def test_noise_alone_makes_no_winner(synthetic, tmp_path, monkeypatch):
    monkeypatch.setattr(synthetic, "final_return", lambda config: 100.0)
    study = examine(results_of(synthetic, tmp_path, seeds=16))
    assert "cannot tell" in answer(study)[1]
    assert "leads" not in answer(study)[1]


def test_pairs_are_compared_on_common_seeds(founding):
    study = examine(open_results(founding))
    pairs = paired_table(study)
    assert len(pairs) == 6 * 3 and (pairs["seeds"] == 8).all()
    assert "policy_gradient" not in set(pairs["objective.name"])
    row = pairs[(pairs["ascent.num_epochs"] == 16) & (pairs["ascent.learning_rate"] == 2.5e-3)]
    assert row["difference"].iloc[1] == study.table["iqm"][17] - study.table["iqm"][5]


def test_a_seed_that_one_side_lacks_is_left_out_of_a_pair(synthetic, tmp_path):
    axes = {"objective.name": ["spo", "ppo_clip"]}
    study = examine(results_of(synthetic, tmp_path, axes=axes, num_items=8, keep=6 / 8))
    _, seeds = study.scores.difference(1, 0)
    assert seeds == 2
    assert next(iter(complete_scores(study).values())).shape == (2, 1)


def test_a_learning_curve_keeps_its_last_value_where_no_episode_ended(synthetic, tmp_path):
    results = results_of(synthetic, tmp_path, axes={}, seeds=1)
    curves = results.curves()
    line = read_lines(examine(results), "episode_return", [0])[0]
    filled = curves["episode_return"].ffill().dropna()
    assert curves["episode_return"].isna().any() or len(filled) == 10
    np.testing.assert_allclose(line.interval.point, filled)
    np.testing.assert_array_equal(line.env_steps, curves["env_steps"][filled.index])


def test_a_diverged_run_is_the_lowest_of_the_learning_curves_from_then_on(synthetic, tmp_path):
    study = examine(results_of(synthetic, tmp_path, axes={}, seeds=1, diverged=(0,)))
    line = read_lines(study, "episode_return", [0])[0]
    ended = study.runs["diverged_at"][0]
    lowest = study.results.curves()["episode_return"][: ended - 1].min()
    np.testing.assert_allclose(line.interval.point[line.env_steps >= 1024 * ended], lowest)


def test_a_diverged_run_is_left_out_of_the_measures_of_movement(synthetic, tmp_path):
    study = examine(results_of(synthetic, tmp_path, axes={}, seeds=2, diverged=(0,)))
    other = study.results.curves().iloc[10:]["approx_kl"]
    line = read_lines(study, "approx_kl", [0])[0]
    np.testing.assert_allclose(line.interval.point, other)


def test_long_curves_are_thinned_to_stretches_of_equal_length(synthetic, tmp_path):
    study = examine(results_of(synthetic, tmp_path, axes={}, updates=130, seeds=1))
    line = read_lines(study, "entropy", [0])[0]
    assert len(line.env_steps) == 44  # stretches of three updates, the last of one
    entropy = study.results.curves()["entropy"]
    assert line.interval.point[0] == pytest.approx(entropy[:3].mean(), rel=1e-6)


TABLE = pd.DataFrame(
    [
        {
            "objective.name": o,
            "ascent.num_epochs": e,
            "ascent.learning_rate": r,
            "advantage.gamma": g,
        }
        for o in "ab"
        for e in (1, 4)
        for r in (1, 2, 3)
        for g in (0.9, 0.99)
    ]
)


@pytest.mark.parametrize(
    "axes, colour, x, panels",
    [
        (["objective.name", "ascent.num_epochs"], "objective.name", "ascent.num_epochs", ()),
        (["objective.name"], "objective.name", None, ()),
        (["ascent.learning_rate"], None, "ascent.learning_rate", ()),
        (
            ["ascent.num_epochs", "ascent.learning_rate"],
            "ascent.learning_rate",
            "ascent.num_epochs",
            (),
        ),
        (
            ["objective.name", "ascent.learning_rate", "advantage.gamma"],
            "objective.name",
            "ascent.learning_rate",
            ("advantage.gamma",),
        ),
        ([], None, None, ()),
    ],
)
def test_each_axis_of_a_question_finds_its_place(axes, colour, x, panels):
    table = TABLE[axes].drop_duplicates(ignore_index=True) if axes else TABLE[[]][:1]
    layout = lay_out(table, {axis: list(table[axis].unique()) for axis in axes})
    assert (layout.colour, layout.x, layout.panels) == (colour, x, panels)


def test_an_axis_that_moves_with_another_makes_no_panels():
    table = TABLE[["objective.name", "ascent.num_epochs"]].drop_duplicates(ignore_index=True)
    table["ascent.learning_rate"] = table["ascent.num_epochs"] * 2.0
    layout = lay_out(table, {axis: list(table[axis].unique()) for axis in table})
    assert layout.panels == () and layout.x == "ascent.num_epochs"


def test_an_axis_that_another_one_decides_says_nothing_new():
    table = pd.DataFrame({"advantage.gamma": [0.9, 0.9, 0.99], "env.name": list("abc")})
    table = pd.concat([table.assign(**{"objective.name": o}) for o in "xy"], ignore_index=True)
    layout = lay_out(table, {axis: list(table[axis].unique()) for axis in table})
    assert (layout.colour, layout.x, layout.panels) == ("objective.name", None, ("env.name",))


def test_points_on_no_grid_are_drawn_one_by_one():
    random = np.random.default_rng(0)
    table = pd.DataFrame({"objective.name": list("abab") * 4, "gamma": random.random(16)})
    layout = lay_out(table, {axis: list(table[axis]) for axis in table})
    assert (layout.colour, layout.x) == (None, None)


def test_axes_are_called_by_their_last_name_unless_two_share_it():
    names = short_names(
        ["ascent.num_epochs", "value_loss.epsilon", "objective.epsilon", "env.name"]
    )
    assert list(names.values()) == ["num_epochs", "value_loss.epsilon", "objective.epsilon", "env"]


@pytest.mark.parametrize(
    "values, shown",
    [
        ((482.4, 9.96), ["482", "10"]),
        ((64.56, 61.0, 68.8), ["64.6", "61.0", "68.8"]),
        ((0.01234,), ["0.0123"]),
        ((-73.46, np.nan), ["-73.5", "?"]),
        ((0.0,), ["0"]),
    ],
)
def test_numbers_that_belong_together_have_equal_decimals(values, shown):
    assert digits(*values) == shown


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@sum", " =1", "\t=1"])
def test_text_that_a_spreadsheet_would_run_is_quoted(text):
    frame = pd.DataFrame({text: [text], "number": [-7.5]})
    head, row, *_ = csv_text(frame).splitlines()
    assert head.startswith("'") or head.startswith("\"'")
    assert row.endswith(",-7.5") and row.lstrip('"').startswith("'")
