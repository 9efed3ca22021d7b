"""What a step leaves to chance may be drawn before it, and the step stays what it was."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import environments
from rl_surrogates.environments import chance
from tests.probes import CLOCK, Probe, ProbeParams

DRAWN_AHEAD = ("CartPole-v1", "Pendulum-v1", "Catch-bsuite", "MemoryChain-bsuite")


@pytest.mark.parametrize("name", DRAWN_AHEAD)
@pytest.mark.parametrize("limit", [1000, 1], ids=["going on", "ended"])
def test_a_step_with_chance_drawn_ahead_is_the_environments_own(name, limit):
    env = environments.make(name)
    params = env.default_params
    if hasattr(params, "max_steps_in_episode"):
        params = params.replace(max_steps_in_episode=limit)

    @jax.jit
    def both(key):
        key_start, key = jax.random.split(key)
        _, state = env.reset(key_start, params)
        action = jnp.zeros((1,)) if name.startswith("Pendulum") else jnp.int32(1)
        key_step, key_reset = jax.random.split(key)  # as its own step does
        drawn = chance.draw(env, key_step, key_reset, params)
        assert drawn.fresh is not None
        mine = chance.step(env, drawn, state, action, params)
        return mine, env.step(key, state, action, params)

    mine, its = both(jax.random.key(2))
    final = mine[-1]["final_observation"], its[-1]["final_observation"]
    for one, other in zip(
        jax.tree.leaves((mine[:-1], final[0])), jax.tree.leaves((its[:-1], final[1])), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)
        assert one.dtype == other.dtype


@pytest.mark.parametrize("name", ["Breakout-MinAtar", "DeepSea-bsuite"])
def test_large_episodes_and_steps_of_their_own_are_left_to_the_environment(name):
    env = environments.make(name)
    keys = jax.random.split(jax.random.key(0))
    drawn = jax.eval_shape(partial(chance.draw, env), *keys, env.default_params)
    assert drawn.fresh is None


def test_a_users_own_environment_steps_with_the_key_itself():
    env = Probe(ProbeParams(kind=CLOCK, length=3, limit=1))
    key, key_reset = jax.random.split(jax.random.key(0))
    drawn = chance.draw(env, key, key_reset, env.default_params)
    assert drawn.fresh is None and drawn.key == key
