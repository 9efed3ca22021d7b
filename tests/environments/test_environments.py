"""Environments by name, by object, and with other numbers; time limits told from death."""

import re
from typing import Any, NamedTuple

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import environments
from rl_surrogates.assembly import make_environment
from rl_surrogates.config import Config
from rl_surrogates.spaces import Box, Discrete, MultiDiscrete
from tests.probes import Probe


@pytest.fixture(scope="module")
def cartpole():
    return environments.make("CartPole-v1")


def test_a_name_may_say_its_package(cartpole):
    prefixed = environments.make("gymnax:CartPole-v1")
    assert type(prefixed) is type(cartpole)
    assert environments.known("gymnax:CartPole-v1") and environments.known("CartPole-v1")
    assert not environments.known("brax:CartPole-v1")


@pytest.mark.parametrize("name", ["CartPole-v2", "cartpole", ""])
def test_an_unknown_name_is_refused_with_the_nearest_ones(name):
    assert not environments.known(name)
    with pytest.raises(ValueError, match=re.escape(repr(name))) as caught:
        environments.make(name)
    assert ("CartPole-v1" in str(caught.value)) == (name != "")


@pytest.mark.parametrize(
    "name, space",
    [
        ("CartPole-v1", Discrete(2)),
        ("Pendulum-v1", Box(-2.0, 2.0, (1,))),
        ("FourRooms-misc", Discrete(4)),
    ],
)
def test_an_action_space_of_gymnax_is_one_of_ours(name, space):
    env = environments.make(name)
    assert environments.action_space(env, env.default_params) == space


def test_the_bounds_of_an_action_follow_the_parameters_of_the_environment():
    env = environments.make("Pendulum-v1")

    def high(torque):
        params = environments.with_params(env, {"max_torque": torque})
        return environments.action_space(env, params).high

    assert jax.jit(jax.vmap(high))(jnp.array([1.0, 3.0])).tolist() == [1.0, 3.0]


def test_a_tuple_of_choices_is_a_space_of_several_factors():
    choices = gymnax.environments.spaces.Tuple(
        [gymnax.environments.spaces.Discrete(n) for n in (2, 3)]
    )
    env = Probe()
    object.__setattr__(env, "action_space", lambda params: choices)
    assert environments.action_space(env, None) == MultiDiscrete((2, 3))
    object.__setattr__(env, "action_space", MultiDiscrete((4, 4)))  # not a function: as it is
    assert environments.action_space(env, None) == MultiDiscrete((4, 4))


def test_an_action_space_without_a_policy_is_refused_with_those_that_have_one():
    env = Probe()
    object.__setattr__(env, "action_space", lambda params: {"arm": Discrete(2)})
    with pytest.raises(ValueError, match=r"arm.*Discrete\(n\), MultiDiscrete.*Box"):
        environments.action_space(env, None)


def test_an_observation_space_is_known_where_an_environment_says_it():
    lake = environments.make("FrozenLake-misc")
    assert environments.observation_space(lake, lake.default_params) == Discrete(16)
    assert environments.observation_space(Probe(), None) is None


def run(env, params, steps):
    """Actions 0 from one reset: observations and what each step returned, `[T, ...]`."""

    @jax.jit
    def unrolled(key):
        def step(carry, key):
            observation, state = carry
            found = env.step(key, state, jnp.int32(0), params)
            return found[:2], (observation, *found)

        return jax.lax.scan(step, env.reset(key, params), jax.random.split(key, steps))[1]

    return unrolled(jax.random.key(0))


def test_a_time_limit_is_truncation_and_the_true_successor_is_kept(cartpole):
    params = environments.with_params(cartpole, {"max_steps_in_episode": 3.0})
    _, after, _, reward, terminated, truncated, info = run(cartpole, params, 7)
    assert truncated.tolist() == [0, 0, 1, 0, 0, 1, 0] and not terminated.any()
    assert reward.tolist() == [1.0] * 7
    final = info["final_observation"]
    assert np.abs(final[2] - after[2]).max() > 0.1  # the push to the left is felt by step 3
    assert np.abs(after[2]).max() <= 0.05  # a fresh cart
    np.testing.assert_allclose(final[:2], after[:2])


def test_falling_over_is_termination(cartpole):
    _, after, _, _, terminated, truncated, info = run(cartpole, cartpole.default_params, 20)
    assert terminated.any() and not truncated.any()
    fallen = int(np.argmax(terminated))
    assert abs(float(info["final_observation"][fallen, 2])) > 0.2  # radians
    assert np.abs(after[fallen]).max() <= 0.05


