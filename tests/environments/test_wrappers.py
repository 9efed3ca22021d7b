"""Time limits, stacked frames, sticky actions: worked by hand on environments that count."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import environments, make_network, make_program
from rl_surrogates.config import Config
from rl_surrogates.environments.wrappers import FrameStack, TimeLimit
from rl_surrogates.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from tests.probes import CLOCK, Probe, ProbeParams


@dataclasses.dataclass(frozen=True)
class Echo:
    """Shows the step of the episode and the action that was done; ends by death after `length`."""

    space: Any = Discrete(1000)
    length: int = 4
    default_params: Any = None

    def action_space(self, params):
        return self.space

    def reset(self, key, params):
        return jnp.zeros(2), jnp.int32(0)

    def step(self, key, time, action, params):
        final = jnp.stack([time + 1.0, jnp.sum(action).astype(jnp.float32)])
        ended = time + 1 == self.length
        observation = jnp.where(ended, 0.0, final)
        info = {"final_observation": final}
        no = jnp.zeros((), bool)
        return observation, jnp.where(ended, 0, time + 1), jnp.float32(1), ended, no, info


def run(env, actions, params=None):
    """The observation after each step, the true successor, and the two flags; the first, too."""

    @jax.jit
    def unrolled(actions):
        def step(state, now):
            action, key = now
            observation, state, _, terminated, truncated, info = env.step(
                key, state, action, params
            )
            return state, (observation, info["final_observation"], terminated, truncated)

        keys = jax.random.split(jax.random.key(0), len(actions))
        first, state = env.reset(jax.random.key(1), params)
        return first, jax.lax.scan(step, state, (actions, keys))[1]

    first, found = unrolled(jnp.asarray(actions))
    return np.asarray(first), *(np.asarray(one) for one in found)


def test_nothing_stands_around_an_environment_unless_it_is_asked_for():
    env = Echo()
    assert environments.wrap(env, max_steps=None, frame_stack=1, sticky=False) is env


def test_a_time_limit_truncates_and_a_death_before_it_does_not():
    _, after, final, terminated, truncated = run(TimeLimit(Echo(length=3), 2), [7] * 6)
    assert final[:, 0].tolist() == [1, 2, 1, 2, 1, 2] and not terminated.any()
    assert truncated.tolist() == [0, 1] * 3 and after[:, 0].tolist() == [1, 0] * 3
    _, _, final, terminated, truncated = run(TimeLimit(Echo(length=3), 5), [7] * 7)
    assert final[:, 0].tolist() == [1, 2, 3, 1, 2, 3, 1] and not truncated.any()
    assert terminated.tolist() == [0, 0, 1, 0, 0, 1, 0]


def test_a_death_at_the_limit_is_a_death_and_the_next_episode_has_its_full_time():
    _, _, final, terminated, truncated = run(TimeLimit(Echo(length=3), 3), [7] * 7)
    assert terminated.tolist() == [0, 0, 1, 0, 0, 1, 0] and not truncated.any()
    assert final[:, 0].tolist() == [1, 2, 3, 1, 2, 3, 1]


def test_an_evaluation_waits_as_long_as_the_limit_where_nobody_else_knows_one():
    env = TimeLimit(Echo(length=100_000), 70)
    assert environments.max_episode_steps(env, None) == 70


def test_frames_are_joined_oldest_first_and_forgotten_with_their_episode():
    first, after, final, _, _ = run(FrameStack(Echo(length=3), 2), [10, 20, 30, 40])
    assert first.tolist() == [0, 0, 0, 0]
    # Each frame: step, action.  The third step ends the episode: its successor has its own past.
    assert final.tolist() == [[0, 0, 1, 10], [1, 10, 2, 20], [2, 20, 3, 30], [0, 0, 1, 40]]
    assert after.tolist() == [[0, 0, 1, 10], [1, 10, 2, 20], [0, 0, 0, 0], [0, 0, 1, 40]]


def test_an_image_is_stacked_along_its_channels():
    env = environments.wrap(
        environments.make("Breakout-MinAtar"), max_steps=None, frame_stack=3, sticky=False
    )
    observation = jax.eval_shape(env.reset, jax.random.key(0), env.default_params)[0]
    assert observation.shape == (10, 10, 12)
    assert environments.observation_space(env, env.default_params) == MultiBinary((10, 10, 12))


def test_the_bounds_of_an_observation_are_stacked_with_it():
    env = FrameStack(environments.make("Pendulum-v1"), 2)
    space = environments.observation_space(env, env.default_params)
    assert space.shape == (6,)
    np.testing.assert_array_equal(space.low, [-1, -1, -8, -1, -1, -8])
    np.testing.assert_array_equal(space.high, [1, 1, 8, 1, 1, 8])
    unsaid = FrameStack(Echo(), 2)
    assert environments.observation_space(unsaid, None) is None


def test_one_of_n_cannot_be_stacked():
    with pytest.raises(ValueError, match="env.frame_stack.*network.torso: gru"):
        FrameStack(environments.make("FrozenLake-misc"), 4)


def sticky(probability, env=None):
    env = environments.wrap(env or Echo(), max_steps=None, frame_stack=1, sticky=True)
    return env, environments.with_params(env, {}, probability)


def test_an_action_is_never_or_always_repeated_within_an_episode():
    env, params = sticky(0.0)
    actions = list(range(1, 9))
    assert run(env, actions, params)[2][:, 1].tolist() == actions
    env, params = sticky(1.0)
    assert run(env, actions, params)[2][:, 1].tolist() == [1, 1, 1, 1, 5, 5, 5, 5]


def test_an_action_is_repeated_as_often_as_the_probability_says():
    env, params = sticky(0.25, Echo(length=100_000))
    actions = np.arange(4000)
    done = run(env, actions, params)[2][:, 1]
    assert abs((done != actions).mean() - 0.25) < 0.025


@pytest.mark.parametrize(
    "space, actions",
    [(Box(-1.0, 1.0, (2,)), [[0.5, 1.0], [9.0, 9.0]]), (MultiDiscrete((9, 9)), [[1, 2], [8, 8]])],
    ids=["box", "factors"],
)
def test_an_action_of_any_space_can_be_repeated(space, actions):
    env, params = sticky(1.0, Echo(space))
    assert environments.action_space(env, params) == space
    assert run(env, actions, params)[2][:, 1].tolist() == [sum(actions[0])] * 2


def test_the_numbers_of_an_environment_can_be_set_through_what_stands_around_it():
    env = environments.wrap(
        Probe(ProbeParams(kind=CLOCK)), max_steps=50, frame_stack=2, sticky=True
    )
    params = environments.with_params(env, {"length": 3}, 0.5)
    assert params.inner.length == 3 and params.probability == 0.5
    with pytest.raises(ValueError, match=r"env\.params\.lenght.*length"):
        environments.with_params(env, {"lenght": 3}, 0.5)
    final = run(env, jnp.zeros(4, int), params)[2]
    assert final.tolist() == [[0, 1], [1, 2], [2, 3], [0, 1]]


def test_a_config_says_what_stands_around_its_environment():
    config = Config(
        env={"name": "Pendulum-v1", "sticky": 0.25, "frame_stack": 2, "max_steps": 7},
        network={"hidden": [4]},
        num_envs=2,
        num_steps=8,
        total_timesteps=16,
    )
    program, hypers = make_program(config), config.hypers()

    @jax.jit
    @jax.vmap
    def rollout(sticky):
        given = hypers._replace(env=hypers.env._replace(sticky=sticky))
        state = program.init(jax.random.key(0), given)
        return program.collect(jax.random.key(1), state, given)[1]

    found = rollout(jnp.array([0.0, 1.0]))
    assert found.observation.shape == (2, 8, 2, 6)
    assert found.truncated[..., 0].tolist() == [[0, 0, 0, 0, 0, 0, 1, 0]] * 2
    assert float(jnp.abs(found.reward[0] - found.reward[1]).max()) > 0.0
    network = make_network(config)
    params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(6))
    assert params["policy"]["Dense_0"]["kernel"].shape == (6, 4)
