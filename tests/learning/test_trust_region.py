"""Known optima under a trust region, then the benchmark; and a network with memory."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import evaluation, make_program
from rl_surrogates.config import Config
from tests.probes import ARM, ENDLESS, MATCH, Accumulator, Probe, ProbeParams

LANES = {"arm": (ARM, 1, 0), "match": (MATCH, 1, 0), "endless": (ENDLESS, 8, 1)}
SMALL = {
    "network": {"hidden": [8]},
    "value_loss": {"name": "squared_error"},
    "objective": {"name": "importance_sampled"},
    "ent_coef": 0.0,
}


@pytest.fixture(scope="module")
def learned():
    """`{lane: (policy, values, metrics)}` of a training on each probe, side by side."""
    config = Config(
        **SMALL,
        env={"params": {"kind": 0, "length": 1, "limit": 0}},
        num_envs=16,
        num_steps=16,
        total_timesteps=25_600,
        advantage={"gamma": 0.9},
        ascent={
            "name": "trust_region",
            "max_kl": 0.05,
            "damping": 0.01,
            "critic_epochs": 10,
            "critic_learning_rate": 1e-2,
        },
    )
    program, hypers = make_program(config, env=Probe()), config.hypers()

    @jax.jit
    @jax.vmap
    def train(kind, length, limit):
        params = {"kind": kind, "length": length, "limit": limit}
        own = hypers._replace(env=hypers.env._replace(params=params))
        state, metrics = program.train(jax.random.key(0), own)
        shown = jnp.array([[-1.0], [0.0], [1.0]])
        policy = program.network.policy(state.learner.params, shown)
        return (
            jnp.exp(policy.log_probs),
            program.network.value(state.learner.params, shown),
            metrics,
        )

    out = train(*np.array(list(LANES.values()), np.float32).T)
    return {name: jax.tree.map(lambda leaf, i=i: leaf[i], out) for i, name in enumerate(LANES)}


def test_the_better_arm_is_picked(learned):
    policy, value, _ = learned["arm"]
    assert policy[1, 1] > 0.95  # the observation is 0
    np.testing.assert_allclose(value[1], 1.0, atol=0.1)


def test_the_action_follows_the_observation(learned):
    policy, _, _ = learned["match"]
    assert policy[0, 0] > 0.95 and policy[2, 1] > 0.95


def test_where_no_action_is_better_the_critic_still_learns(learned):
    _, value, metrics = learned["endless"]
    np.testing.assert_allclose(value[1], 10.0, atol=0.5)  # 1 / (1 - 0.9), past the time limit
    assert bool(metrics["finite"].all())


def test_every_step_that_was_taken_kept_to_the_region(learned):
    for _, _, metrics in learned.values():
        assert float(metrics["kl_after"].max()) <= np.float32(0.05)
        assert (metrics["surrogate_improvement"][metrics["accepted"]] > 0.0).all()


@pytest.fixture(scope="module")
def with_memory():
    """State and metrics of four updates of a network with memory, under a bound that falls."""
    config = Config(
        **SMALL,
        num_envs=4,
        num_steps=8,
        total_timesteps=128,
        ascent={"name": "trust_region", "critic_minibatches": 2},
        adaptation={"name": "linear_anneal", "coefficient": "ascent.max_kl"},
    )
    program = make_program(config, env=Probe(ProbeParams(kind=MATCH, length=3)))
    program = dataclasses.replace(program, network=Accumulator())
    return jax.jit(program.train)(jax.random.key(0), config.hypers())


def test_a_network_with_memory_takes_its_step_on_whole_sequences(with_memory):
    _, metrics = with_memory
    assert metrics["accepted"].all()
    assert float(metrics["first_ratio_error"].max()) <= 1e-5
    assert float(metrics["kl_after"].min()) > 0.0


def test_a_bound_that_is_annealed_falls_once_per_update(with_memory):
    state, metrics = with_memory
    bound = np.float32(0.01) * np.array([1.0, 0.75, 0.5, 0.25])
    share = np.asarray(metrics["kl_after"]) / bound
    assert 0.5 < share.min() <= share.max() <= 1.0 + 1e-5
    np.testing.assert_allclose(state.adapted["ascent.max_kl"], 0.0, atol=1e-9)


@pytest.mark.slow
def test_trpo_solves_cartpole_in_100_000_steps_on_every_seed():
    config = Config(
        num_envs=2,
        num_steps=512,
        total_timesteps=100_000,
        objective={"name": "importance_sampled"},
        ascent={
            "name": "trust_region",
            "damping": 1e-3,
            "critic_epochs": 20,
            "critic_minibatches": 16,
        },
        adaptation={"name": "linear_anneal", "coefficient": "ascent.max_kl"},
        advantage={"gae_lambda": 0.98, "standardise": "batch"},
        value_loss={"name": "squared_error"},
        ent_coef=0.0,
    )
    program, hypers, seeds = make_program(config), config.hypers(), np.arange(10)

    def score(seed):
        state, metrics = program.train(jax.random.key(seed), hypers)
        key = evaluation.evaluation_key(seed, config.num_updates)
        where = (program.env, program.env_params(hypers), program.network)
        scores = evaluation.evaluate(key, *where, state.learner.params, episodes=32)
        return scores["greedy"].episode_return.mean(), metrics["kl_after"].max()

    returns, kl = jax.jit(jax.vmap(score))(seeds)
    assert float(returns.min()) >= 475, np.sort(returns)
    assert float(kl.max()) <= np.float32(0.01)
