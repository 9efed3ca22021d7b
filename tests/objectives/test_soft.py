"""Soft gates, with numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from rl_surrogates.objectives import sapo, scopic


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def test_sapo_gates_each_sign_with_its_own_temperature():
    ratio, advantage = jnp.array([1.0, 2.0, 2.0]), jnp.array([1.0, 1.0, -1.0])
    coefficients = {"tau_positive": 2.0, "tau_negative": 4.0}
    value = sapo(jnp.log(ratio), jnp.zeros(3), advantage, **coefficients)
    assert_allclose(value, [1.0, 2.0 * sigmoid(2.0), -sigmoid(4.0)], rtol=1e-6)
    slope = jax.vmap(jax.grad(lambda x, a: sapo(x, 0.0, a, **coefficients)))(
        jnp.log(ratio), advantage
    )
    expected = [1.0, 8.0 * sigmoid(2.0) * sigmoid(-2.0), -8.0 * sigmoid(4.0) * sigmoid(-4.0)]
    assert_allclose(slope, expected, rtol=1e-5)


def test_sapo_lets_no_sample_go_altogether():
    slope = jax.vmap(jax.grad(sapo), in_axes=(0, None, None))(
        jnp.log(jnp.array([0.1, 5.0])), 0.0, 1.0
    )
    assert (slope > 0.01).all()


def test_scopic_adds_the_price_of_the_kl():
    # (4 / 2) sigmoid(2 * .5) * 3 - 0.25 * 0.2
    value, slope_kl = jax.value_and_grad(scopic, argnums=3)(
        jnp.log(1.5), 0.0, 3.0, 0.2, tau=2.0, beta=0.25
    )
    assert_allclose(value, 6.0 * sigmoid(1.0) - 0.05, rtol=1e-6)
    assert_allclose(slope_kl, -0.25)
