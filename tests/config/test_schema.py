"""A config written by hand: types, ranges, variants, rules about several fields."""

import copy
import pickle

import pytest
from pydantic import ValidationError

from rl_surrogates.config import Config, ConfigError


def complaints(**fields):
    with pytest.raises(ConfigError) as caught:
        Config(**fields)
    return str(caught.value).splitlines()


def test_the_defaults_are_those_of_the_design():
    flat = Config().flat()
    assert flat["env.name"] == "CartPole-v1"
    assert flat["network.hidden"] == (64, 64)
    assert (flat["num_envs"], flat["num_steps"], flat["total_timesteps"]) == (4, 128, 500_000)
    assert flat["objective.name"] == "ppo_clip"
    assert flat["objective.epsilon"] == 0.2
    assert flat["ascent.learning_rate"] == 2.5e-4
    assert flat["value_loss.name"] == "clipped_squared_error"
    assert flat["adaptation.name"] == "fixed"


@pytest.mark.parametrize(
    "field, value, expected",
    [
        ("num_envs", "8", "num_envs: expected a whole number, got '8'; remove the quotes"),
        ("num_envs", 8.0, "num_envs: expected a whole number, got 8.0; write 8"),
        ("num_envs", True, "num_envs: expected a whole number, got true"),
        ("num_envs", None, "num_envs: expected a whole number, got nothing"),
        ("num_envs", 0, "num_envs: expected a number >= 1, got 0"),
        ("num_envs", 2**31, "num_envs: expected a number <= 2147483647, got 2147483648"),
        ("ent_coef", "1e-3", "ent_coef: expected a number, got '1e-3'; remove the quotes"),
        ("ent_coef", False, "ent_coef: expected a number, got false"),
        ("ent_coef", float("nan"), "ent_coef: expected a finite number, got nan"),
        ("ent_coef", float("inf"), "ent_coef: expected a finite number, got inf"),
        ("ent_coef", 1e39, "ent_coef: expected a number that float32 can hold, got 1e+39"),
        ("ent_coef", 1e-39, "ent_coef: expected a number that float32 can hold, got 1e-39"),
        ("ent_coef", 10**400, "ent_coef: expected a number, got an integer of 1329 bits"),
        ("network", "mlp", "network: expected a mapping, got 'mlp'; write {name: mlp}"),
        ("objective", [1], "objective: expected a mapping, got [1]"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_refused_in_words(field, value, expected):
    assert complaints(**{field: value}) == [expected]


@pytest.mark.parametrize(
    "ascent, expected",
    [
        ({"max_kl": 0}, "ascent.max_kl: expected a number > 0, got 0"),
        ({"max_kl": -0.01}, "ascent.max_kl: expected a number > 0, got -0.01"),
        ({"damping": -1e-3}, "ascent.damping: expected a number >= 0, got -0.001"),
        ({"backtrack": 1.0}, "ascent.backtrack: expected a number < 1, got 1.0"),
        ({"cg_iterations": 0}, "ascent.cg_iterations: expected a number >= 1, got 0"),
        ({"fisher_every": 0}, "ascent.fisher_every: expected a number >= 1, got 0"),
        ({"num_epochs": 4}, "ascent.num_epochs: unknown key; did you mean critic_epochs?"),
        (
            {"critic_minibatches": 5},
            "ascent.critic_minibatches: 5 does not divide num_envs * num_steps = 512; use 4 or 8",
        ),
    ],
)
def test_a_trust_region_out_of_range_is_refused_in_words(ascent, expected):
    assert complaints(ascent={"name": "trust_region", **ascent}) == [expected]


@pytest.mark.parametrize("name", ["trust_region", "natural_gradient"])
def test_a_torso_shared_with_the_critic_is_refused_under_a_trust_region_with_the_reason(name):
    (complaint,) = complaints(ascent={"name": name}, network={"shared": True})
    assert complaint.startswith(f"network.shared: under {name} the critic")
    assert "out of the region" in complaint and "write false" in complaint


def test_the_sequences_of_a_network_with_memory_stay_whole_in_the_critic_too():
    (complaint,) = complaints(
        ascent={"name": "trust_region", "critic_minibatches": 8}, network={"torso": "gru"}
    )
    assert complaint.startswith("ascent.critic_minibatches: 8 does not divide num_envs = 4")


def test_an_ascent_without_a_search_has_no_backtracking_to_set():
    (complaint,) = complaints(ascent={"name": "natural_gradient", "backtrack": 0.8})
    assert complaint.startswith("ascent.backtrack: unknown key")


def test_a_whole_number_is_taken_where_a_fraction_may_stand():
    config = Config(ent_coef=0, advantage={"gamma": 1}, objective={"name": "kl_penalty", "beta": 2})
    assert (config.ent_coef, config.advantage.gamma) == (0.0, 1.0)
    assert isinstance(config.objective.given["beta"], float)


def test_every_problem_is_reported_at_once_each_by_its_path():
    lines = complaints(
        num_evns=3,
        network={"hidden": [4.0, "a"], "torso": "mpl"},
        objective={"name": "ppo_clip", "epsilon": -1, "epsi": 3, "x": "a"},
        ascent={"num_minibatches": 5, "learning_rate": float("nan")},
        value_loss={"name": "squared_error", "epsilon": 0.2},
        adaptation={"name": "adaptive_kl"},
        env={"name": "Cartpole-v1", "params": {"gravity": "x"}},
    )
    assert [line.split(": ")[0] for line in lines] == [
        "env.name",
        "env.params.gravity",
        "network.torso",
        "network.hidden.0",
        "network.hidden.1",
        "objective.x",
        "objective.epsilon",
        "objective.epsi",
        "ascent.learning_rate",
        "value_loss.epsilon",
        "adaptation.coefficient",
        "adaptation.target",
        "num_evns",
        "ascent.num_minibatches",  # a rule about several fields, none of which is wrong by itself
    ]


def test_a_rule_is_silent_about_a_field_that_is_wrong_by_itself():
    assert complaints(num_envs=-3) == ["num_envs: expected a number >= 1, got -3"]


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"num_evns": 4}, "num_evns: unknown key; did you mean num_envs?"),
        ({"learning_rate": 1e-3}, "learning_rate: unknown key; did you mean ascent.learning_rate?"),
        (
            {"ascent.num_epochs": 4},
            "ascent.num_epochs: unknown key; in this file write ascent: {num_epochs: ...}",
        ),
        (
            {"value_loss": {"name": "squared_error", "epsilon": 0.2}},
            "value_loss.epsilon: unknown key; the keys are name, coef",
        ),
        (
            {"value_loss": {"name": "huber"}},
            "value_loss.name: unknown name 'huber'; "
            "the names are clipped_squared_error, squared_error",
        ),
        (
            {"ascent": {"anneal": "linaer"}},
            "ascent.anneal: unknown name 'linaer'; did you mean linear?",
        ),
        (
            {"env": {"name": "brax:ant"}},
            "env.name: unknown environment 'brax:ant'; the nearest is UmbrellaChain-bsuite",
        ),
        (
            {"env": {"params": {"max steps": 1}}},
            "env.params.max steps: expected a name such as max_steps_in_episode, got 'max steps'",
        ),
    ],
)
def test_an_unknown_name_brings_the_nearest_one(fields, expected):
    assert complaints(**fields) == [expected]


