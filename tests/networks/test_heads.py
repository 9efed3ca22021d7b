"""Heads: which one fits which actions, and how each begins."""

from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import make_program
from rl_surrogates.config import Config
from rl_surrogates.config.schema import Network
from rl_surrogates.distributions import (
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
)
from rl_surrogates.networks import heads
from rl_surrogates.spaces import Box, Discrete, MultiDiscrete
from tests.probes import Probe

FEATURES = jax.random.normal(jax.random.key(0), (7, 5, 4))


def apply(name, space, scale="state_independent", initial_std=0.5):
    """The distribution of the head's first parameters, all 0, and the parameters."""
    head = heads.make_policy_head(name, space, scale=scale, initial_std=initial_std)
    shapes = jax.eval_shape(head.init, jax.random.key(0), FEATURES)
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    return head.apply(params, FEATURES), params["params"]


@pytest.mark.parametrize(
    "space, family",
    [(Discrete(3), Categorical), (MultiDiscrete((2, 3)), MultiCategorical)]
    + [(Box(-1, 1), DiagonalGaussian)],
)
def test_without_a_name_the_first_head_that_fits_is_taken(space, family):
    assert isinstance(apply("auto", space)[0], family)


def test_every_factor_has_its_own_logits():
    pi, params = apply("multi_categorical", MultiDiscrete((2, 3, 4)))
    assert [leaf.shape for leaf in pi.logits] == [(7, 5, 2), (7, 5, 3), (7, 5, 4)]
    assert params["head"]["kernel"].shape == (4, 9)


@pytest.mark.parametrize("scale", heads.SCALES)
@pytest.mark.parametrize("name, family", heads.FAMILIES.items())
def test_a_gaussian_begins_with_the_given_deviation(name, family, scale):
    pi, params = apply(name, Box(-1.0, 1.0, (3, 2)), scale)
    assert isinstance(pi, family) and pi.mean.shape == pi.log_std.shape == (7, 5, 6)
    np.testing.assert_allclose(jnp.exp(pi.log_std), 0.5, rtol=1e-6)
    assert ("log_std" in params) == (scale == "state_independent")


def test_only_a_deviation_that_may_depends_on_the_state():
    for scale in heads.SCALES:
        head = heads.make_policy_head("gaussian", Box(-1, 1), scale=scale, initial_std=1.0)
        params = head.init(jax.random.key(0), FEATURES)
        spread = float(head.apply(params, FEATURES).log_std.std())
        assert (spread > 0.1) == (scale == "state_dependent")
        far = head.apply(params, 1e6 * FEATURES)
        assert bool(jnp.isfinite(jnp.exp(far.log_std)).all())


@pytest.mark.parametrize(
    "name, space, remedy",
    [
        ("gaussian", Discrete(2), "categorical"),
        ("categorical", Box(-2.0, 2.0), "gaussian or tanh_gaussian"),
        ("categorical", MultiDiscrete((2,)), "multi_categorical"),
    ],
)
def test_a_head_that_does_not_fit_is_refused_with_those_that_do(name, space, remedy):
    with pytest.raises(ValueError, match=f"network.head: {name} does not fit.*; use {remedy}$"):
        apply(name, space)


def test_the_names_that_a_config_accepts_are_those_that_there_are():
    def accepted(field):
        return set(get_args(Network.model_fields[field].annotation))

    assert accepted("head") == {heads.AUTO, *heads.FITS}
    assert accepted("scale") == set(heads.SCALES)
    assert heads.FAMILIES.keys() <= heads.FITS.keys()


def test_an_objective_for_discrete_actions_is_refused_where_they_are_not():
    config = Config(env={"name": "Pendulum-v1"}, objective={"name": "pop3d"})
    with pytest.raises(ValueError, match="objective.name.*discrete actions only.*Box"):
        make_program(config)
    make_program(Config(objective={"name": "pop3d"}), env=Probe())


CONTINUOUS = {
    "env": {"name": "Pendulum-v1", "params": {"max_steps_in_episode": 5}},
    "num_envs": 4,
    "num_steps": 8,
    "total_timesteps": 96,  # 3 updates
    "ascent": {"num_epochs": 2, "num_minibatches": 2, "learning_rate": 0.01},
}


@pytest.mark.parametrize("name, scale", list(zip(heads.FAMILIES, heads.SCALES, strict=True)))
def test_the_ratio_of_a_continuous_policy_is_one_until_it_has_moved(name, scale):
    config = Config(network={"hidden": [8], "head": name, "scale": scale}, **CONTINUOUS)
    program = make_program(config)
    _, metrics = jax.jit(program.train)(jax.random.key(0), config.hypers())
    assert float(metrics["first_ratio_error"].max()) <= 1e-5  # actions beyond the bounds included
    assert float(metrics["approx_kl"].min()) > 1e-9 and bool(metrics["finite"].all())
