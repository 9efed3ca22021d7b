"""Experience: what one step keeps, and what a reset must not touch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import rollout
from tests.probes import CLOCK, UNIFORM, Accumulator, FixedNetwork, Probe, ProbeParams

UNIFORM_POLICY = FixedNetwork(lambda observation: jnp.zeros((*observation.shape[:-1], 2)))


def collected(env, network=UNIFORM_POLICY, num_envs=3, num_steps=7, params=None):
    """`(acting before, acting after, transitions [T, B, ...])`."""

    @jax.jit
    def run(key):
        key_start, key_run = jax.random.split(key)
        keys_start = jax.random.split(key_start, num_envs)
        before = rollout.start(keys_start, env, env.default_params, network)
        after, transitions = rollout.collect(
            key_run, env, env.default_params, network, params, before, num_steps=num_steps
        )
        return before, after, transitions

    return run(jax.random.key(0))


@pytest.fixture(scope="module", params=[0, 1], ids=["death", "limit"])
def clock(request):
    """Seven steps of episodes of three, the time as observation."""
    found = collected(Probe(ProbeParams(kind=CLOCK, length=3, limit=request.param)))
    return request.param, *found


def column(leaf):
    """The one environment of several equal ones."""
    values = np.asarray(leaf).reshape(len(leaf), -1)
    assert (values == values[:, :1]).all()
    return values[:, 0].tolist()


def test_a_step_keeps_the_successor_from_before_the_reset(clock):
    _, _, _, steps = clock
    assert column(steps.observation) == [0, 1, 2, 0, 1, 2, 0]
    assert column(steps.next_observation) == [1, 2, 3, 1, 2, 3, 1]


def test_an_end_is_death_or_a_time_limit_and_the_next_observation_is_the_first(clock):
    limit, _, after, steps = clock
    ended = [0, 0, 1, 0, 0, 1, 0]
    assert column(steps.truncated) == (ended if limit else [0] * 7)
    assert column(steps.terminated) == ([0] * 7 if limit else ended)
    assert column(steps.reset) == [1, 0, 0, 1, 0, 0, 1]
    assert not after.reset.any() and column(after.observation[None]) == [1]


def test_returns_and_lengths_are_those_of_the_running_episode(clock):
    _, _, after, steps = clock
    assert column(steps.episode_return) == [1, 2, 3, 1, 2, 3, 1]
    assert column(steps.episode_length) == [1, 2, 3, 1, 2, 3, 1]
    assert after.episode_return.tolist() == [1, 1, 1]
    assert after.episode_length.tolist() == [1, 1, 1]


def test_an_episode_goes_on_into_the_next_rollout():
    env = Probe(ProbeParams(kind=CLOCK, length=5, limit=1))

    @jax.jit
    def run(key):
        keys = jax.random.split(key)
        acting = rollout.start(keys, env, env.default_params, UNIFORM_POLICY)
        collect = partial(
            rollout.collect, env=env, env_params=env.default_params, network=UNIFORM_POLICY
        )
        acting, first = collect(key, params=None, acting=acting, num_steps=3)
        acting, second = collect(key, params=None, acting=acting, num_steps=3)
        return first, second

    first, second = run(jax.random.key(0))
    assert column(first.observation) + column(second.observation) == [0, 1, 2, 3, 4, 0]
    assert column(second.episode_return) == [4, 5, 1]


def test_environments_are_independent_and_so_are_the_episodes_of_one():
    _, _, steps = collected(Probe(ProbeParams(kind=UNIFORM, length=1)), num_envs=16)
    assert len(np.unique(steps.observation)) == 7 * 16
    assert len({tuple(row) for row in np.asarray(steps.action).T.tolist()}) > 10


def test_what_acted_is_kept_with_what_it_did():
    network = FixedNetwork(lambda o: jnp.concatenate([o, 0.5 - o], axis=-1))
    _, _, steps = collected(Probe(ProbeParams(kind=UNIFORM, length=1)), network, num_envs=16)
    assert steps.log_prob.shape == (7, 16) and steps.distribution.logits.shape == (7, 16, 2)
    np.testing.assert_allclose(steps.distribution.logits[..., :1], steps.observation)
    np.testing.assert_array_equal(steps.distribution.log_prob(steps.action), steps.log_prob)


def test_a_memory_is_cleared_where_an_episode_begins_and_kept_elsewhere():
    env, network = Probe(ProbeParams(kind=CLOCK, length=3)), Accumulator()
    params = network.init(jax.random.key(1), jnp.zeros(1))
    _, after, steps = collected(env, network, params=params)
    # Sums of 0, 1, 2 | 0, 1, 2 | 0.
    assert after.carry.tolist() == [0.0] * 3
    _, after, _ = collected(env, network, params=params, num_steps=6)
    assert after.carry.tolist() == [3.0] * 3  # the reset comes with the next step
    logits = steps.distribution.logits
    np.testing.assert_allclose(logits[:3], logits[3:6], rtol=1e-6)
    np.testing.assert_allclose(logits[0], logits[6], rtol=1e-6)


def test_an_accelerator_takes_several_steps_per_turn_and_they_are_the_same(monkeypatch):
    probe = Probe(ProbeParams(kind=CLOCK, length=3, limit=1))
    one_by_one = collected(probe, num_steps=19)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert 1 < rollout.steps_per_turn() < 19
    together = collected(probe, num_steps=19)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), together, one_by_one)
