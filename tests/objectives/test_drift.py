"""Drift surrogates, with numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates.objectives import dpo, simple_quadratic, spo


def value_and_slope(objective, ratio, advantage, **coefficients):
    """Value and d l / d log pi of each sample, with log pi_old = 0."""
    at = (jnp.log(jnp.asarray(ratio)), jnp.asarray(advantage))
    return jax.vmap(jax.value_and_grad(lambda x, a: objective(x, 0.0, a, **coefficients)))(*at)


def test_spo_charges_quadratically_for_the_distance():
    value, slope = value_and_slope(spo, [1.1, 1.5, 0.5], [2.0, 2.0, -2.0], epsilon=0.2)
    # 2.2 - 2 * .01 / .4;  3 - 2 * .25 / .4;  -1 - 2 * .25 / .4
    assert_allclose(value, [2.15, 1.75, -2.25], rtol=1e-6)
    # 1.1 (2 - 2 * .1 / .2);  1.5 (2 - 2 * .5 / .2);  .5 (-2 + 2 * .5 / .2)
    assert_allclose(slope, [1.1, -4.5, 1.5], rtol=1e-5)


@pytest.mark.parametrize("advantage", (-3.0, -0.1, 0.1, 3.0))
def test_spo_and_its_ablation_are_best_at_the_edge_of_the_range(advantage):
    best = 1.0 + 0.2 * np.sign(advantage)
    for objective in (spo, simple_quadratic):
        _, slope = value_and_slope(objective, [best - 0.01, best, best + 0.01], [advantage] * 3)
        assert slope[0] > 0.0 > slope[2]
        assert_allclose(slope[1], 0.0, atol=1e-6 * abs(advantage) + 1e-7)


def test_simple_quadratic_forgets_the_size_of_the_advantage():
    value, slope = value_and_slope(simple_quadratic, [1.0, 1.0, 1.5], [5.0, -0.1, 5.0], epsilon=0.2)
    assert_allclose(value, [-0.04, -0.04, -0.09], rtol=1e-5)
    assert_allclose(slope, [0.4, -0.4, -0.9], rtol=1e-5)  # -2 r (r - 1 -+ .2)


def test_dpo_in_its_four_regions():
    ratio, advantage = [2.0, 0.5, 0.5, 2.0], [2.0, 2.0, -2.0, -2.0]
    value, slope = value_and_slope(dpo, ratio, advantage, alpha=2.0, beta=0.6)
    v = 2.0 * np.log(2.0)
    # A > 0, r = 2: u = 2; A > 0, r < 1: no drift; A < 0, r < 1: v = 2 log 2; A < 0, r > 1: none
    drift = np.array([2.0 - 2.0 * np.tanh(1.0), 0.0, v - 0.6 * np.tanh(v / 0.6), 0.0])
    assert_allclose(value, np.multiply(ratio, advantage) - drift, rtol=1e-5)
    rolled_back = -2.0 * (0.5 - np.tanh(v / 0.6) ** 2)
    assert_allclose(slope, [4.0 / np.cosh(1.0) ** 2, 1.0, rolled_back, -4.0], rtol=1e-5)
    assert rolled_back > 0.0


def test_dpo_starts_like_the_ratio_up_to_third_order():
    d = jnp.array([-0.01, 0.01])
    for advantage in (1.0, -1.0):
        drift = jnp.exp(d) * advantage - dpo(d, jnp.zeros(2), jnp.full(2, advantage))
        assert (jnp.abs(drift) < 2e-6).all()
