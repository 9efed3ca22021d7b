"""A question: what its settings are, in which order, from which file."""

import pytest

from rl_surrogates.config import (
    Config,
    ConfigError,
    load_config,
    load_question,
    make_question,
    question_of_run,
)


def axes_of(content, *overrides):
    return [setting.axes for setting in make_question(content, overrides).settings()]


def values(**axes):
    return {path.replace("__", "."): {"values": list(v)} for path, v in axes.items()}


def test_the_founding_question_is_that_of_the_readme(request):
    question = load_question(request.config.rootpath / "configs/why_the_ratio.yaml")
    assert question.name == "why_the_ratio"
    assert question.axes == {
        "objective.name": ("policy_gradient", "importance_sampled", "ppo_clip", "spo"),
        "ascent.num_epochs": (1, 4, 16),
        "ascent.learning_rate": (2.5e-4, 2.5e-3),
    }
    assert question.size == len(question.settings()) == 24
    assert (question.seeds.start, question.seeds.count) == (0, 16)
    assert (question.execution.lanes, question.execution.checkpoint_every) == ("auto", 50)
    assert (question.metric.name, question.metric.goal) == ("evaluation/return", "maximize")
    config = question.settings()[0].config
    assert (config.num_envs, config.num_steps, config.total_timesteps) == (8, 128, 100_000)


def test_a_grid_is_the_product_of_its_axes_the_last_turning_fastest():
    parameters = values(num_envs=(4, 8), ent_coef=(0, 0.1))
    assert axes_of({"parameters": parameters}) == [
        {"num_envs": 4, "ent_coef": 0.0},
        {"num_envs": 4, "ent_coef": 0.1},
        {"num_envs": 8, "ent_coef": 0.0},
        {"num_envs": 8, "ent_coef": 0.1},
    ]


def test_settings_are_numbered_and_hold_the_whole_config():
    question = make_question(
        {"parameters": {**values(num_envs=(4, 8)), "num_steps": {"value": 64}}}
    )
    assert [setting.index for setting in question.settings()] == [0, 1]
    assert question.settings()[1].config == Config(num_envs=8, num_steps=64)
    assert question.axes == {"num_envs": (4, 8)}  # a constant is no axis


def test_a_question_without_axes_has_one_setting():
    assert axes_of({}) == [{}]
    assert axes_of({"parameters": {}}) == [{}]


def test_lists_are_values_like_any_other():
    question = make_question({"parameters": values(network__hidden=([64, 64], [32]))})
    assert question.axes == {"network.hidden": ((64, 64), (32,))}
    assert question.settings()[1].config.network.hidden == (32,)


def test_numbers_of_the_environment_can_be_swept():
    question = make_question({"parameters": values(env__params__gravity=(1, 9.8))})
    assert [s.config.env.params for s in question.settings()] == [
        {"gravity": 1.0},
        {"gravity": 9.8},
    ]


def test_coefficients_are_kept_where_an_objective_has_them_and_dropped_elsewhere():
    parameters = values(
        objective__name=("policy_gradient", "ppo_clip", "kl_penalty"),
        objective__epsilon=(0.1, 0.3),
    )
    question = make_question({"parameters": parameters | {"objective.beta": {"value": 3}}})
    assert [setting.axes for setting in question.settings()] == [
        {"objective.name": "policy_gradient"},
        {"objective.name": "ppo_clip", "objective.epsilon": 0.1},
        {"objective.name": "ppo_clip", "objective.epsilon": 0.3},
        {"objective.name": "kl_penalty"},
    ]
    assert question.size == 4
    given = [setting.config.objective.given for setting in question.settings()]
    assert given == [{}, {"epsilon": 0.1}, {"epsilon": 0.3}, {"beta": 3.0}]


def test_variants_of_other_sections_are_swept_in_the_same_way():
    parameters = values(
        value_loss__name=("squared_error", "clipped_squared_error"),
        value_loss__epsilon=(0.1, 0.2, 0.3),
        value_loss__coef=(0.5, 1.0),
    )
    question = make_question({"parameters": parameters})
    assert question.size == len(question.settings()) == 2 + 6
    assert {type(setting.config.value_loss).__name__ for setting in question.settings()} == {
        "SquaredError",
        "ClippedSquaredError",
    }


