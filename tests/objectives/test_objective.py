"""A row knows its signature, refuses bad coefficients in plain words, and may be a user's."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import objectives
from rl_surrogates.objectives import INPUTS, OBJECTIVES, Objective, from_function
from rl_surrogates.objectives.ranges import Range


def mine(log_prob, log_prob_old, advantage, *, slack=0.3, power=2.0):
    return (log_prob - log_prob_old) * advantage - slack * (log_prob - log_prob_old) ** power


def test_inputs_and_coefficients_are_read_from_the_signature():
    entry = from_function(mine)
    assert entry.inputs == ("log_prob", "log_prob_old", "advantage")
    assert entry.coefficients == {"slack": 0.3, "power": 2.0}
    assert entry.fn is mine and entry.first_order is None and entry.scale_free is None


def test_a_partial_of_a_row_is_an_objective_with_another_default():
    entry = from_function(partial(objectives.ppo_clip, epsilon=0.05))
    assert entry.coefficients == {"epsilon": 0.05}
    assert "ppo_clip" in entry.source


def test_the_table_has_thirty_nine_rows_that_are_called_what_they_are():
    assert len(OBJECTIVES) == 39
    for name, entry in OBJECTIVES.items():
        assert entry.fn.__name__ == name and getattr(objectives, name) is entry.fn


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_row_asks_for_known_inputs_and_its_defaults_are_legal(name):
    entry = OBJECTIVES[name]
    assert set(entry.inputs) <= set(INPUTS)
    entry.validate()
    entry.validate(**entry.coefficients)
    assert set(entry.ranges) == set(entry.coefficients)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_row_says_what_it_is(name):
    text = inspect.getdoc(OBJECTIVES[name].fn)
    for part in ("    l = ", "Args:", "Returns:", "Source:"):
        assert part in text
    for coefficient in OBJECTIVES[name].coefficients:
        assert f"  {coefficient}: " in text


@pytest.mark.parametrize(
    "name, given, said",
    [
        ("ppo_clip", {"epsilon": 1.5}, r"^epsilon: 1\.5 is outside \(0, 1\); the default is 0\.2$"),
        ("ppo_clip", {"epsilon": 0.0}, r"^epsilon: 0\.0 is outside \(0, 1\)"),
        ("ppo_clip", {"epsilon": float("nan")}, r"^epsilon: nan is not finite"),
        ("ppo_clip", {"epsilon": float("inf")}, r"^epsilon: inf is not finite"),
        ("ppo_clip", {"epsilon": 10**400}, r"^epsilon: inf is not finite"),
        ("ppo_clip", {"epsilon": "0.1"}, r"^epsilon: '0\.1' is not a number"),
        ("ppo_clip", {"epsilon": True}, r"^epsilon: True is not a number"),
        ("ppo_clip", {"epsilon": [0.1]}, r"^epsilon: \[0\.1\] is not a number"),
        ("ppo_clip", {"epsilon": np.zeros(3)}, r"is not a number"),
        ("ppo_clip", {"epsilom": 0.1}, r"^epsilom: unknown coefficient of ppo_clip; did you mean"),
        ("ppo_clip", {"x": 1.0}, r"^x: unknown coefficient of ppo_clip; known are epsilon$"),
        ("policy_gradient", {"beta": 1.0}, r"^beta: unknown coefficient of policy_gradient; there"),
        ("kl_penalty", {"beta": -0.1}, r"^beta: -0\.1 is outside \[0, inf\)"),
        ("truncated_importance_sampled", {"max_ratio": 0.5}, r"outside \[1, inf\)"),
        ("cispo", {"epsilon_low": 1.1}, r"outside \(0, 1\]"),
        ("vespo", {"k_positive": 5.0}, r"outside \[0, 4\]"),
        ("dual_clip", {"dual_epsilon": 1.15}, r"^dual_epsilon: 1\.15 is not above 1 \+ epsilon"),
        ("dual_clip", {"epsilon": 0.9, "dual_epsilon": 1.5}, r"raise dual_epsilon or lower"),
        ("alpha_divergence_penalty", {"alpha": 1.0}, r"^alpha: 1\.0 is excluded .* use mdpo"),
        ("alpha_divergence_penalty", {"alpha": 0}, r"^alpha: 0 is excluded .* use k3_penalty"),
        ("alpha_divergence_penalty", {"alpha": 4.5}, r"outside \[-1, 4\]"),
        ("pmpo", {"beta": 0.0}, r"^beta: 0\.0 is not positive while alpha < 1"),
    ],
)
def test_bad_coefficients_are_refused_by_name_value_and_rule(name, given, said):
    with pytest.raises(ValueError, match=said):
        OBJECTIVES[name].validate(**given)


def test_all_bad_coefficients_are_reported_at_once():
    found = OBJECTIVES["ce_gppo"].problems(beta_low=-1.0, beta_high=-1.0, epsilon_low=0.5)
    assert list(found) == ["beta_low", "beta_high"]


def test_legal_edges_are_accepted():
    OBJECTIVES["cispo"].validate(epsilon_low=1.0)
    OBJECTIVES["kl_penalty"].validate(beta=0)
    OBJECTIVES["pmpo"].validate(alpha=1.0, beta=0.0)
    OBJECTIVES["ppo_clip"].validate(epsilon=jnp.float32(0.1))
    from_function(mine).validate(slack=-5.0)


def without_policy(advantage):
    return advantage


def with_unknown_input(log_prob, reward, advantage):
    return log_prob * reward * advantage


def with_misplaced_coefficient(log_prob, advantage, epsilon=0.2):
    return log_prob * advantage * epsilon


def with_anything(log_prob, *rest):
    return log_prob


def with_no_default(log_prob, *, epsilon):
    return log_prob * epsilon


def with_flag(log_prob, *, clipped=True):
    return log_prob


def with_optional_input(log_prob, *, advantage=0.0):
    return log_prob * advantage


@pytest.mark.parametrize(
    "fn, said",
    [
        (with_unknown_input, r"with_unknown_input: input 'reward' does not exist; the inputs are"),
        (with_misplaced_coefficient, r"input 'epsilon' does not exist; .* stands behind `\*`"),
        (without_policy, r"does not ask for log_prob"),
        (with_anything, r"\*rest cannot be read"),
        (with_no_default, r"coefficient epsilon has no default; write epsilon=<number>"),
        (with_flag, r"coefficient clipped has the default True; it must be a number"),
        (with_optional_input, r"advantage is an input; write it before the `\*`"),
    ],
)
def test_a_function_that_cannot_be_an_objective_is_refused_with_the_way_out(fn, said):
    with pytest.raises(ValueError, match=said):
        from_function(fn)


@pytest.mark.parametrize(
    "text, inside, outside",
    [
        ("(0, 1]", (1e-9, 1.0), (0.0, 1.1)),
        ("[0, inf)", (0.0, 1e30), (-1e-9,)),
        ("[-1, 4)", (-1, 0), (4,)),
    ],
)
def test_an_interval_is_what_it_says(text, inside, outside):
    legal = Range.parse(text)
    assert all(x in legal for x in inside) and not any(x in legal for x in outside)


@pytest.mark.parametrize("text", ("0, 1", "[0; 1]", "(0, 1", "(zero, 1)"))
def test_what_is_not_an_interval_is_refused(text):
    with pytest.raises(ValueError):
        Range.parse(text)


def test_a_users_function_is_differentiated_like_a_row():
    slope = jax.grad(from_function(mine).fn)(0.5, 0.0, 2.0, slack=1.0)
    np.testing.assert_allclose(slope, 2.0 - 2.0 * 0.5)


def test_an_objective_is_immutable():
    with pytest.raises(AttributeError):
        OBJECTIVES["spo"].source = "elsewhere"
    assert isinstance(OBJECTIVES["spo"], Objective)
