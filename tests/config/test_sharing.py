"""The configs of a question share equal sections, and are what each point gives alone."""

import pytest

from rl_surrogates.config import Config, ConfigError, make_question
from rl_surrogates.config.question import check

PARAMETERS = {
    "objective.name": {"values": ["ppo_clip", "spo", "policy_gradient"]},
    "objective.epsilon": {"values": [0.1, 0.2]},
    "ascent.num_epochs": {"values": [1, 4]},
    "network.hidden": {"values": [[8], [8, 8]]},
    "ent_coef": {"values": [0.0, 0.01]},
    "env.params.max_steps_in_episode": {"values": [100, 200]},
    "num_steps": {"value": 16},
}


def question(**changes):
    return make_question({"name": "shared", "parameters": {**PARAMETERS, **changes}})


def test_each_config_is_the_one_of_its_point():
    asked = question()
    settings = asked.settings()
    assert len(settings) == (2 + 2 + 1) * 16
    for setting in settings:
        alone = Config(**asked._space.data(setting.axes))
        assert alone == setting.config and alone.flat() == setting.config.flat()
        assert alone.static() == setting.config.static()


def test_equal_sections_are_one_object_and_equal_numbers_of_other_types_are_not_taken_for_them():
    configs = [setting.config for setting in question().settings()]
    assert len({id(config.objective) for config in configs}) == 2 + 2 + 1
    assert len({id(config.ascent) for config in configs}) == 2
    assert len({id(config.advantage) for config in configs}) == 1
    with pytest.raises(ConfigError) as caught:
        question(**{"normalise.rewards": {"values": [False, 0]}}).settings()
    (problem,) = caught.value.problems
    assert problem.field == "normalise.rewards"


def test_a_broken_rule_of_a_point_whose_sections_are_known_is_told_as_of_the_point_alone():
    asked = question(num_envs={"values": [2, 4, 6]})
    space = asked._space
    thirds = space._replace(plain={**space.plain, "ascent": {"num_minibatches": 3}})
    expected = set()
    for point, _ in thirds.points():
        try:
            Config(**thirds.data(point))
        except ConfigError as error:
            expected |= {(problem.field, problem.message) for problem in error.problems}
    configs, problems = check(thirds, thirds.points())
    assert {(problem.field, problem.message) for problem in problems} == expected
    assert len(expected) == 2 and len(configs) == asked.size // 3  # 2 and 4 x 16 have no third
