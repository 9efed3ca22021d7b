"""The value of every true successor, most of them without a pass of the value function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import bootstrap
from rl_surrogates.types import Transition

NUM_STEPS, NUM_ENVS = 37, 3  # in sixteen parts the last one is not full
RANDOM = np.random.default_rng(0)
VALUE, AFTER = RANDOM.normal(size=(2, NUM_STEPS, NUM_ENVS)).astype(np.float32)  # V(s), V(s')
SHARES = [0.0, 0.02, 0.5, 1.0]
CUT = RANDOM.random((len(SHARES), NUM_STEPS, NUM_ENVS)) < np.reshape(SHARES, (-1, 1, 1))
asked = []


def network(params, observation, reset, carry):
    """V is observation plus carry, and NaN after a reset; notes how many are asked for."""
    asked.append(observation.size)
    return None, jnp.where(reset, jnp.nan, observation + carry), None


def next_values(truncated, rows=NUM_STEPS):
    value, after = VALUE[:rows], AFTER[:rows]
    fields = dict.fromkeys(Transition._fields)
    seen = {"truncated": truncated, "next_observation": 0.25 * after, "reset": after > 0.0}
    transitions, carry = jax.tree.map(jnp.asarray, (Transition(**(fields | seen)), 0.75 * after))
    return bootstrap.next_values(network, None, transitions, value, carry)


def one_by_one(truncated, rows=NUM_STEPS):
    """The same, in words: the next row, but of the last row and of cut episodes V(s') itself."""
    found = np.empty((rows, NUM_ENVS), np.float32)
    for t, b in np.ndindex(*found.shape):
        own = truncated[t, b] or t == rows - 1
        found[t, b] = AFTER[t, b] if own else VALUE[t + 1, b]
    return found


@pytest.mark.parametrize("rows", [1, 2, 16, NUM_STEPS])
@pytest.mark.parametrize("share", range(len(SHARES)))
def test_it_is_the_next_value_unless_a_time_limit_cut_the_episode(rows, share):
    cut = CUT[share, :rows]
    np.testing.assert_allclose(next_values(cut, rows), one_by_one(cut, rows), rtol=1e-6)


def test_lanes_with_more_and_fewer_cut_episodes_do_not_disturb_each_other():
    for lane, cut in zip(jax.vmap(next_values)(CUT), CUT, strict=True):
        np.testing.assert_allclose(lane, one_by_one(cut), rtol=1e-6)


def test_a_sixteenth_of_the_rollout_is_valued_at_a_time():
    asked.clear()
    jax.eval_shape(next_values, CUT[0])
    assert set(asked) == {3 * NUM_ENVS}  # 3 of 37 rows


class Network:
    """V(s) = 2 s, or with a memory the sum of all s since a reset, the present one included."""

    def __init__(self, recurrent):
        self.recurrent = recurrent

    def __call__(self, params, observation, reset, carry):
        if not self.recurrent:
            return None, 2.0 * observation, ()
        total = jnp.where(reset, 0.0, carry) + observation
        return None, total, total

    def unroll(self, params, observation, reset, carry):
        if not self.recurrent:
            return self(params, observation, reset, carry)

        def step(carry, now):
            _, value, carry = self(params, *now, carry)
            return carry, (value, carry)

        return None, *jax.lax.scan(step, carry, (observation, reset))[1]


@pytest.mark.parametrize("recurrent", [False, True])
def test_values_of_a_long_rollout_are_those_of_one_pass_over_it(recurrent):
    shape, random = (512, 8), np.random.default_rng(4)  # four parts
    observation, after = random.normal(size=(2, *shape)).astype(np.float32)
    truncated = random.random(shape) < 0.1
    reset = np.vstack([np.zeros_like(truncated[:1]), truncated[:-1]])
    after = np.where(
        truncated | (np.arange(512) == 511)[:, None], after, np.roll(observation, -1, 0)
    )
    fields = {"observation": observation, "reset": reset, "next_observation": after}
    blank = dict.fromkeys(Transition._fields)
    transitions = jax.tree.map(jnp.asarray, Transition(**blank | fields | {"truncated": truncated}))
    value, next_value = bootstrap.values(
        Network(recurrent), None, transitions, jnp.ones(8) if recurrent else ()
    )
    memory, expected, following = np.ones(8), np.empty(shape), np.empty(shape)
    for t in range(512):
        memory = np.where(reset[t], 0.0, memory) + observation[t]
        expected[t] = memory if recurrent else 2.0 * observation[t]
        following[t] = memory + after[t] if recurrent else 2.0 * after[t]
    np.testing.assert_allclose(value, expected, atol=1e-4)
    np.testing.assert_allclose(next_value, following, atol=1e-4)
