"""The score of a policy: the first episode of each environment, run to its end."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rl_surrogates import evaluation
from tests.probes import ARM, ENDLESS, Accumulator, FixedNetwork, Probe, ProbeParams

PREFERS_ONE = FixedNetwork(lambda o: jnp.broadcast_to(jnp.array([0.0, 1.0]), (*o.shape[:-1], 2)))


def scores(env, network=PREFERS_ONE, params=None, *, episodes, key=0):
    run = partial(
        evaluation.evaluate, env=env, env_params=env.default_params, network=network, params=params
    )
    return jax.jit(partial(run, episodes=episodes))(jax.random.key(key))


@dataclasses.dataclass(frozen=True)
class Coin:
    """Episodes of 1 or 10 steps by a fair coin, reward 1 a step."""

    default_params: Any = None
    num_actions: int = 2

    def reset(self, key, params):
        return jnp.zeros(1), jnp.where(jax.random.bernoulli(key), 10, 1)

    def step(self, key, left, action, params):
        ended = left == 1
        state = jnp.where(ended, self.reset(key, params)[1], left - 1)
        reward = jnp.float32(1.0)
        return (
            jnp.zeros(1),
            state,
            reward,
            ended,
            jnp.zeros((), bool),
            {"final_observation": jnp.zeros(1)},
        )


@dataclasses.dataclass(frozen=True)
class LateGold:
    """Episodes of 2 or 5 steps; all but the first of an environment pay 1000 a step."""

    default_params: Any = None
    num_actions: int = 2

    def reset(self, key, params):
        length = jnp.where(jax.random.bernoulli(key), 5, 2)
        return jnp.zeros(1), (length, jnp.float32(1.0))

    def step(self, key, state, action, params):
        left, pay = state
        ended = left == 1
        fresh = self.reset(key, params)[1][0]
        after = (jnp.where(ended, fresh, left - 1), jnp.where(ended, 1000.0, pay))
        return (
            jnp.zeros(1),
            after,
            pay,
            jnp.zeros((), bool),
            ended,
            {"final_observation": jnp.zeros(1)},
        )


def test_short_episodes_are_not_favoured():
    found = scores(Coin(), episodes=20_000)
    pooled = np.concatenate([found["greedy"].episode_return, found["sampled"].episode_return])
    assert abs(pooled.mean() - 5.5) <= 0.05 + 0.03  # 4.5 / sqrt(40000) is one standard error
    assert set(np.unique(pooled)) == {1.0, 10.0}
    np.testing.assert_array_equal(found["greedy"].episode_length, found["greedy"].episode_return)


def test_only_the_first_episode_of_an_environment_counts():
    found = scores(LateGold(), episodes=64)
    for mode in ("greedy", "sampled"):
        assert found[mode].episode_return.shape == (64,)
        assert set(np.asarray(found[mode].episode_return)) == {2.0, 5.0}


def test_greedy_takes_the_mode_and_sampled_does_not():
    found = scores(Probe(ProbeParams(kind=ARM, length=1)), episodes=2000)
    assert found["greedy"].episode_return.mean() == 1.0
    share = 1.0 / (1.0 + np.exp(-1.0))  # probability of the better arm
    assert abs(float(found["sampled"].episode_return.mean()) - share) < 0.05


def test_an_episode_that_does_not_end_is_counted_with_what_it_has():
    env = Probe(ProbeParams(kind=ENDLESS, length=1_000_000), max_steps_in_episode=5)
    found = scores(env, episodes=3)
    assert found["greedy"].episode_return.tolist() == [5.0] * 3
    assert found["sampled"].episode_length.tolist() == [5] * 3


def test_a_recurrent_policy_is_evaluated_with_its_memory():
    network = Accumulator()
    params = network.init(jax.random.key(0), jnp.zeros(1))
    found = scores(Probe(ProbeParams(kind=ARM, length=3)), network, params, episodes=4)
    assert found["greedy"].episode_length.tolist() == [3] * 4


def test_the_same_key_gives_the_same_episodes_and_another_key_others():
    once, again = scores(Coin(), episodes=32), scores(Coin(), episodes=32)
    other = scores(Coin(), episodes=32, key=1)
    np.testing.assert_array_equal(once["greedy"].episode_return, again["greedy"].episode_return)
    assert (once["greedy"].episode_return != other["greedy"].episode_return).any()


def test_evaluation_keys_differ_by_seed_and_update_and_are_no_training_keys():
    seeds, updates = np.arange(16), np.arange(16)
    grid = jax.vmap(jax.vmap(evaluation.evaluation_key, (None, 0)), (0, None))(seeds, updates)
    mine = {tuple(k) for k in np.asarray(jax.random.key_data(grid)).reshape(-1, 2).tolist()}
    assert len(mine) == 256
    keys = jax.vmap(jax.random.key)(seeds)
    training = set()
    for _ in range(3):  # what training splits off, three generations down
        training |= {tuple(k) for k in np.asarray(jax.random.key_data(keys)).tolist()}
        keys = jax.vmap(partial(jax.random.split, num=3))(keys).reshape(-1)
    assert not mine & training
