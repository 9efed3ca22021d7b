"""At the policy that acted, ratio and logarithm have one gradient, whatever the network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import assembly, diagnostics
from rl_surrogates.config import Config
from rl_surrogates.objectives import OBJECTIVES

NAMES = ("policy_gradient", "importance_sampled", "awr")  # the last: not of first order
KINDS = {  # environment, network
    "relu, shared": ("CartPole-v1", {"activation": "relu", "shared": True}),
    "cnn": ("Breakout-MinAtar", {"torso": "cnn", "channels": [4]}),
    "gru": ("CartPole-v1", {"torso": "gru"}),
    "gaussian": ("Pendulum-v1", {"head": "gaussian", "scale": "state_dependent"}),
}
TIME, ENVS = 4, 4


def gradients(kind, dtype):
    """`[K, parameters]`: the gradient of the mean of each of `NAMES` at the old policy."""
    name, network = KINDS[kind]
    config = Config(env={"name": name}, network={"hidden": [8], **network})
    env, env_params = assembly.make_environment(config)
    network, keys = assembly.network_for(config, env, env_params), jax.random.split(KEY, 4)
    shown = jax.eval_shape(env.reset, KEY, env_params)[0]
    observation = jax.random.normal(keys[0], (TIME, ENVS, *shown.shape)).astype(dtype)
    shapes = jax.eval_shape(network.init, KEY, observation[0, 0])
    noise = 0.4 * jax.random.normal(keys[1], (4096,))
    params = jax.tree.map(lambda leaf: jnp.resize(noise, leaf.shape).astype(dtype), shapes)
    reset = jnp.zeros((TIME, ENVS), bool).at[2, 1].set(True)

    def policy(params):
        return network.unroll(params, observation, reset, network.initial_carry(ENVS))[0]

    old = jax.lax.stop_gradient(policy(params))
    action, advantage = old.sample(keys[2]), jax.random.normal(keys[3], (TIME, ENVS)).astype(dtype)

    def surrogate_of(row):
        at = {"advantage": advantage, "log_prob_old": old.log_prob(action)}
        return lambda pi: row.fn(
            **{n: {**at, "log_prob": pi.log_prob(action)}[n] for n in row.inputs}
        )

    surrogates = {name: surrogate_of(OBJECTIVES[name]) for name in NAMES}
    stacked = diagnostics.gradients(policy, params, surrogates)
    return jnp.concatenate([x.reshape(len(NAMES), -1) for x in jax.tree.leaves(stacked)], axis=1)


KEY = jax.random.key(0)


@pytest.fixture(scope="module", params=["float32", "float64"])
def found(request):
    """Kind -> gradients, all from one program; what may differ, relative to the largest slope."""
    with jax.enable_x64(request.param == "float64"):
        dtype = jnp.dtype(request.param)
        every = jax.jit(
            lambda: {kind: gradients(kind, dtype) for kind in KINDS},
            compiler_options={"xla_backend_optimization_level": 0},  # it runs once
        )
        slopes = every()
        return jax.tree.map(np.asarray, slopes), {"float32": 1e-6, "float64": 1e-12}[request.param]


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_step_of_a_first_order_objective_is_that_of_the_policy_gradient(kind, found):
    slopes, limit = found
    reference, *others = slopes[kind].astype(np.float64)
    largest = np.abs(reference).max()
    assert largest > 1e-3
    ratio, awr = (np.abs(other - reference).max() / largest for other in others)
    assert ratio < limit and awr > 0.01, (ratio, awr)
