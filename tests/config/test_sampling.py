"""Random and Sobol questions: ranges, distributions, determinism."""

import math

import pytest

from rl_surrogates.config import make_question

RANGES = {
    "ascent.learning_rate": {"min": 1e-5, "max": 1e-2, "distribution": "log_uniform_values"},
    "advantage.gamma": {"min": 0, "max": 1},
    "num_envs": {"min": 4, "max": 8},
    "objective.epsilon": {"values": [0.1, 0.2, 0.3]},
}


def draw(method, count, ranges=RANGES, **more):
    content = {"method": method, "num_samples": count, "parameters": ranges, **more}
    return [setting.axes for setting in make_question(content).settings()]


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_draws_lie_in_their_ranges_and_fill_them(method):
    points = draw(method, 256)
    assert len(points) == 256
    rates = [math.log10(point["ascent.learning_rate"]) for point in points]
    gammas = [point["advantage.gamma"] for point in points]
    assert -5 <= min(rates) < -4.9 and -2.1 < max(rates) <= -2
    assert abs(sum(rates) / 256 + 3.5) < 0.2  # uniform in the logarithm
    assert 0 <= min(gammas) < 0.02 and 0.98 < max(gammas) <= 1
    assert abs(sum(gammas) / 256 - 0.5) < 0.06
    assert {point["num_envs"] for point in points} == {4, 5, 6, 7, 8}  # both ends included
    assert {point["objective.epsilon"] for point in points} == {0.1, 0.2, 0.3}


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_a_question_draws_the_same_points_every_time(method):
    assert draw(method, 20) == draw(method, 20)


@pytest.mark.parametrize("method", ["random", "sobol"])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
def test_more_samples_keep_the_first_ones(method, count):
    assert draw(method, 20)[:count] == draw(method, count)


def test_another_axis_leaves_random_draws_as_they_were():
    without = {path: spec for path, spec in RANGES.items() if path != "advantage.gamma"}
    kept = [{k: v for k, v in p.items() if k in without} for p in draw("random", 10)]
    assert kept == draw("random", 10, without)


def test_axes_of_a_range_are_the_values_drawn():
    content = {"method": "random", "num_samples": 3, "parameters": RANGES}
    question = make_question(content)
    drawn = tuple(setting.axes["ascent.learning_rate"] for setting in question.settings())
    assert question.axes["ascent.learning_rate"] == drawn
    assert question.axes["objective.epsilon"] == (0.1, 0.2, 0.3)


def test_drawn_numbers_are_short_and_of_the_type_of_their_field():
    for point in draw("random", 50):
        rate = point["ascent.learning_rate"]
        assert rate == float(f"{rate:.6g}")
        assert type(point["num_envs"]) is int
        assert type(point["advantage.gamma"]) is float
    whole = {"ent_coef": {"min": 0, "max": 2, "distribution": "int_uniform"}}
    assert {repr(p["ent_coef"]) for p in draw("random", 20, whole)} == {"0.0", "1.0", "2.0"}


@pytest.mark.parametrize("method", ["random", "sobol"])
def test_equal_draws_are_one_setting(method):
    assert len(draw(method, 50, {"num_envs": {"values": [4, 8]}})) == 2


def test_zipped_axes_are_drawn_together():
    both = {"num_envs": {"values": [4, 8, 16]}, "num_steps": {"values": [128, 64, 32]}}
    points = draw("sobol", 16, both, zip=[["num_envs", "num_steps"]])
    assert all(p["num_envs"] * p["num_steps"] == 512 for p in points) and len(points) == 3


def test_coefficients_of_other_objectives_are_left_out_of_a_draw():
    ranges = RANGES | {"objective.name": {"values": ["ppo_clip", "policy_gradient"]}}
    for point in draw("sobol", 16, ranges):
        assert ("objective.epsilon" in point) == (point["objective.name"] == "ppo_clip")