def test_numbers_of_an_environment_may_be_replaced_and_traced(cartpole):
    state = cartpole.reset(jax.random.key(0), cartpole.default_params)[1]

    def velocity(force):
        params = environments.with_params(cartpole, {"force_mag": force})
        return cartpole.step(jax.random.key(0), state, jnp.int32(1), params)[0][1]

    slopes = jax.jit(jax.vmap(velocity))(jnp.array([0.0, 10.0, 20.0]))
    assert slopes[0] < slopes[1] < slopes[2]


def test_a_whole_number_stays_whole(cartpole):
    params = environments.with_params(cartpole, {"max_steps_in_episode": jnp.float32(200.0)})
    assert params.max_steps_in_episode.dtype == jnp.int32 and params.max_steps_in_episode == 200
    assert environments.max_episode_steps(cartpole, params) == 200
    assert environments.with_params(cartpole, {"gravity": 5}).gravity == 5
    assert environments.with_params(cartpole, {}) == cartpole.default_params


def test_an_unknown_number_is_refused_with_those_that_there_are(cartpole):
    with pytest.raises(ValueError, match=r"env\.params\.gravty.*gravity"):
        environments.with_params(cartpole, {"gravty": 1.0})


def test_an_object_that_follows_the_protocol_is_taken_as_it_is():
    env = Probe()
    assert environments.resolve(env) is env
    assert environments.max_episode_steps(env, env.default_params) == 64


def test_a_gymnax_environment_is_taken_as_it_is():
    env = gymnax.make("CartPole-v1")[0]
    assert environments.resolve(env) is env


def test_how_many_actions_there_are_is_enough_to_say():
    assert environments.action_space(Probe(num_actions=5), None) == Discrete(5)


@pytest.mark.parametrize("lacks", ["reset", "step", "num_actions"])
def test_an_object_that_lacks_a_part_is_refused_by_its_name(lacks):
    has = {"reset": print, "step": print, "num_actions": 2}
    wrong = type("Wrong", (), {name: value for name, value in has.items() if name != lacks})
    with pytest.raises(ValueError, match=f"Wrong has no .*{lacks}"):
        environments.resolve(wrong())


class TupleParams(NamedTuple):
    """Parameters need not be a dataclass: `types.Environment` asks for none."""

    gravity: Any = 9.8


def test_the_parameters_of_an_object_may_be_a_named_tuple():
    env = Probe(default_params=TupleParams())
    assert environments.with_params(env, {"gravity": 5.0}).gravity == 5.0


def test_where_nobody_knows_a_limit_there_is_one_all_the_same():
    class Endless:
        num_actions = 2
        default_params = None

    assert environments.max_episode_steps(Endless(), None) == environments.MAX_EPISODE_STEPS


def test_an_environment_may_be_made_with_arguments():
    sea = environments.make("DeepSea-bsuite", size=20)
    assert sea.size == 20 and sea.default_params.max_steps_in_episode == 20
    assert environments.observation_space(sea, sea.default_params).shape == (20, 20)


@pytest.mark.parametrize(
    "kwargs, said",
    [
        ({"siez": 20}, r"env\.kwargs\.siez: DeepSea-bsuite is made with size, action_mapping_key"),
        ({"size": "deep"}, r"env\.kwargs: DeepSea-bsuite cannot be made with \{'size': 'deep'\}"),
        ({"size": 0}, r"env\.kwargs: DeepSea-bsuite cannot be made with \{'size': 0\}"),
    ],
)
def test_arguments_that_an_environment_cannot_be_made_with_are_refused(kwargs, said):
    with pytest.raises(ValueError, match=said):
        environments.make("DeepSea-bsuite", **kwargs)


def test_arguments_of_an_environment_are_static_and_only_for_those_by_name():
    config = Config(env={"name": "DeepSea-bsuite", "kwargs": {"size": 20, "flag": True}})
    assert config.static()["env"]["kwargs"] == {"flag": True, "size": 20}
    assert config.flat()["env.kwargs.size"] == 20 and "kwargs" not in str(Config().flat())
    assert Config.from_flat(config.flat()).env == config.env
    assert make_environment(Config(env={"kwargs": {}}), Probe())[0] == Probe()
    with pytest.raises(ValueError, match=r"env\.kwargs: only an environment by name"):
        make_environment(config, Probe())
