"""What is large is refused or finished quickly, and importing the package stays light."""

import subprocess
import sys
import time

import pytest

from rl_surrogates.config import ConfigError, load_question, make_question


def timed(call):
    started = time.perf_counter()
    result = call()
    return result, time.perf_counter() - started


def test_the_size_of_an_absurd_grid_is_known_without_expanding_it():
    wide = {"values": [i / 100 for i in range(1, 51)]}
    paths = ["ent_coef", "advantage.gamma", "advantage.gae_lambda", "value_loss.coef"]
    parameters = dict.fromkeys([*paths, "value_loss.epsilon", "ascent.learning_rate"], wide)
    parameters["objective.name"] = {"values": ["policy_gradient", "ppo_clip"]}
    parameters["objective.epsilon"] = {"values": [0.1, 0.2]}
    question, seconds = timed(lambda: make_question({"parameters": parameters}))
    assert question.size == 50**6 * 3
    assert seconds < 3


def test_a_wrong_value_of_an_absurd_grid_is_found_without_expanding_it():
    wide = {"values": [i / 100 for i in range(1, 51)]}
    paths = ["ent_coef", "advantage.gamma", "advantage.gae_lambda", "value_loss.coef"]
    parameters = dict.fromkeys(paths, wide) | {"num_envs": {"values": [4, -4]}}
    with pytest.raises(ConfigError, match="num_envs: expected a number >= 1, got -4"):
        make_question({"parameters": parameters})


def test_an_absurd_number_of_samples_is_not_drawn():
    content = {"method": "sobol", "num_samples": 2**31 - 1}
    content["parameters"] = {"ent_coef": {"min": 0, "max": 1}}
    question, seconds = timed(lambda: make_question(content))
    assert question.size == 2**31 - 1
    assert seconds < 1


def test_a_corner_of_a_large_grid_is_checked_when_it_is_expanded(tmp_path):
    # Every value is sound by itself; only num_envs 6 with num_steps 9 cannot be cut into 4.
    rates = ", ".join(f"{i}e-5" for i in range(1, 501))
    (tmp_path / "mine.yaml").write_text(
        f"parameters:\n  ascent.learning_rate: {{values: [{rates}]}}\n"
        "  num_envs: {values: [4, 6]}\n  num_steps: {values: [8, 9]}\n"
    )
    question = load_question(tmp_path / "mine.yaml")
    assert question.size == 2000
    with pytest.raises(ConfigError) as caught:
        question.settings()
    (problem,) = caught.value.problems
    assert problem[1:4] == (4, 27, "ascent.num_minibatches")


def test_two_thousand_settings_are_validated_in_seconds():
    parameters = {
        "ascent.learning_rate": {"values": [1e-5 * i for i in range(1, 51)]},
        "ascent.num_epochs": {"values": list(range(1, 41))},
    }
    question = make_question({"parameters": parameters})
    settings, seconds = timed(question.settings)
    assert len(settings) == 2000
    assert seconds < 3


def test_a_long_axis_is_read_quickly_and_an_endless_one_refused(tmp_path):
    long, endless = (", ".join(f"{i}e-6" for i in range(1, n)) for n in (5_000, 12_000))
    (tmp_path / "mine.yaml").write_text(f"parameters: {{ent_coef: {{values: [{long}]}}}}\n")
    question, seconds = timed(lambda: load_question(tmp_path / "mine.yaml"))
    assert question.size == 4_999
    assert seconds < 5
    (tmp_path / "mine.yaml").write_text(f"parameters: {{ent_coef: {{values: [{endless}]}}}}\n")
    with pytest.raises(ConfigError, match="more than 10000 values"):
        load_question(tmp_path / "mine.yaml")


def test_reading_a_config_loads_no_heavy_library():
    code = (
        "import sys; from rl_surrogates.config import load_question; "
        "heavy = {'scipy.stats', 'gymnax', 'flax', 'optax', 'pandas', 'pyarrow', 'matplotlib'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_many_wrong_settings_are_not_all_tried(tmp_path):
    # No setting is sound: the number of steps is wrong in the base, whatever the axes say.
    rates = ", ".join(f"{i}e-5" for i in range(1, 2001))
    (tmp_path / "mine.yaml").write_text(
        f"parameters:\n  ascent.learning_rate: {{values: [{rates}]}}\n"
        "  num_steps: {value: 0}\n  env.name: {values: [CartPole-v1, Acrobot-v1]}\n"
    )

    def problems():
        with pytest.raises(ConfigError) as caught:
            load_question(tmp_path / "mine.yaml")
        return caught.value.problems

    (problem,), seconds = timed(problems)
    assert problem[1:4] == (3, 22, "num_steps")
    assert seconds < 3
