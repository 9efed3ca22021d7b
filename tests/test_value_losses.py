"""Value losses, with numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates import value_losses

VALUE, OLD = jnp.array([1.0, 2.0, 3.0]), jnp.array([0.5, 2.5, 2.9])
TARGET = jnp.array([2.0, 1.0, 3.5])


def test_squared_error_carries_its_half():
    assert_allclose(value_losses.squared_error(VALUE, TARGET), [0.5, 0.5, 0.125], rtol=1e-6)
    assert_allclose(value_losses.squared_error(VALUE, TARGET).mean(), 0.375, rtol=1e-6)


def test_clipped_squared_error_takes_the_larger_error():
    # clipped values .7, 2.3, 3.0: (1.3^2, 1.3^2, .5^2) / 2
    loss = value_losses.clipped_squared_error(VALUE, OLD, TARGET, epsilon=0.2)
    assert_allclose(loss, [0.845, 0.845, 0.125], rtol=1e-6)
    assert_allclose(loss.mean(), 0.605, rtol=1e-6)


def test_clipped_squared_error_stops_where_the_value_has_moved_far_enough():
    def total(value):
        return value_losses.clipped_squared_error(value, OLD, TARGET, epsilon=0.2).sum()

    # the first two moved towards the target by more than .2; the third by .1
    assert_allclose(jax.grad(total)(VALUE), [0.0, 0.0, -0.5], atol=1e-6)


def test_huber_is_quadratic_then_linear():
    value = jnp.array([0.5, 3.0, -4.0])
    loss, slope = value_losses.huber(value, jnp.zeros(3)), jax.vmap(jax.grad(value_losses.huber))
    assert_allclose(loss, [0.125, 2.5, 3.5], rtol=1e-6)  # u^2/2, then |u| - 1/2
    assert_allclose(slope(value, jnp.zeros(3)), [0.5, 1.0, -1.0], rtol=1e-6)
    assert_allclose(slope(jnp.array([1.0, 0.0]), jnp.zeros(2)), [1.0, 0.0], rtol=1e-6)
    wide = value_losses.huber(value, jnp.zeros(3), delta=1e6)
    assert_allclose(wide, value_losses.squared_error(value, jnp.zeros(3)), rtol=1e-6)


@pytest.mark.parametrize("target, loss", ((3.0, 0.12), (6.0, 0.85)))
def test_quantile_huber_on_the_published_example(target, loss):
    quantiles = jnp.arange(1.0, 6.0)
    assert_allclose(value_losses.quantile_huber(quantiles, jnp.float32(target)), loss, rtol=1e-6)


def test_quantile_huber_is_zero_at_the_target():
    assert value_losses.quantile_huber(jnp.full(5, 2.0), jnp.float32(2.0)) == 0.0


def test_quantile_huber_is_minimised_by_the_quantiles_of_the_data():
    target = jnp.array([0.0, 10.0, 20.0, 30.0])

    def total(quantiles):
        loss = value_losses.quantile_huber(jnp.broadcast_to(quantiles, (4, 2)), target, kappa=1e-3)
        return loss.sum()

    # levels 1/4 and 3/4: any point between the neighbours has no slope
    assert_allclose(jax.grad(total)(jnp.array([5.0, 25.0])), 0.0, atol=1e-6)


LOSSES = {
    "squared_error": lambda v, o, t: value_losses.squared_error(v, t),
    "clipped_squared_error": lambda v, o, t: value_losses.clipped_squared_error(v, o, t),
    "huber": lambda v, o, t: value_losses.huber(v, t),
}


@pytest.mark.parametrize("name", LOSSES)
def test_only_the_value_has_a_gradient(name):
    slopes = jax.grad(lambda *at: LOSSES[name](*at).sum(), argnums=(0, 1, 2))(VALUE, OLD, TARGET)
    assert np.abs(slopes[0]).max() > 0.0
    assert_allclose(slopes[1:], 0.0)
