"""A network with a memory on the same page: sequences stay whole, and a reset ends a memory."""

import dataclasses
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import make_program
from rl_surrogates.config import Config
from tests.probes import CLOCK, UNIFORM, Accumulator, Probe, ProbeParams

T, B = 6, 4


def made(**network):
    """A small training in episodes of three steps that a time limit ends."""
    config = Config(
        network=network,
        num_envs=B,
        num_steps=T,
        total_timesteps=5 * T * B,
        ascent={"num_epochs": 3, "num_minibatches": 2, "learning_rate": 0.05},
        advantage={"gae_lambda": 0.0, "standardise": "none", "gamma": 0.5},
    )
    return make_program(config, env=Probe(ProbeParams(kind=UNIFORM, length=3, limit=1)))


@pytest.fixture(scope="module")
def program():
    return dataclasses.replace(made(hidden=[1]), network=Accumulator())


@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_ratio_is_one_at_the_first_minibatch_of_every_update(shared):
    program = made(torso="gru", hidden=[8], shared=shared)
    _, metrics = jax.jit(program.train)(jax.random.key(0), program.config.hypers())
    assert float(metrics["first_ratio_error"].max()) <= 1e-5
    assert float(metrics["approx_kl"].min()) > 1e-9
    assert bool(metrics["finite"].all())


def judged(program, key=0):
    """The state before a rollout, its transitions, and the batch `[B, T, ...]` made of it."""

    @jax.jit
    def run(key):
        hypers = program.config.hypers()
        state = program.init(key, hypers)
        acting, first = program.collect(key, state, hypers)  # so that episodes are under way
        state = state._replace(acting=acting)
        _, transitions = program.collect(jax.random.fold_in(key, 1), state, hypers)
        return state, transitions, program.judge(state, transitions, hypers), first

    return run(jax.random.key(key))


def test_a_sample_is_a_whole_sequence_with_the_memory_that_it_began_with(program):
    state, transitions, batch, _ = judged(program)
    assert batch.observation.shape == (B, T, 1) and batch.advantage.shape == (B, T)
    np.testing.assert_array_equal(batch.observation, jnp.swapaxes(transitions.observation, 0, 1))
    np.testing.assert_array_equal(batch.carry, state.acting.carry)
    assert jnp.abs(batch.carry).min() > 0


def test_the_ends_of_episodes_inside_a_sequence_reach_the_losses(program):
    # A rollout has no padding: `reset` is all that the losses have to know of a sequence.
    state, _, batch, _ = judged(program)
    assert bool(batch.reset.any()) and not bool(batch.reset.all())
    score = jax.jit(
        partial(program.score, hypers=program.config.hypers(), coefficients={"epsilon": 0.2})
    )
    seen, unseen = (
        score(state.learner.params, batch._replace(reset=reset)).info["ratio_error"]
        for reset in (batch.reset, jnp.zeros_like(batch.reset))
    )
    assert float(seen) <= 1e-5 < 1e-3 < float(unseen)


def test_a_minibatch_is_a_number_of_whole_sequences(program, monkeypatch):
    seen = []
    score = type(program).score

    def watched(self, params, batch, **rest):
        seen.append(batch.observation.shape)
        return score(self, params, batch, **rest)

    monkeypatch.setattr(type(program), "score", watched)
    hypers = program.config.hypers()
    state = jax.eval_shape(program.init, jax.random.key(0), hypers)
    jax.eval_shape(program.update, state, hypers)
    assert seen and set(seen) == {(B // 2, T, 1)}


def test_a_successor_is_valued_with_the_memory_that_led_to_it(program):
    state, transitions, batch, _ = judged(program)
    weights = np.asarray(state.learner.params["value"]["kernel"])
    memory = np.asarray(state.acting.carry, np.float64)
    for t in range(T):
        memory = np.where(transitions.reset[t], 0.0, memory) + transitions.observation[t, :, 0]
        now = np.stack([transitions.observation[t, :, 0], memory], -1) @ weights
        seen = transitions.next_observation[t, :, 0]
        then = np.stack([seen, memory + seen], -1) @ weights  # not reset, even at a time limit
        expected = transitions.reward[t] + 0.5 * then - now
        np.testing.assert_allclose(batch.advantage[:, t], expected, rtol=1e-4, atol=1e-5)
    assert bool(transitions.truncated.any())


@pytest.fixture(scope="module", params=["accumulator", "gru"])
def two_episodes(request):
    """Two episodes of 5 steps in 3 environments, a network, and what it makes of a sequence."""
    network = Accumulator() if request.param == "accumulator" else made(torso="gru").network
    params = jax.jit(network.init)(jax.random.key(0), jnp.zeros(1))
    unroll = jax.jit(lambda *inputs: network.unroll(params, *inputs)[:2])
    observation = jax.random.normal(jax.random.key(1), (2, 5, 3, 1))
    first = jnp.zeros((5, 3), bool).at[0].set(True)
    return unroll, observation, first, network.initial_carry(3)


def test_two_episodes_in_one_environment_equal_two_rollouts(two_episodes):
    unroll, observation, first, fresh = two_episodes
    left_behind = jax.tree.map(lambda leaf: leaf + 7.0, fresh)  # by an earlier episode
    joined = unroll(observation.reshape(10, 3, 1), jnp.tile(first, (2, 1)), left_behind)
    apart = [unroll(one, first, fresh) for one in observation]
    expected = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *apart)
    chex.assert_trees_all_close(joined, expected, rtol=1e-5, atol=1e-7)


def test_an_episode_leaves_no_bit_to_the_next(two_episodes):
    unroll, observation, first, fresh = two_episodes
    resets = jnp.tile(first, (2, 1))
    other = observation.at[0].add(1.0)
    one, two = (unroll(seen.reshape(10, 3, 1), resets, fresh) for seen in (observation, other))
    chex.assert_trees_all_equal(*(jax.tree.map(lambda leaf: leaf[5:], got) for got in (one, two)))
    assert jnp.abs(one[1][:5] - two[1][:5]).max() > 1e-3


def test_values_of_an_environment_do_not_depend_on_the_episodes_before(program):
    env = Probe(ProbeParams(kind=CLOCK, length=3, limit=0))
    _, transitions, batch, first = judged(dataclasses.replace(program, env=env))
    assert jnp.array_equal(
        first.observation, transitions.observation
    )  # two rollouts of two episodes
    values = batch.value_old
    np.testing.assert_array_equal(values[:, :3], values[:, 3:])
