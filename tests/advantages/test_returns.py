"""Advantages on policy: published numbers, slow loops, and what an episode's end may not do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rl_surrogates import advantages


def columns(*rows, dtype=jnp.float32):
    """Rows of a table as `[T, B]`."""
    return jnp.array(rows, dtype).T


def flags(length, *set_at):
    return jnp.zeros(length, bool).at[jnp.array(set_at, int)].set(True)


REWARD = columns([0, 0, 1, 0, -0.5], [0, 0, 0, 0, 1])
V = columns([1, 4, -3, -2, -1, -1], [-3, -2, -1, 0, 5, -1])
TERMINATED = jnp.stack([flags(5), flags(5, 3)], axis=1)
PUBLISHED = {
    1.0: ([-1.451188055, -4.45574551, 2.539651, 0.5249, -0.49], [3, 2, 1, 0, -4.9]),
    0.9: ([-1.24102998, -4.714960696, 2.53090831, 0.57341, -0.49], [2.7471, 1.91, 1, 0, -4.9]),
    0.7: ([-0.676979497, -5.248166663, 2.48460799, 0.67043, -0.49], [2.2899, 1.73, 1, 0, -4.9]),
    0.4: ([0.567318731, -6.042124417, 2.34312016, 0.81596, -0.49], [1.7256, 1.46, 1, 0, -4.9]),
    0.0: ([2.96, -6.97, 2.02, 1.01, -0.49], [1.2, 1.1, 1, 0, -4.9]),
}


@pytest.mark.parametrize("lambda_", PUBLISHED)
def test_gae_on_the_published_example_with_a_discount_per_environment(lambda_):
    got = advantages.gae(
        REWARD,
        V[:-1],
        V[1:],
        TERMINATED,
        jnp.zeros_like(TERMINATED),
        gamma=jnp.array([0.99, 0.9]),
        lambda_=lambda_,
    )
    assert_allclose(got, columns(*PUBLISHED[lambda_]), rtol=1e-5, atol=1e-6)


NONE = ()


@pytest.mark.parametrize(
    "reward, v, terminated, truncated, expected",
    [
        ([0, 0, 0, 0], [1, 1, 1, 1, 10], NONE, (2,), [-0.271, -0.19, -0.1, 8]),
        ([0, 0, 0, 0], [1, 1, 1, 1, 10], (2,), NONE, [-1, -1, -1, 8]),
        ([0, 0, 0, 0], [1, 1, 1, 1, 10], (2,), (2,), [-1, -1, -1, 8]),
        ([1, 0, 0], [1, 1, 0, 0], (2,), NONE, [0, -1, 0]),
        ([0, 0.5, 0], [1, 1, 1, 0], NONE, (2,), [-0.55, -0.5, -1]),
        ([0, 0, 2], [1, 1, 0.5, 0], (2,), NONE, [0.62, 0.8, 1.5]),
    ],
)
def test_a_time_limit_keeps_the_value_and_death_does_not(
    reward, v, terminated, truncated, expected
):
    v, length = jnp.array(v, jnp.float32), len(reward)
    got = advantages.gae(
        jnp.array(reward, jnp.float32),
        v[:-1],
        v[1:],
        flags(length, *terminated),
        flags(length, *truncated),
        gamma=0.9,
        lambda_=1.0,
    )
    assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_gae_bootstraps_from_the_true_successor():
    got = advantages.gae(
        jnp.array([0.0, 0.0, 1.0, 0.0, 0.0]),
        jnp.array([5.0, 4.0, 3.0, 1.0, 2.0]),
        jnp.array([4.0, 3.0, 1.0, 2.0, 0.0]),
        flags(5),
        flags(5, 2),
        gamma=0.9,
        lambda_=1.0,
    )
    assert_allclose(got, [-3.461, -2.29, -1.1, -1.0, -2.0], rtol=1e-5)


@pytest.fixture
def rollout():
    """123 steps of 7 environments with both kinds of ends, and the arrays in NumPy."""
    rng = np.random.default_rng(0)
    names = ("reward", "value", "next_value")
    data = {name: rng.normal(size=(123, 7)).astype(np.float32) for name in names}
    return data | {name: rng.random((123, 7)) < 0.1 for name in ("terminated", "truncated")}


def without(rollout, *names):
    return {name: jnp.asarray(x) for name, x in rollout.items() if name not in names}


def test_gae_is_a_loop(rollout):
    gamma, lambda_ = np.float32(0.97), np.float32(0.9)
    expected, later = np.zeros((123, 7), np.float32), np.zeros(7, np.float32)
    for t in reversed(range(123)):
        alive = gamma * (1 - rollout["terminated"][t].astype(np.float32))
        delta = rollout["reward"][t] + alive * rollout["next_value"][t] - rollout["value"][t]
        keep = gamma * (1 - (rollout["terminated"] | rollout["truncated"])[t].astype(np.float32))
        later = expected[t] = delta + keep * lambda_ * later
    got = jax.jit(lambda r: advantages.gae(**r, gamma=gamma, lambda_=lambda_))(without(rollout))
    assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def n_steps_by_hand(rollout, gamma, n, t, b):
    total, discount = 0.0, 1.0
    for k in range(n):
        total += discount * rollout["reward"][t + k, b]
        discount *= gamma
        ends = rollout["terminated"][t + k, b] or rollout["truncated"][t + k, b]
        if ends or t + k == 122 or k == n - 1:
            alive = not rollout["terminated"][t + k, b]
            return total + discount * alive * rollout["next_value"][t + k, b]


@pytest.mark.parametrize("n", (1, 2, 5, 123))
def test_n_step_return_is_a_loop(rollout, n):
    got = advantages.n_step_return(**without(rollout, "value"), gamma=0.9, n=n)
    expected = [[n_steps_by_hand(rollout, 0.9, n, t, b) for b in range(7)] for t in range(123)]
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_lambda_return_is_the_weighted_mean_of_n_step_returns(rollout):
    # One episode: R = (1 - l) sum l^(n-1) R^n, the rest of the weight on the longest.
    data = {name: x[-20:, 0] for name, x in rollout.items()}
    data |= {"terminated": np.zeros(20, bool), "truncated": np.zeros(20, bool)}
    data = without(data, "value")
    n = jnp.arange(1, 21)
    returns = jax.vmap(lambda n: advantages.n_step_return(**data, gamma=0.9, n=n))(n)
    weight = 0.7 ** (n - 1) * jnp.where(n < 20, 0.3, 1.0)
    expected = weight @ returns
    got = advantages.lambda_return(**data, gamma=0.9, lambda_=0.7)
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


RETURNS = {
    0.75: (
        [1.646054687, 0.7228125, 0.7375, 0.65, 3.4],
        [0.786631719, 0.99130625, 0.11015, 2.834, 3.99],
    ),
    1.0: ([1.315, 0.63, 0.7, 1.7, 3.4], [1.33592, 0.9288, 0.2576, 3.192, 3.99]),
}
REWARDS = columns([1, 0, -1, 0, 1], [0.5, 0.8, -0.7, 0, 2.1])
GAMMAS = columns([0.5, 0.9, 1, 0.5, 0.8], [0.9, 0.5, 0.3, 0.8, 0.7])
NEXT = columns([3, 1, 5, -5, 3], [-1.7, 1.2, 2.3, 2.2, 2.7])
NO = jnp.zeros((5, 2), bool)


@pytest.mark.parametrize("lambda_", RETURNS)
def test_lambda_return_on_the_published_example_with_a_discount_per_step(lambda_):
    got = advantages.lambda_return(REWARDS, NEXT, NO, NO, gamma=GAMMAS, lambda_=lambda_)
    assert_allclose(got, columns(*RETURNS[lambda_]), rtol=1e-5)


def test_n_step_return_takes_as_many_steps_as_remain():
    got = advantages.n_step_return(REWARDS, NEXT, NO, NO, gamma=GAMMAS, n=3)
    expected = columns([2.8, -3.15, 0.7, 1.7, 3.4], [1.2155, 0.714, 0.2576, 3.192, 3.99])
    assert_allclose(got, expected, rtol=1e-5)


def test_the_longest_n_step_return_is_the_lambda_return_without_decay(rollout):
    data = without(rollout, "value")
    longest = advantages.n_step_return(**data, gamma=0.9, n=123)
    assert_allclose(
        longest, advantages.lambda_return(**data, gamma=0.9, lambda_=1.0), rtol=1e-5, atol=1e-6
    )


def connected(rollout):
    """The same rollout with one V(s_{t+1}), as one network gives it inside an episode."""
    inside = ~(rollout["terminated"] | rollout["truncated"])[:-1]
    next_value = rollout["next_value"].copy()
    next_value[:-1][inside] = rollout["value"][1:][inside]
    return rollout | {"next_value": next_value}


def test_lambda_return_is_gae_plus_value(rollout):
    rollout = connected(rollout)
    expected = advantages.gae(**without(rollout), gamma=0.9, lambda_=0.8) + rollout["value"]
    got = advantages.lambda_return(**without(rollout, "value"), gamma=0.9, lambda_=0.8)
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_no_credit_leaks_over_the_end_of_an_episode(rollout):
    rollout["terminated"][60], later = True, slice(61, None)
    before = advantages.gae(**without(rollout), gamma=0.9, lambda_=0.8)
    for name in ("reward", "value", "next_value"):
        rollout[name][later] = 1e6
    rollout["next_value"][60] = 1e6  # dead: worth nothing, whatever the network says
    after = advantages.gae(**without(rollout), gamma=0.9, lambda_=0.8)
    assert_array_equal(after[:61], before[:61])


def test_both_flags_set_is_death(rollout):
    rollout |= {"terminated": rollout["truncated"]}
    got = advantages.gae(**without(rollout), gamma=0.9, lambda_=0.8)
    both = rollout["truncated"]
    assert_allclose(got[both], (rollout["reward"] - rollout["value"])[both], rtol=1e-6)


def test_without_trace_a_rollout_may_be_cut_anywhere(rollout):
    whole = advantages.gae(**without(rollout), gamma=0.9, lambda_=0.0)
    halves = [
        advantages.gae(
            **{name: x[part] for name, x in without(rollout).items()}, gamma=0.9, lambda_=0.0
        )
        for part in (slice(0, 60), slice(60, 123))
    ]
    assert_array_equal(whole, jnp.concatenate(halves))


def test_upgo_follows_the_data_only_while_they_do_well():
    # One step ahead: Q_{t+1} = r_{t+1} + V'_{t+1} = 3, 0, 5 against V_{t+1} = 1, 2, 4.
    reward, v = jnp.array([1.0, 1.0, -4.0, 4.0]), jnp.array([0.0, 1.0, 2.0, 4.0, 1.0])
    got = advantages.upgo(reward, v[:-1], v[1:], flags(4), flags(4), gamma=1.0)
    # G_3 = 4 + 1; Q_3 = 5 >= 4: G_2 = -4 + 5; Q_2 = 0 < 2: G_1 = 1 + V = 3; Q_1 = 3 >= 1: G_0 = 4
    assert_allclose(got, jnp.array([4.0, 3.0, 1.0, 5.0]) - v[:-1])


def test_upgo_does_not_look_into_the_next_episode(rollout):
    rollout["truncated"][60] = True
    got = advantages.upgo(**without(rollout), gamma=0.9)
    alive = 0.9 * ~rollout["terminated"][60]
    one_step = rollout["reward"][60] + alive * rollout["next_value"][60] - rollout["value"][60]
    assert_allclose(got[60], one_step, rtol=1e-5, atol=1e-6)


def test_upgo_never_promises_less_than_one_step(rollout):
    rollout = connected(rollout)
    one_step = advantages.gae(**without(rollout), gamma=0.9, lambda_=0.0)
    assert (advantages.upgo(**without(rollout), gamma=0.9) >= one_step - 1e-5).all()


def test_arrays_of_different_shapes_are_refused(rollout):
    with pytest.raises(AssertionError, match="shape"):
        advantages.gae(**without(rollout) | {"value": jnp.zeros((124, 7))}, gamma=0.9, lambda_=0.8)
