"""The seven probes with one real action in [-2, 2]: Gaussian, squashed or not, and with memory."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import make_program, spaces
from rl_surrogates.config import Config
from tests.probes import LANES, MATCH, Probe

GAMMA = 0.98


@dataclasses.dataclass(frozen=True)
class ContinuousProbe(Probe):
    """`arm` pays the action itself, `match` its distance from what is shown, in [-1, 1]."""

    def action_space(self, params):
        return spaces.Box(-2.0, 2.0, (1,))

    def observe(self, state, params):
        return jnp.where(params.kind == MATCH, state.first, super().observe(state, params))

    def reward(self, state, action, params):
        paid = super().reward(state, action[0], params)
        return jnp.where(params.kind == MATCH, -jnp.abs(action[0] - state.first), paid)


@pytest.fixture(scope="module", params=["gaussian", "tanh_gaussian", "gru"])
def learned(request):
    """`learned(lane, observations)`: values, and greedy actions in [-2, 2]."""
    network = {"torso": "gru"} if request.param == "gru" else {"head": request.param}
    config = Config(
        env={"params": {"kind": 0, "length": 1, "limit": 0}},
        network={"hidden": [16, 16], **network},
        num_envs=64,
        num_steps=16,
        total_timesteps=131_072,
        ascent={"num_epochs": 10, "num_minibatches": 4, "learning_rate": 3e-3},
        value_loss={"name": "squared_error"},
        advantage={"gamma": GAMMA},
        ent_coef=0.0,
    )
    program = make_program(config, env=ContinuousProbe())
    columns = np.array(list(LANES.values()), np.float32).T
    params = dict(zip(("kind", "length", "limit"), jnp.asarray(columns), strict=True))
    many = jax.tree.map(lambda leaf: jnp.full(len(LANES), leaf), config.hypers())
    many = many._replace(env=many.env._replace(params=params))
    keys = jax.random.split(jax.random.key(0), len(LANES))
    state, metrics = jax.jit(jax.vmap(program.train))(keys, many)
    assert float(metrics["first_ratio_error"].max()) <= 1e-5

    def learned(lane, observations):
        held = jax.tree.map(lambda leaf: leaf[list(LANES).index(lane)], state.learner.params)
        shown = jnp.array(observations, jnp.float32)[:, None, None]  # [T, B = 1, 1]
        begins = (jnp.arange(len(shown)) % LANES[lane][1] == 0)[:, None]
        nothing = program.network.initial_carry(1)
        pi, value, _ = program.network.unroll(held, shown, begins, nothing)
        action = spaces.to_environment(spaces.Box(-2.0, 2.0), pi.action(pi.mode()))
        return np.asarray(value)[:, 0], np.asarray(action)[:, 0, 0]

    return learned


pytestmark = pytest.mark.slow


def test_what_no_action_can_change_is_valued(learned):
    np.testing.assert_allclose(learned("constant", [0])[0], 1.0, atol=0.1)
    np.testing.assert_allclose(learned("uniform", [-1, 0.5, 1])[0], [-1, 0.5, 1], atol=0.1)
    np.testing.assert_allclose(learned("two_steps", [-1, 1])[0], [GAMMA, 1], atol=0.05)


def test_the_greatest_action_is_found(learned):
    value, action = learned("arm", [0])
    np.testing.assert_allclose(value, 2.0, atol=0.1)
    np.testing.assert_allclose(action, 2.0, atol=0.1)


def test_the_action_follows_the_observation(learned):
    shown = [-0.9, -0.4, 0.1, 0.6]
    value, action = learned("match", shown)
    np.testing.assert_allclose(value, 0.0, atol=0.2)
    np.testing.assert_allclose(action, shown, atol=0.1)


def test_a_time_limit_is_not_death(learned):
    np.testing.assert_allclose(learned("endless", [0])[0], 50.0, atol=1.0)  # 1 / (1 - gamma)
    returns = (1 - GAMMA ** np.arange(8, 0, -1)) / (1 - GAMMA)
    np.testing.assert_allclose(learned("clock", range(8))[0], returns, atol=0.1)
