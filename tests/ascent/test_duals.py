"""Weights on samples, and the prices of the two bounds: numbers worked by hand, and the optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.ascent import duals
from rl_surrogates.objectives import awr

LOG2 = np.log(2.0)
ADVANTAGE = jnp.array([0.0, LOG2, -1.0, 2 * LOG2, -3.0, LOG2])  # exp: 1, 2, ., 4, ., 2
TOP = jnp.array([False, True, False, True, False, True])
ALL = jnp.ones(6, bool)


@pytest.mark.parametrize(
    "advantage, top",
    [
        (ADVANTAGE, TOP),
        ([3.0, 1.0, 2.0], [True, False, True]),  # of an odd number the larger part
        ([1.0, 1.0, 1.0, 0.0], [True, True, True, False]),  # equals of the last one
        ([5.0], [True]),
        ([[0.0, 4.0], [3.0, 1.0]], [[False, True], [True, False]]),  # sequences
    ],
)
def test_the_top_half_is_chosen_over_all_samples(advantage, top):
    assert duals.top_half(jnp.array(advantage)).tolist() == jnp.array(top).tolist()


def test_weights_are_a_softmax_over_the_chosen_samples():
    # exp(A) on the top half: 2, 4, 2, of 8
    psi = jax.jit(duals.weights)(ADVANTAGE, 1.0, TOP)
    np.testing.assert_allclose(psi, [0, 0.25, 0, 0.5, 0, 0.25], rtol=1e-6)
    # at eta = 2 the square roots: sqrt 2, 2, sqrt 2
    root = np.sqrt(2.0)
    expected = np.array([0, root, 0, 2, 0, root]) / (2 + 2 * root)
    np.testing.assert_allclose(duals.weights(ADVANTAGE, 2.0, TOP), expected, rtol=1e-6)


def test_the_temperature_loss_and_its_slope_by_hand():
    # mean exp(A) over the top half is 8 / 3; KL = 2/4 log(3/4) + 1/2 log(3/2)
    loss = jax.value_and_grad(lambda eta: duals.temperature_loss(ADVANTAGE, eta, TOP, epsilon=0.1))
    value, slope = jax.jit(loss)(1.0)
    kl = 0.5 * np.log(0.75) + 0.5 * np.log(1.5)
    np.testing.assert_allclose(value, 0.1 + np.log(8 / 3), rtol=1e-6)
    np.testing.assert_allclose(slope, 0.1 - kl, rtol=1e-5)
    psi = duals.weights(ADVANTAGE, 1.0, TOP)
    np.testing.assert_allclose(duals.weights_kl(psi, TOP), kl, rtol=1e-5)


def test_the_divergence_of_weights_runs_from_zero_to_the_logarithm_of_their_number():
    assert float(duals.weights_kl(jnp.full(6, 1 / 6), ALL)) == pytest.approx(0.0, abs=1e-6)
    one = jnp.zeros(6).at[2].set(1.0)
    np.testing.assert_allclose(duals.weights_kl(one, ALL), np.log(6), rtol=1e-6)


def test_the_price_of_moving_grows_while_the_policy_moves_too_far():
    slope = jax.grad(duals.multiplier_loss)
    np.testing.assert_allclose(slope(5.0, 0.03, epsilon=0.01), -0.02, rtol=1e-6)
    np.testing.assert_allclose(slope(5.0, 0.0, epsilon=0.01), 0.01, rtol=1e-6)
    assert float(jax.grad(duals.multiplier_loss, argnums=1)(5.0, 0.03, epsilon=0.01)) == 0.0


@pytest.fixture(scope="module")
def solved():
    """8 problems of 64 samples on different scales: advantages, epsilons, eta, KL, slope, psi."""
    keys = jax.random.split(jax.random.key(0), 8)
    scale = 10.0 ** jnp.arange(-4.0, 4.0)
    advantage = 3.0 * scale[:, None] + scale[:, None] * jax.vmap(
        lambda key: jax.random.normal(key, (64,))
    )(keys)
    epsilon = jnp.array([0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 1.0, 2.0])

    @jax.jit
    @jax.vmap
    def solve(advantage, epsilon):
        top = duals.top_half(advantage)
        eta = duals.solve_temperature(advantage, top, epsilon=epsilon)
        psi = duals.weights(advantage, eta, top)
        slope = jax.grad(lambda eta: duals.temperature_loss(advantage, eta, top, epsilon=epsilon))(
            eta
        )
        return eta, duals.weights_kl(psi, top), slope, psi

    return (advantage, epsilon, *solve(advantage, epsilon))


def test_at_the_optimal_temperature_the_divergence_of_the_weights_is_its_bound(solved):
    _, epsilon, eta, kl, _, _ = solved
    np.testing.assert_allclose(kl, epsilon, rtol=1e-3)
    assert float(eta.min()) > 0.0


def test_the_optimal_temperature_is_the_minimum_of_its_loss(solved):
    np.testing.assert_allclose(solved[4], 0.0, atol=1e-3)


def test_the_weights_are_those_of_awr_at_that_temperature(solved):
    advantage, _, eta, _, _, psi = solved
    for problem in range(3, 5):  # N psi = exp(A' / eta) with A' = A - eta log mean_all exp(A/eta)
        a, h = np.float64(advantage[problem]), float(eta[problem])
        top = np.asarray(duals.top_half(advantage[problem]))
        shifted = a - h * np.log(np.exp(a / h, where=top, out=np.zeros_like(a)).sum() / a.size)
        shifted = np.where(top, shifted, -1e9)
        slope = jax.grad(
            lambda x, s=shifted, h=h: awr(x, jnp.float32(s), beta=h, max_weight=1e9).sum()
        )
        np.testing.assert_allclose(slope(jnp.zeros(64)) / 64, psi[problem], rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    "advantage", [jnp.zeros(6), jnp.full(6, 1000.1), jnp.array([1.0] + [0.0] * 5)]
)
def test_a_bound_that_no_temperature_reaches_gives_finite_weights_on_the_best(advantage):
    # log 6 = 1.79: even all weight on one sample is within the bound
    eta = jax.jit(lambda a: duals.solve_temperature(a, ALL, epsilon=5.0))(advantage)
    psi = duals.weights(advantage, eta, ALL)
    best = advantage == advantage.max()
    np.testing.assert_allclose(psi, best / best.sum(), atol=1e-6)
    assert 0.0 < float(eta) < np.inf