def test_base_coefficients_follow_a_swept_objective(tmp_path):
    (tmp_path / "base.yaml").write_text("objective: {name: ppo_clip, epsilon: 0.1}\n")
    content = {"base": ["base.yaml"], "parameters": values(objective__name=("ppo_clip", "spo"))}
    question = make_question(content, folder=tmp_path)
    assert [s.config.objective.given for s in question.settings()] == [{"epsilon": 0.1}] * 2
    content["parameters"] = values(objective__name=("policy_gradient", "importance_sampled"))
    with pytest.raises(ConfigError) as caught:
        make_question(content, folder=tmp_path)
    (problem,) = caught.value.problems
    assert problem.file.endswith("base.yaml") and problem[1:4] == (1, 29, "objective.epsilon")
    content["parameters"] = {"objective.name": {"value": "policy_gradient"}}
    (setting,) = make_question(content, folder=tmp_path).settings()
    assert setting.config.objective.given == {}  # another objective was chosen, for good


def test_zipped_axes_move_together():
    parameters = values(num_envs=(4, 8), num_steps=(128, 64), ent_coef=(0, 1))
    content = {"parameters": parameters, "zip": [["num_envs", "num_steps"]]}
    assert axes_of(content) == [
        {"num_envs": 4, "num_steps": 128, "ent_coef": 0.0},
        {"num_envs": 4, "num_steps": 128, "ent_coef": 1.0},
        {"num_envs": 8, "num_steps": 64, "ent_coef": 0.0},
        {"num_envs": 8, "num_steps": 64, "ent_coef": 1.0},
    ]


def test_a_zipped_axis_may_repeat_a_value_where_the_pair_is_new():
    parameters = values(objective__name=("spo", "spo", "kl_penalty"), ent_coef=(0, 1, 1))
    content = {"parameters": parameters, "zip": [["objective.name", "ent_coef"]]}
    question = make_question(content)
    assert question.size == len(question.settings()) == 3
    assert question.axes == {"objective.name": ("spo", "kl_penalty"), "ent_coef": (0.0, 1.0)}


def test_an_adaptation_can_be_zipped_with_the_objective_it_belongs_to():
    content = {
        "parameters": {
            **values(
                objective__name=("ppo_clip", "kl_penalty"),
                adaptation__name=("fixed", "adaptive_kl"),
            ),
            "adaptation.coefficient": {"value": "objective.beta"},
            "adaptation.target": {"value": 0.01},
        },
        "zip": [["objective.name", "adaptation.name"]],
    }
    names = [s.config.adaptation.name for s in make_question(content).settings()]
    assert names == ["fixed", "adaptive_kl"]


def test_an_override_holds_a_path_and_removes_its_axis():
    content = {
        "parameters": values(num_envs=(4, 8), num_steps=(128, 64), ent_coef=(0, 1)),
        "zip": [["num_envs", "num_steps"]],
    }
    question = make_question(content, ["num_envs=16", "objective.epsilon=0.3"])
    assert question.axes == {"num_steps": (128, 64), "ent_coef": (0.0, 1.0)}
    assert {s.config.num_envs for s in question.settings()} == {16}
    assert {s.config.objective.epsilon for s in question.settings()} == {0.3}
    question = make_question(
        {"parameters": values(network__hidden=([64], [32]))}, ["network={hidden: [8]}"]
    )
    assert [s.config.network.hidden for s in question.settings()] == [(8,)]


def test_an_override_of_the_question_itself():
    content = {"name": "mine", "parameters": values(num_envs=(4, 8)), "seeds": {"count": 16}}
    overrides = ["seeds.count=2", "seeds.start=5", "execution.lanes=4", "name=other"]
    question = make_question(
        content, [*overrides, "metric.goal=minimize", "method=random", "num_samples=1"]
    )
    assert (question.name, question.metric.goal) == ("other", "minimize")
    assert (question.seeds.start, question.seeds.count, question.execution.lanes) == (5, 2, 4)
    assert question.size == 1


def test_the_same_question_is_the_same_however_it_is_written(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "parameters:\n  num_envs: {values: [4, 8]}\n  ent_coef: {values: [0, 0.1]}\n"
    )
    loaded = load_question(tmp_path / "mine.yaml")
    made = make_question({"name": "mine", "parameters": values(num_envs=(4, 8), ent_coef=(0, 0.1))})
    assert loaded.model_dump() == made.model_dump()
    assert loaded.settings() == made.settings()
    assert loaded.name == "mine"  # the file's


def test_a_run_is_a_question_of_one_setting(request):
    path = request.config.rootpath / "configs/base/cartpole_ppo.yaml"
    overrides = ["num_envs=8", "objective.name=spo"]
    question = question_of_run(
        path, seeds=8, overrides=[*overrides, "execution.checkpoint_every=5"]
    )
    (setting,) = question.settings()
    assert (question.name, question.size, question.axes) == ("cartpole_ppo", 1, {})
    assert (question.seeds.count, question.execution.checkpoint_every) == (8, 5)
    assert setting.config == load_config(path, overrides)


def test_settings_are_expanded_once():
    question = make_question({"parameters": values(num_envs=(4, 8))})
    assert question.settings() is question.settings()
