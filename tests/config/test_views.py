"""Traced numbers, static part and columns of a config: each field is in its place, once."""

import jax
import jax.numpy as jnp
import pytest

from rl_surrogates.config import Config
from rl_surrogates.objectives import OBJECTIVES

TRACED = {
    "ascent.learning_rate",
    "ascent.max_grad_norm",
    "ascent.target_kl",
    "ascent.max_ratio_deviation",
    "ascent.ewma_decay",
    "advantage.gamma",
    "advantage.gae_lambda",
    "advantage.scale",
    "value_loss.coef",
    "value_loss.epsilon",
    "adaptation.target",
    "ent_coef",
    "objective.epsilon",
    "env.params.gravity",
}


OPTIONAL = {"ascent.target_kl", "ascent.max_ratio_deviation", "ascent.ewma_decay"}


@pytest.fixture
def full():
    """A config that holds every field there is."""
    return Config(
        env={"params": {"gravity": 9.8}},
        objective={"name": "decoupled_clip"},
        ascent={"target_kl": 0.02, "max_ratio_deviation": 0.25, "ewma_decay": 0.9},
        adaptation={"name": "adaptive_kl", "coefficient": "objective.epsilon", "target": 0.01},
    )


def paths(tree, prefix=""):
    if not isinstance(tree, dict):
        return {prefix[:-1]}
    return {path for key, value in tree.items() for path in paths(value, f"{prefix}{key}.")}


def traced_paths(hypers):
    keys = jax.tree_util.tree_flatten_with_path(hypers)[0]
    return {jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in keys}


def test_the_traced_fields_are_those_of_the_design(full):
    assert traced_paths(full.hypers()) == TRACED


def test_every_field_is_either_static_or_traced_or_the_choice_of_objective(full):
    # Of these the keys are static, or whether there is a number; the numbers are traced.
    static = paths(full.static()) - {"env.params", *OPTIONAL}
    assert not static & TRACED
    assert static | TRACED | {"objective.name"} == set(full.flat())


def test_hypers_hold_float32_scalars_under_the_names_of_the_fields():
    hypers = Config(ascent={"learning_rate": 1e-3}).hypers()
    assert hypers.ascent.learning_rate == jnp.float32(1e-3)
    assert hypers.objective == {"epsilon": jnp.float32(0.2)}
    assert all(leaf.dtype == jnp.float32 and leaf.shape == () for leaf in jax.tree.leaves(hypers))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_hypers_hold_every_coefficient_of_every_objective(name):
    hypers = Config(objective={"name": name}).hypers()
    assert set(hypers.objective) == set(OBJECTIVES[name].coefficients)


@pytest.mark.parametrize("path", sorted(OPTIONAL))
def test_whether_a_number_is_there_is_static_and_the_number_itself_traced(path):
    key, objective = path.removeprefix("ascent."), {"name": "decoupled_clip"}
    none, low, high = (
        Config(objective=objective, ascent={key: value}) for value in (None, 0.25, 0.5)
    )
    assert none.static() == Config().static() != low.static() == high.static()
    assert getattr(none.hypers().ascent, key) is None and none.flat()[path] is None
    assert float(getattr(low.hypers().ascent, key)) == 0.25
    assert jax.tree.structure(low.hypers()) == jax.tree.structure(high.hypers())


def test_hypers_of_equal_kinds_stack_and_vmap():
    configs = [Config(ent_coef=c, env={"params": {"gravity": c}}) for c in (0.0, 0.5, 1.0)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(c.hypers() for c in configs))
    total = jax.jit(jax.vmap(lambda h: h.ent_coef + h.env.params["gravity"]))(stacked)
    assert total.tolist() == [0.0, 1.0, 2.0]


def test_static_is_equal_exactly_where_a_program_can_be_shared():
    base = Config().static()
    shared = [
        Config(ascent={"learning_rate": 1e-2, "max_grad_norm": 1}),
        Config(objective={"name": "spo", "epsilon": 0.3}),
        Config(advantage={"gamma": 0.5, "gae_lambda": 0}, ent_coef=0, value_loss={"coef": 1}),
    ]
    apart = [
        Config(num_envs=8),
        Config(num_steps=64),
        Config(total_timesteps=1000),
        Config(network={"hidden": [32]}),
        Config(ascent={"num_epochs": 1}),
        Config(ascent={"anneal": "none"}),
        Config(value_loss={"name": "squared_error"}),
        Config(env={"params": {"gravity": 1}}),
        Config(advantage={"standardise": "none"}),
        Config(evaluation={"every": 1}),
    ]
    assert all(config.static() == base for config in shared)
    assert all(config.static() != base for config in apart)
    values = [Config(env={"params": {"gravity": g}}).static() for g in (1, 2)]
    assert values[0] == values[1]


def test_static_is_plain_data_without_the_objective():
    static = Config(env={"params": {"b": 1, "a": 2}}).static()
    assert "objective" not in static
    assert static["env"] == {
        "name": "CartPole-v1",
        "params": ["a", "b"],
        "kwargs": {},
        "max_steps": None,
        "frame_stack": 1,
        "sticky": False,
    }
    assert static["network"] == {
        "torso": "mlp",
        "hidden": [64, 64],
        "channels": [16],
        "activation": "tanh",
        "shared": False,
        "initialisation": "orthogonal",
        "dtype": "float32",
        "head": "auto",
        "scale": "state_independent",
        "initial_std": 1.0,
    }


def test_flat_does_not_depend_on_whether_a_default_was_written_down():
    assert Config(objective={"epsilon": 0.2}, num_envs=4).flat() == Config().flat()
    assert Config(ent_coef=1).flat() == Config(ent_coef=1.0).flat()
    assert isinstance(Config(ent_coef=1).flat()["ent_coef"], float)


def test_how_sticky_actions_are_is_an_input_and_whether_they_are_is_not():
    one, other = Config(env={"sticky": 0.1}), Config(env={"sticky": 0.9})
    assert one.static() == other.static() != Config().static()
    assert float(other.hypers().env.sticky) == pytest.approx(0.9)
    assert Config().hypers().env.sticky is None
