"""A rollout keeps observations of zeros and ones as bool, and no bit of a training changes."""

import dataclasses
from typing import Any

import chex
import jax
import jax.numpy as jnp
import pytest

from rl_surrogates import environments, make_program
from rl_surrogates.config import Config
from rl_surrogates.environments.names import BINARY
from rl_surrogates.spaces import Box, MultiBinary, to_storage
from tests.probes import MATCH, Probe, ProbeParams


@dataclasses.dataclass(frozen=True)
class Bits(Probe):
    """A probe that shows its time and its coin as zeros and ones, and may say so."""

    default_params: ProbeParams = ProbeParams(kind=MATCH, length=3)
    space: Any = None

    def observe(self, state, params):
        return jnp.stack([state.time == 0, state.time == 1, state.first > 0]).astype(jnp.float32)

    def observation_space(self, params):
        return self.space


SAID, UNSAID = Bits(space=MultiBinary((3,))), Bits(space=Box(0.0, 1.0, (3,)))


def trained(env, **changes):
    config = Config(
        num_envs=4,
        num_steps=8,
        total_timesteps=192,
        network={"hidden": [8]},
        ascent={"num_epochs": 2, "num_minibatches": 2, "learning_rate": 0.01},
        **changes,
    )
    program = make_program(config, env=env)
    return jax.jit(program.train)(jax.random.key(0), config.hypers())


@pytest.mark.parametrize("normalised", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_bits_of_a_training_are_those_of_float32_observations(normalised):
    changes = {"normalise": {"observations": normalised}}
    chex.assert_trees_all_equal(trained(SAID, **changes), trained(UNSAID, **changes))


def kept(env, **fields):
    """Shapes and types of a rollout."""
    program = make_program(Config(**fields), env=env)
    hypers = program.config.hypers()
    state = jax.eval_shape(program.init, jax.random.key(0), hypers)
    return jax.eval_shape(program.collect, jax.random.key(0), state, hypers)[1]


def test_zeros_and_ones_take_a_byte_and_not_four():
    small = {"network": {"hidden": [8]}}
    said, unsaid = kept(SAID, **small), kept(UNSAID, **small)
    for field in ("observation", "next_observation"):
        assert getattr(said, field).dtype == bool
        assert getattr(unsaid, field).dtype == jnp.float32


def test_stacked_zeros_and_ones_are_kept_as_bool_too_and_are_the_same_numbers():
    def acted(env):
        config = Config(env={"frame_stack": 3}, network={"hidden": [8]}, num_envs=4, num_steps=8)
        program, hypers = make_program(config, env=env), config.hypers()
        state = program.init(jax.random.key(0), hypers)
        return jax.jit(program.collect)(jax.random.key(1), state, hypers)[1]

    said, unsaid = acted(SAID), acted(UNSAID)
    for field in ("observation", "next_observation"):
        bits, floats = getattr(said, field), getattr(unsaid, field)
        assert bits.shape == (8, 4, 9) and bits.dtype == bool and floats.dtype == jnp.float32
        chex.assert_trees_all_equal(bits.astype(jnp.float32), floats)
    chex.assert_trees_all_equal(said.log_prob, unsaid.log_prob)


def test_a_rollout_of_breakout_is_about_a_quarter_of_what_it_was():
    rollout = kept(
        environments.make("Breakout-MinAtar"), num_envs=64, num_steps=128, network={"hidden": [8]}
    )
    size = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(rollout))
    pixels = rollout.observation.size + rollout.next_observation.size  # bytes
    assert pixels == 2 * 128 * 64 * 400 and rollout.observation.dtype == bool
    assert (size + 3 * pixels) / size > 3.8  # 26.5 MB as float32, 6.9 MB as bool


def test_whole_numbers_are_kept_as_they_are():
    space, observation = MultiBinary((2,)), {"a": jnp.array([1.0, 0.0]), "b": jnp.int32(3)}
    found = to_storage(space, observation)
    assert found["a"].dtype == bool and found["a"].tolist() == [True, False]
    assert found["b"].dtype == jnp.int32 and found["b"] == 3
    assert to_storage(None, observation) is observation


QUICK = ("Breakout-MinAtar", "DeepSea-bsuite")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in BINARY]
)
def test_what_is_kept_as_bool_is_nothing_but_zeros_and_ones(name):
    env = environments.make(name)
    params = env.default_params
    num_actions = environments.action_space(env, params).n

    def step(carry, key):
        observation, state = carry
        action = jax.random.randint(key, (), 0, num_actions)
        observation, state, _, _, _, info = env.step(key, state, action, params)
        return (observation, state), (observation, info["final_observation"])

    def run(key):
        return jax.lax.scan(step, env.reset(key, params), jax.random.split(key, 300))[1]

    for seen in jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(0), 8)):
        assert seen.dtype == jnp.float32 and jnp.isin(seen, jnp.array([0.0, 1.0])).all()
        assert 0.0 < seen.mean() < 1.0


def test_an_environment_derived_from_one_of_gymnax_is_not_taken_for_it():
    from gymnax.environments.minatar.breakout import MinBreakout

    class Noisy(MinBreakout):
        pass

    params = Noisy().default_params
    assert isinstance(environments.observation_space(MinBreakout(), params), MultiBinary)
    assert isinstance(environments.observation_space(Noisy(), params), Box)
