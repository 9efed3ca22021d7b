"""Bases and overrides: which layer wins, what a new variant drops, whose line an error names."""

import pytest

from rl_surrogates.config import ConfigError, load_config


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes files by their paths; the current folder is theirs."""
    monkeypatch.chdir(tmp_path)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    return write


def problems_of(*args):
    with pytest.raises(ConfigError) as caught:
        load_config(*args)
    return [str(problem) for problem in caught.value.problems]


def test_the_shipped_base_is_the_default_config_with_its_first_line_saying_what_it_is(request):
    path = request.config.rootpath / "configs/base/cartpole_ppo.yaml"
    assert path.read_text().startswith("# PPO on CartPole-v1")
    config = load_config(path)
    assert config.objective.given == {}
    assert config.flat()["env.name"] == "CartPole-v1"


def test_a_file_wins_over_its_bases_and_a_later_base_over_an_earlier(write):
    write(
        one="num_envs: 1\nascent: {num_epochs: 1, num_minibatches: 1, anneal: none}\n",
        two="num_steps: 2\nascent: {num_epochs: 2}\n",
        mine="base: [one.yaml, two.yaml]\nascent: {num_minibatches: 2}\n",
    )
    config = load_config("mine.yaml")
    assert (config.num_envs, config.num_steps) == (1, 2)
    ascent = config.ascent
    assert (ascent.num_epochs, ascent.num_minibatches, ascent.anneal) == (2, 2, "none")


def test_bases_have_bases_each_relative_to_the_file_that_names_it(write):
    write(
        deep__inner="num_envs: 16\n",
        deep__outer="base: [inner.yaml]\nnum_steps: 32\n",
        mine="base: [deep/outer.yaml]\n",
    )
    config = load_config("mine.yaml")
    assert (config.num_envs, config.num_steps) == (16, 32)


def test_two_bases_may_share_a_base(write):
    write(
        root="num_envs: 2\n",
        left="base: [root.yaml]\n",
        right="base: [root.yaml]\nnum_steps: 64\n",
        mine="base: [left.yaml, right.yaml]\n",
    )
    assert load_config("mine.yaml").num_envs == 2


def test_a_cycle_is_reported_where_it_closes(write):
    write(one="base: [two.yaml]\n", two="num_envs: 4\nbase:\n  - one.yaml\n")
    assert problems_of("one.yaml") == ["two.yaml:3:5: base: one.yaml is based on itself"]


def test_a_tower_of_bases_has_an_end(write):
    write(**{f"f{i}": f"base: [f{i + 1}.yaml]\n" for i in range(400)}, f400="num_envs: 4\n")
    (problem,) = problems_of("f0.yaml")
    assert "files deep" in problem


def test_errors_in_a_base_carry_its_name_and_line(write):
    write(
        base__one="num_envs: 4\nnum_stepz: 8\nent_coef: -1\n",
        mine="base: [base/one.yaml, base/two.yaml]\nascent: {num_minibatches: 5}\n",
    )
    assert [line.split(": ")[0] for line in problems_of("mine.yaml")] == [
        "base/one.yaml:2:1",
        "base/one.yaml:3:11",
        "mine.yaml:1:23",
        "mine.yaml:2:27",
    ]


def test_what_is_overridden_is_not_an_error_any_more(write):
    write(one="num_envs: -1\n", mine="base: [one.yaml]\nnum_envs: 8\n")
    assert load_config("mine.yaml").num_envs == 8


def test_a_new_variant_drops_what_it_does_not_have_and_keeps_what_it_has(write):
    write(
        one="objective: {name: ppo_clip, epsilon: 0.1}\nvalue_loss: {coef: 0.7, epsilon: 0.3}\n",
        plain="base: [one.yaml]\nobjective: {name: policy_gradient}\n"
        "value_loss: {name: squared_error}\n",
        other="base: [one.yaml]\nobjective: {name: spo}\n",
    )
    plain, other = load_config("plain.yaml"), load_config("other.yaml")
    assert plain.objective.given == {}
    assert plain.value_loss.coef == 0.7
    assert other.objective.given == {"epsilon": 0.1}


def test_a_coefficient_said_about_the_new_variant_itself_is_checked(write):
    write(
        one="objective: {name: ppo_clip, epsilon: 0.1}\n",
        mine="base: [one.yaml]\nobjective: {name: policy_gradient, epsilon: 0.1}\n",
    )
    (problem,) = problems_of("mine.yaml")
    assert problem.startswith("mine.yaml:2:36: objective.epsilon: unknown coefficient")


def test_overrides_come_last_and_are_read_as_yaml(write):
    write(mine="num_envs: 4\nascent: {num_epochs: 4}\n")
    config = load_config(
        "mine.yaml",
        [
            "num_envs=8",
            "ascent.learning_rate=1e-3",
            "ascent={num_epochs: 2}",
            "network.hidden=[32, 16]",
            "objective.name=spo",
            "env.params.gravity=9.8",
            "num_envs=16",
        ],
    )
    assert config.num_envs == 16
    assert (config.ascent.learning_rate, config.ascent.num_epochs) == (1e-3, 2)
    assert config.network.hidden == (32, 16)
    assert config.objective.name == "spo"
    assert config.env.params == {"gravity": 9.8}


def test_wrong_overrides_are_reported_by_number_and_column_with_those_of_the_file(write):
    write(mine="num_evns: 4\n")
    overrides = ["ent_coef=-1", "ascent.num_epoch=3", "num_steps", "=4", "a..b=4", "ent_coef=["]
    lines = problems_of("mine.yaml", [*overrides, "evaluation.every=", "env.name=!!x y"])
    assert [line.split(": ")[:2] for line in lines] == [
        ["<override 1>:1:10", "ent_coef"],
        ["<override 2>:1:1", "ascent.num_epoch"],
        ["<override 3>:1:1", "num_steps"],
        ["<override 4>:1:1", "(document)"],
        ["<override 5>:1:1", "a..b"],
        ["<override 6>:1:11", "ent_coef"],
        ["<override 7>:1:18", "evaluation.every"],
        ["<override 8>:1:10", "env.name"],
        ["mine.yaml:1:1", "num_evns"],
    ]


def test_a_rule_about_several_fields_names_the_override_that_broke_it(write):
    write(mine="num_steps: 128\n")
    (problem,) = problems_of("mine.yaml", ["ascent.num_minibatches=5"])
    assert problem.startswith("<override 1>:1:24: ascent.num_minibatches: 5 does not divide")
    (problem,) = problems_of("mine.yaml", ["num_envs=3", "num_steps=3"])
    assert problem.startswith("<override 2>:1:11: ascent.num_minibatches: 4 does not divide")
