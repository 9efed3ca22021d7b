"""Why DeepSea is a negative control only where it is deep: what undirected exploration can find.

The treasure ends a path of N right moves, one of 2^N paths, and each right move costs 0.01 / N.
Nothing here trains: the policy gradient is exact, over the table of states (row, column).
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import environments

COST = 0.01
STEPS = 149_760  # of a run of configs/reference/deepsea_ppo.yaml
DEFAULT, DEEP = 8, 30  # the size that gymnax makes, and that of the control


def action_values(right):
    """Q of left and right `[2, N, N]` for probabilities of right `[N, N]`."""
    size = len(right)
    column, value = np.arange(size), np.zeros(size)
    q = np.zeros((2, size, size))
    for row in reversed(range(size)):
        q[0, row] = value[np.maximum(column - 1, 0)]
        q[1, row] = value[np.minimum(column + 1, size - 1)] - COST / size + (column == size - 1)
        value = right[row] * q[1, row] + (1.0 - right[row]) * q[0, row]
    return q


def visits(right):
    """How often each state is met in an episode, `[N, N]`."""
    size = len(right)
    met = np.zeros((size, size))
    met[0, 0] = 1.0
    for row in range(size - 1):
        ahead, back = met[row] * right[row], met[row] * (1.0 - right[row])
        met[row + 1, 1:] = ahead[:-1]
        met[row + 1, :-1] += back[1:]
        met[row + 1, 0] += back[0]
    return met


def chance_after_exact_ascent(size, steps=300, rate=100.0):
    """How likely an episode finds the treasure after exact policy gradient ascent from uniform."""
    logits = np.zeros((size, size))
    for _ in range(steps):
        right = 1.0 / (1.0 + np.exp(-logits))
        left_and_right = action_values(right)
        gain = left_and_right[1] - left_and_right[0]
        logits += rate * visits(right) * right * (1.0 - right) * gain
    return np.prod(np.diag(1.0 / (1.0 + np.exp(-logits))))


@pytest.mark.parametrize("size", [DEFAULT, 14])
def test_exact_policy_gradient_finds_the_treasure_at_the_default_size(size):
    assert chance_after_exact_ascent(size) > 0.9


@pytest.mark.parametrize("size", [16, DEEP])
def test_exact_policy_gradient_turns_away_from_it_where_it_is_deep(size):
    assert chance_after_exact_ascent(size) < 0.2 * 0.5**size


@pytest.mark.parametrize("size, times", [(DEFAULT, 73.1), (DEEP, 4.65e-6)])
def test_how_often_a_uniform_policy_finds_it_in_a_run(size, times):
    np.testing.assert_allclose(STEPS / size * 0.5**size, times, rtol=1e-3)


def test_the_table_of_values_is_that_of_the_environment():
    env = environments.make("DeepSea-bsuite", size=3)
    params = env.default_params
    paths = np.array(list(np.ndindex(2, 2, 2)))  # 1 is a move to the right

    @jax.jit
    @jax.vmap
    def played(path):
        _, state = env.reset(jax.random.key(0), params)
        total = 0.0
        for right in path:
            mapped = state.action_mapping[state.row, state.column]
            action = jnp.where(right == 1, mapped, 1 - mapped)
            _, state, reward, terminated, _, _ = env.step(jax.random.key(0), state, action, params)
            total += reward
        return total, terminated

    total, terminated = played(paths)
    assert terminated.all()
    q = action_values(np.full((3, 3), 0.5))
    for right in (0, 1):
        np.testing.assert_allclose(q[right, 0, 0], total[paths[:, 0] == right].mean(), rtol=1e-5)