def test_an_unknown_objective_and_its_nearest_name():
    (line,) = complaints(objective={"name": "ppo_clipp"})
    assert line.startswith("objective.name: ") and "ppo_clip" in line.split("; ")[1]


def test_the_environment_may_be_written_with_its_prefix():
    assert Config(env={"name": "gymnax:CartPole-v1"}).env.name == "gymnax:CartPole-v1"


def test_a_section_without_a_name_is_the_default_variant():
    assert (
        Config(value_loss={"coef": 1.0}).value_loss
        == Config(
            value_loss={"name": "clipped_squared_error", "coef": 1.0, "epsilon": 0.2}
        ).value_loss
    )


@pytest.mark.parametrize(
    "count, remedy", [(5, "4 or 8"), (3, "2 or 4"), (1000, "512"), (500, "256 or 512")]
)
def test_minibatches_that_do_not_divide_the_batch_bring_counts_that_do(count, remedy):
    (line,) = complaints(ascent={"num_minibatches": count})
    rule = f"{count} does not divide num_envs * num_steps = 512; use {remedy}"
    assert line == f"ascent.num_minibatches: {rule}"


def test_a_run_needs_one_update_and_may_not_have_more_than_can_be_counted():
    assert "use at least 512" in complaints(total_timesteps=511)[0]
    single = dict(num_envs=1, num_steps=1, ascent={"num_minibatches": 1})
    assert "updates; at most" in complaints(total_timesteps=2**40, **single)[0]
    assert Config(total_timesteps=512).num_updates == 1
    assert Config(total_timesteps=1023).num_updates == 1
    assert "too large" in complaints(num_envs=2**16, num_steps=2**16, total_timesteps=2**40)[0]


