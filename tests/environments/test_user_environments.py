"""A user's own environment: a subclass of gymnax's, an installed entry point, a faulty object."""

import dataclasses
import sys
from importlib.metadata import EntryPoint
from typing import Any

import chex
import jax
import jax.numpy as jnp
import pytest
from gymnax.environments import environment, spaces

from rl_surrogates import environments, make_program
from rl_surrogates.config import Config, ConfigError
from rl_surrogates.spaces import Discrete
from tests.probes import Probe

TINY = {
    "network": {"hidden": [4]},
    "num_envs": 2,
    "num_steps": 4,
    "total_timesteps": 24,  # 3 updates
    "ascent": {"num_epochs": 1, "num_minibatches": 1},
}


class Own(environment.Environment):
    """Written against gymnax: pays for action 1, ends after `max_steps_in_episode`."""

    @property
    def default_params(self):
        return environment.EnvParams(max_steps_in_episode=3)

    def step_env(self, key, state, action, params):
        state = state.replace(time=state.time + 1)
        reward = action.astype(jnp.float32)
        return self.get_obs(state), state, reward, jnp.zeros((), bool), {}

    def reset_env(self, key, params):
        state = environment.EnvState(time=0)
        return self.get_obs(state), state

    def get_obs(self, state, params=None, key=None):
        return jnp.array([state.time], jnp.float32)

    def action_space(self, params):
        return spaces.Discrete(2)


def shapes(config, env=None):
    program, hypers = make_program(config, env=env), config.hypers()
    return program, jax.eval_shape(program.train, jax.random.key(0), hypers)[1]


def test_a_subclass_of_gymnax_trains_with_its_numbers_set():
    config = Config(env={"params": {"max_steps_in_episode": 5}}, **TINY)
    program, metrics = shapes(config, Own())
    assert metrics["episode_return"].shape == (3,)
    assert environments.action_space(program.env, program.env.default_params) == Discrete(2)
    assert program.env_params(config.hypers()).max_steps_in_episode.dtype == jnp.int32


@pytest.fixture
def installed(monkeypatch):
    """A package in this environment that brings an environment along."""
    entry = EntryPoint("my-probe", "tests.probes:Probe", environments.GROUP)

    def entry_points(group):
        return [entry] if group == environments.GROUP else []

    for module in (environments, sys.modules["rl_surrogates.environments.names"]):
        monkeypatch.setattr(module, "entry_points", entry_points)


def test_an_installed_environment_trains_by_its_name(installed):
    program, metrics = shapes(Config(env={"name": "my-probe"}, **TINY))
    assert isinstance(program.env, Probe) and metrics["episode_return"].shape == (3,)
    assert environments.names()[-1] == "my-probe"


def test_an_installed_name_is_among_the_nearest(installed):
    with pytest.raises(ConfigError, match="my-prob.*my-probe"):
        Config(env={"name": "my-prob"})


@dataclasses.dataclass(frozen=True)
class Params:
    """What is added to every observation and to every reward; NaN is the fault."""

    to_observation: Any = 0.0
    to_reward: Any = 0.0


jax.tree_util.register_dataclass(Params)


@dataclasses.dataclass(frozen=True)
class Faulty:
    default_params: Params = Params()
    num_actions: int = 2

    def reset(self, key, params):
        first = jax.random.uniform(key, (1,))
        return first + params.to_observation, first

    def step(self, key, state, action, params):
        observation, fresh = self.reset(key, params)
        ended = state[0] > 0.5
        final = state + params.to_observation
        return (
            jnp.where(ended, observation, final),
            jnp.where(ended, fresh, state + 0.1),
            action + params.to_reward,
            ended,
            jnp.zeros((), bool),
            {"final_observation": final},
        )


@pytest.mark.parametrize("normalise", [False, True], ids=["raw", "normalised"])
def test_a_faulty_environment_is_recorded_and_changes_no_bit_of_its_neighbours(normalise):
    fields = ("to_observation", "to_reward")
    config = Config(
        env={"params": dict.fromkeys(fields, 0.0)},
        normalise={"observations": normalise, "rewards": normalise},
        **TINY,
    )
    program = make_program(config, env=Faulty())
    hypers = jax.tree.map(lambda leaf: jnp.full(4, leaf), config.hypers())
    train = jax.jit(jax.vmap(program.train))
    keys = jax.random.split(jax.random.key(0), 4)

    def trained(*lanes):
        params = {name: jnp.array(lane) for name, lane in zip(fields, lanes, strict=True)}
        state, metrics = train(keys, hypers._replace(env=hypers.env._replace(params=params)))
        kept = (state.learner, state.normaliser, metrics)
        return jax.tree.map(lambda leaf: leaf[:2], kept), metrics["finite"]

    clean, finite = trained([0.0] * 4, [0.0] * 4)
    assert bool(finite.all())
    nan = float("nan")
    beside, finite = trained([0.0, 0.0, nan, 0.0], [0.0, 0.0, 0.0, nan])
    assert finite.tolist() == [[1] * 3] * 2 + [[0] * 3] * 2
    chex.assert_trees_all_equal(beside, clean)
