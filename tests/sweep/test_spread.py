"""Lanes on devices, and in groups one after the other: the same results in the same order."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import Config, make_program
from rl_surrogates.sweep.spread import LANES, SHARED, group_size, lanes_at_once, over_lanes

LANES_OF_TEST = 6 * jax.local_device_count()


@pytest.mark.parametrize(
    ("lanes", "at_once", "size"),
    [(64, 8, 8), (20, 8, 10), (13, 8, 13), (3, 8, 3), (8, 8, 8), (6, 1, 1), (5, None, 5)],
)
def test_a_group_has_at_least_so_many_lanes_and_leaves_no_rest(lanes, at_once, size):
    assert group_size(lanes, at_once) == size


def test_a_cpu_steps_some_environments_together_of_few_lanes_or_of_one():
    assert [lanes_at_once(n) for n in (1, 4, 32, 64)] == [32, 8, 1, 1]


@pytest.mark.parametrize("at_once", [None, 1, 2, 4])
def test_groups_give_what_all_lanes_at_once_give(at_once):
    def step(state, by, times):
        return {"key": state["key"], "sum": state["sum"] + by * times}, (by - times)[None]

    fn = over_lanes(step, (LANES, LANES, SHARED), at_once=at_once)
    keys = jax.random.split(jax.random.key(0), LANES_OF_TEST)
    numbers = np.arange(LANES_OF_TEST, dtype=np.float32)
    state, other = fn({"key": keys, "sum": 10.0 * numbers}, numbers, np.float32(3.0))
    np.testing.assert_array_equal(state["sum"], 13.0 * numbers)
    np.testing.assert_array_equal(other, (numbers - 3.0)[:, None])
    assert (state["key"] == keys).all()


def test_a_training_in_groups_is_the_same_training_however_it_is_cut():
    """In one chunk or in two, bit by bit; beside all lanes at once, to rounding."""
    config = Config(
        env={"name": "CartPole-v1"},
        network={"torso": "mlp", "hidden": [8]},
        num_envs=2,
        num_steps=8,
        total_timesteps=48,
        ascent={"name": "minibatch", "num_epochs": 2, "num_minibatches": 2},
    )
    program, hypers = make_program(config), config.hypers()
    keys = jax.random.split(jax.random.key(0), LANES_OF_TEST)
    begun = jax.jit(jax.vmap(program.init, in_axes=(0, None)))(keys, hypers)
    many = jax.tree.map(lambda one: np.full(LANES_OF_TEST, one, np.float32), hypers)

    def trained(at_once, *chunks):
        advance = partial(program.advance, rows=3)
        fn, state = over_lanes(advance, (LANES, LANES, SHARED), at_once=at_once), begun
        for count in chunks:
            state, metrics = fn(state, many, np.int32(count))
        return state.learner.params, metrics

    whole, cut = trained(2, 3), trained(2, 1, 2)
    jax.tree.map(np.testing.assert_array_equal, whole[0], cut[0])
    for name, rows in cut[1].items():
        np.testing.assert_array_equal(rows[:, :2], whole[1][name][:, 1:3])
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-5), whole[0], trained(None, 3)[0])
    assert jnp.ptp(whole[1]["policy_loss"], axis=0).min() > 0.0  # the lanes are not one