def test_adaptation_names_a_coefficient_of_the_chosen_objective():
    adaptation = {"name": "adaptive_kl", "coefficient": "objective.beta", "target": 0.01}
    config = Config(objective={"name": "kl_penalty"}, adaptation=adaptation)
    assert config.adaptation.coefficient == "objective.beta"
    (line,) = complaints(objective={"name": "ppo_clip"}, adaptation=adaptation)
    assert line.startswith("adaptation.coefficient: 'objective.beta' is no coefficient of ppo_clip")
    (line,) = complaints(objective={"name": "policy_gradient"}, adaptation=adaptation)
    assert line.endswith("it has none")


@pytest.mark.parametrize("name", ["adaptive_kl", "rllib_kl", "proportional_kl"])
def test_a_rule_for_a_penalty_moves_no_number_outside_the_objective(name):
    adaptation = {"name": name, "coefficient": "ent_coef", "target": 0.01}
    (line,) = complaints(objective={"name": "kl_penalty"}, adaptation=adaptation)
    assert line.startswith("adaptation.coefficient: 'ent_coef' is no coefficient of kl_penalty")
    assert Config(adaptation={"name": "linear_anneal", "coefficient": "ent_coef"})


def test_a_learning_rate_is_moved_by_one_rule_and_within_its_range():
    adaptation = {"name": "adaptive_learning_rate", "target": 0.01}
    (line,) = complaints(adaptation=adaptation)
    assert line.startswith("ascent.anneal: linear moves the rate that") and "write none" in line
    (line,) = complaints(
        adaptation=adaptation, ascent={"anneal": "none", "learning_rate": 0.1, "num_epochs": 1}
    )
    assert line.startswith("ascent.learning_rate: 0.1 is outside [1e-05, 0.01]")
    assert Config(adaptation=adaptation, ascent={"anneal": "none"})


def test_a_bound_is_annealed_where_there_is_one():
    adaptation = {"name": "linear_anneal", "coefficient": "ascent.max_kl"}
    assert Config(ascent={"name": "trust_region"}, adaptation=adaptation)
    assert Config(ascent={"name": "natural_gradient"}, adaptation=adaptation)
    (line,) = complaints(adaptation=adaptation)
    assert line == (
        "adaptation.coefficient: ascent minibatch has no max_kl; "
        "use trust_region or natural_gradient"
    )
    (line,) = complaints(
        ascent={"name": "trust_region"},
        objective={"name": "kl_penalty"},
        adaptation={**adaptation, "name": "adaptive_kl", "target": 0.01},
    )
    assert line.startswith(
        "adaptation.coefficient: 'ascent.max_kl' is no coefficient of kl_penalty"
    )


