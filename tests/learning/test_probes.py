"""A known optimum before a benchmark: seven environments, each of which fails for one reason."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import make_program
from rl_surrogates.config import Config
from tests.probes import (
    DEATH,
    ENDLESS,
    LANES,
    Probe,
)

SEEDS = 2
GAMMA, LAMBDA = 0.98, 0.95
LANES = {**LANES, "endless_taken_for_death": (ENDLESS, 8, DEATH)}


@pytest.fixture(scope="module", params=["mlp", pytest.param("gru", marks=pytest.mark.slow)])
def learned(request):
    """`learned(lane, observations)`: values and probabilities of action 1 along the episodes in
    which these observations are made, `[S, len]`."""
    config = Config(
        env={"params": {"kind": 0, "length": 1, "limit": 0}},
        network={"torso": request.param, "hidden": [16, 16]},
        num_envs=64,
        num_steps=16,
        total_timesteps=131_072,
        ascent={"num_epochs": 10, "num_minibatches": 4, "learning_rate": 3e-3},
        value_loss={"name": "squared_error"},  # a clipped one takes 250 updates to reach 50
        advantage={"gamma": GAMMA, "gae_lambda": LAMBDA},
        ent_coef=0.0,
    )
    program = make_program(config, env=Probe())
    columns = np.repeat(np.array(list(LANES.values()), np.float32), SEEDS, axis=0).T
    params = dict(zip(("kind", "length", "limit"), jnp.asarray(columns), strict=True))
    many = jax.tree.map(lambda leaf: jnp.full(columns.shape[1], leaf), config.hypers())
    many = many._replace(env=many.env._replace(params=params))
    keys = jax.random.split(jax.random.key(0), columns.shape[1])
    state, _ = jax.jit(jax.vmap(program.train))(keys, many)

    def learned(lane, observations):
        first = SEEDS * list(LANES).index(lane)
        held = jax.tree.map(lambda leaf: leaf[first : first + SEEDS], state.learner.params)
        shown = jnp.array(observations, jnp.float32)[:, None, None]  # [T, B = 1, 1]
        begins = (jnp.arange(len(shown)) % LANES[lane][1] == 0)[:, None]
        nothing = program.network.initial_carry(1)
        unroll = jax.vmap(program.network.unroll, in_axes=(0, None, None, None))
        policy, value, _ = unroll(held, shown, begins, nothing)
        return np.asarray(value)[..., 0], np.exp(np.asarray(policy.log_probs))[..., 0, 1]

    return learned


def test_a_constant_reward_is_valued(learned):
    value, _ = learned("constant", [0])
    np.testing.assert_allclose(value, 1.0, atol=0.1)


def test_a_value_depends_on_the_observation(learned):
    value, _ = learned("uniform", [-1, -0.5, 0.5, 1])
    np.testing.assert_allclose(value, [[-1, -0.5, 0.5, 1]] * SEEDS, atol=0.1)


def test_a_reward_is_discounted_to_the_step_before(learned):
    value, _ = learned("two_steps", [-1, 1])
    np.testing.assert_allclose(value, [[GAMMA, 1]] * SEEDS, atol=0.01)  # tells gamma from 1


def test_the_better_arm_is_picked(learned):
    value, probability = learned("arm", [0])
    np.testing.assert_allclose(value, 1.0, atol=0.1)
    assert probability.min() > 0.95


def test_the_action_follows_the_observation(learned):
    value, probability = learned("match", [-1, 1])
    np.testing.assert_allclose(value, 0.0, atol=0.2)
    np.testing.assert_allclose(probability, [[0, 1]] * SEEDS, atol=0.05)


def test_a_time_limit_is_not_death(learned):
    value, _ = learned("endless", [0])
    np.testing.assert_allclose(value, 50.0, atol=1.0)  # 1 / (1 - gamma)


@pytest.mark.parametrize("learned", ["mlp"], indirect=True)
def test_taking_the_time_limit_for_death_would_give_a_tenth_of_the_value(learned):
    value, _ = learned("endless_taken_for_death", [0])
    # One value V serves eight steps: their errors, n = 1 to 8 steps before the end, add up to 0 in
    #   sum_n (1 - (1 - gamma) V) (1 - g^(n-1)) / (1 - g) + g^(n-1) (1 - V),    g = gamma lambda
    last = (GAMMA * LAMBDA) ** np.arange(8)
    before = (1 - last) / (1 - GAMMA * LAMBDA)
    expected = (before + last).sum() / ((1 - GAMMA) * before + last).sum()
    np.testing.assert_allclose(expected, 4.5, atol=0.1)
    np.testing.assert_allclose(value, expected, atol=0.1)


def test_death_in_time_is_seen_in_a_clock(learned):
    value, _ = learned("clock", range(8))
    returns = (1 - GAMMA ** np.arange(8, 0, -1)) / (1 - GAMMA)
    np.testing.assert_allclose(value, [returns] * SEEDS, atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("learned", ["gru"], indirect=True)
def test_death_in_time_is_seen_by_a_memory_without_a_clock(learned):
    value, _ = learned("endless_taken_for_death", [0] * 8)  # nothing is shown: steps are counted
    returns = (1 - GAMMA ** np.arange(8, 0, -1)) / (1 - GAMMA)
    np.testing.assert_allclose(value, [returns] * SEEDS, atol=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("learned", ["gru"], indirect=True)
def test_a_memory_makes_no_death_of_a_time_limit(learned):
    value, _ = learned("endless", [0] * 8)
    np.testing.assert_allclose(value, 50.0, atol=1.0)
