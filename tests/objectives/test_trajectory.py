"""Trajectory-level estimators, with numbers worked by hand and by enumeration."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from rl_surrogates.objectives import trajectory

LOG_WEIGHT, RETURNS = jnp.log(jnp.array([1.0, 2.0, 5.0])), jnp.array([4.0, 1.0, 2.0])


def test_ordinary_estimate_is_the_mean_of_weighted_returns():
    estimate = trajectory.ordinary_importance_sampling(LOG_WEIGHT, RETURNS)
    assert_allclose(estimate, (4.0 + 2.0 + 10.0) / 3.0, rtol=1e-6)


def test_weighted_estimate_is_its_own_baseline():
    estimate, slope = jax.value_and_grad(trajectory.weighted_importance_sampling)(
        LOG_WEIGHT, RETURNS
    )
    assert_allclose(estimate, 2.0, rtol=1e-6)  # (4 + 2 + 10) / 8
    assert_allclose(slope, [1 / 8 * 2.0, 2 / 8 * -1.0, 0.0], atol=1e-6)


def test_weighted_estimate_survives_weights_that_overflow():
    estimate = trajectory.weighted_importance_sampling(LOG_WEIGHT + 1e3, RETURNS)
    assert_allclose(estimate, 2.0, rtol=1e-4)


def test_per_decision_estimate_weighs_a_reward_by_the_actions_before_it():
    log_ratio = jnp.log(jnp.array([[2.0, 1.0], [0.5, 3.0]]))  # [T, n]
    reward = jnp.array([[1.0, 2.0], [4.0, 1.0]])
    # 2 * 1 + .9 * 1 * 4 = 5.6 and 1 * 2 + .9 * 3 * 1 = 4.7
    estimate = trajectory.per_decision_importance_sampling(log_ratio, reward, gamma=0.9)
    assert_allclose(estimate, 5.15, rtol=1e-6)


def test_ordinary_and_per_decision_estimates_are_unbiased():
    old, new = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6])
    reward_of, gamma = np.array([1.0, -1.0, 3.0]), 0.8
    paths = np.array(list(itertools.product(range(3), repeat=2))).T  # [T, 9], all of them
    probability = old[paths].prod(axis=0)
    log_ratio = jnp.log(jnp.asarray(new / old))[paths]
    reward = jnp.asarray(reward_of)[paths] * probability * probability.size  # mean = expectation
    returns = reward[0] + gamma * reward[1]
    truth = (1.0 + gamma) * (new * reward_of).sum()
    ordinary = trajectory.ordinary_importance_sampling(log_ratio.sum(axis=0), returns)
    per_decision = trajectory.per_decision_importance_sampling(log_ratio, reward, gamma=gamma)
    assert_allclose([ordinary, per_decision], truth, rtol=1e-5)


def test_sequence_ratio_is_the_geometric_mean_over_the_steps_that_count():
    log_prob = jnp.log(jnp.array([[2.0, 2.0], [8.0, 2.0], [9.0, 2.0]]))
    mask = jnp.array([[True, True], [True, True], [False, True]])

    def surrogate(log_prob):
        return trajectory.sequence_ratio(log_prob, jnp.zeros((3, 2)), mask)[0] * 3.0

    ratio = trajectory.sequence_ratio(log_prob, jnp.zeros((3, 2)), mask)
    assert_allclose(ratio, [4.0, 2.0], rtol=1e-6)
    # s A / T for each of the two steps that count
    slope = jax.grad(surrogate)(log_prob)
    assert_allclose(slope, [[6.0, 0.0], [6.0, 0.0], [0.0, 0.0]], rtol=1e-6)