def test_the_step_of_mdpo_needs_an_objective_that_has_one():
    adaptation = {"name": "mdpo_inverse_step"}
    assert Config(objective={"name": "mdpo"}, adaptation=adaptation)
    (line,) = complaints(objective={"name": "ppo_clip"}, adaptation=adaptation)
    assert "'objective.inverse_step' is no coefficient of ppo_clip" in line


def test_the_horizon_of_a_proportional_rule_is_no_shorter_than_an_update():
    adaptation = {"name": "proportional_kl", "coefficient": "objective.beta", "target": 0.01}
    assert Config(objective={"name": "kl_penalty"}, adaptation={**adaptation, "horizon": 512})
    (line,) = complaints(
        objective={"name": "kl_penalty"}, adaptation={**adaptation, "horizon": 500}
    )
    assert line.endswith("500.0 is less than num_envs * num_steps = 512; use at least 512")


def test_given_coefficients_are_told_apart_from_defaults():
    plain, given = Config().objective, Config(objective={"epsilon": 0.2}).objective
    assert (plain.given, given.given) == ({}, {"epsilon": 0.2})
    assert plain.coefficients == given.coefficients == {"epsilon": 0.2}


def test_a_custom_objective_has_whatever_numbers_it_wants():
    config = Config(objective={"name": "custom", "temperature": 3})
    assert config.objective.given == config.objective.coefficients == {"temperature": 3.0}
    adaptation = {"name": "adaptive_kl", "coefficient": "objective.beta", "target": 0.01}
    assert Config(objective={"name": "custom"}, adaptation=adaptation)
    assert complaints(objective={"name": "custom", "temperature": "hot"})


def test_a_config_is_frozen_and_survives_copying_and_pickling():
    config = Config(objective={"epsilon": 0.1}, env={"params": {"gravity": 9}})
    with pytest.raises(ValidationError):
        config.num_envs = 8
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config


def test_an_error_survives_pickling_and_is_a_value_error():
    with pytest.raises(ValueError) as caught:
        Config(num_envs=0)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_hostile_text_stays_text_on_one_line():
    (line,) = complaints(**{"a\nb\x1b[31m": 1})
    assert line.startswith(r"a\nb\x1b[31m: unknown key")
    for name in ["os.system('x')", "__import__('os')", "../../etc/passwd", "a" * 10_000, "\u202e"]:
        assert len(complaints(objective={"name": name})) == 1
        assert len(complaints(env={"name": name})) == 1
        assert len(complaints(network={"activation": name})) == 1


def test_a_scale_of_the_advantage_that_every_minibatch_would_undo_is_refused():
    with pytest.raises(ConfigError) as caught:
        Config(advantage={"scale": 10.0})
    expected = "10.0 is undone by advantage.standardise: minibatch; use batch or none there"
    assert str(caught.value) == f"advantage.scale: {expected}"
    assert Config(advantage={"scale": 10.0, "standardise": "batch"}).hypers().advantage.scale == 10


@pytest.mark.parametrize(
    ("per", "ascent", "expected"),
    [
        (
            "minibatch",
            {"num_epochs": 16, "num_minibatches": 32},
            "minibatch makes 512 columns of every measure, at most 256; write epoch or update",
        ),
        (
            "epoch",
            {"num_epochs": 300},
            "epoch makes 300 columns of every measure, at most 256; write update",
        ),
        (
            "epoch",
            {"name": "trust_region"},
            "the policy takes one step per update under trust_region; write update",
        ),
    ],
)
def test_epochs_and_minibatches_are_measured_where_there_are_some_and_not_too_many(
    per, ascent, expected
):
    with pytest.raises(ConfigError) as caught:
        Config(ascent=ascent, diagnostics={"per": per})
    assert str(caught.value) == f"diagnostics.per: {expected}"
    Config(ascent={"num_epochs": 16, "num_minibatches": 16}, diagnostics={"per": "minibatch"})
