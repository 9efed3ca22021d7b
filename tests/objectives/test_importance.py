"""Importance sampling, with numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates.objectives import (
    cispo,
    importance_ratio,
    importance_sampled,
    topr,
    truncated_importance_sampled,
    vespo,
)

RATIO = jnp.array([0.5, 1.5, 0.5, 6.0])
ADVANTAGE = jnp.array([1.0, 1.0, -1.0, -1.0])


def slopes(objective, ratio=RATIO, advantage=ADVANTAGE, **coefficients):
    """d l / d log pi of each sample, with log pi_old = 0."""

    def total(log_prob):
        return objective(log_prob, jnp.zeros_like(log_prob), advantage, **coefficients).sum()

    return jax.jit(jax.grad(total))(jnp.log(ratio))


def test_importance_ratio_of_two_softmax_policies():
    new = jax.nn.log_softmax(jnp.array([[0.2, 0.8], [0.6, 0.4]]))
    old = jax.nn.log_softmax(jnp.array([[0.8, 0.2], [0.6, 0.4]]))
    chosen = (jnp.arange(2), jnp.array([1, 0]))
    # logits differ by 0.6 either way, so p/q = e^.6 and the second state is untouched
    assert_allclose(importance_ratio(new[chosen], old[chosen]), [1.8221188, 1.0], rtol=1e-6)


def test_importance_ratio_keeps_small_moves():
    d = jnp.array([1e-7, -1e-7])
    assert_allclose(importance_ratio(d, jnp.zeros(2)) - 1.0, d, rtol=0.2)


@pytest.mark.parametrize("d", (-1e9, -200.0, -20.5, 20.5, 89.0, 1e9))
def test_importance_ratio_saturates_at_twenty_nats(d):
    assert_allclose(importance_ratio(d, 0.0), np.exp(20.0 * np.sign(d)), rtol=1e-6)


def test_a_bad_sample_at_89_nats_is_pulled_back_and_not_lost():
    value, slope = jax.value_and_grad(importance_sampled)(89.0, 0.0, -1.0)
    assert_allclose([value, slope], [-4.8516522e8, -4.8516522e8], rtol=1e-6)


def test_importance_sampled_weighs_the_advantage_by_the_ratio():
    value = importance_sampled(jnp.log(RATIO), jnp.zeros(4), ADVANTAGE)
    assert_allclose(value, [0.5, 1.5, -0.5, -6.0], rtol=1e-6)
    assert_allclose(slopes(importance_sampled), [0.5, 1.5, -0.5, -6.0], rtol=1e-6)


def test_truncation_caps_the_weight_and_keeps_the_gradient():
    got = slopes(truncated_importance_sampled, max_ratio=1.2)
    assert_allclose(got, [0.5, 1.2, -0.5, -1.2], rtol=1e-6)
    # value: min(r, 1) A log pi = 1 * 1 * log 1.5
    value = truncated_importance_sampled(jnp.log(1.5), 0.0, 1.0)
    assert_allclose(value, np.log(1.5), rtol=1e-6)


def test_cispo_clips_the_weight_on_both_sides():
    got = slopes(cispo, epsilon_low=0.2, epsilon_high=0.2)
    assert_allclose(got, [0.8, 1.2, -0.8, -1.2], rtol=1e-6)
    assert_allclose(slopes(cispo), [0.5, 1.5, -0.5, -5.0], rtol=1e-6)  # by default a cap of 5


def test_topr_takes_good_samples_in_full_and_tapers_bad_ones():
    assert_allclose(slopes(topr), [1.0, 1.0, -0.5, -1.0], rtol=1e-6)


def test_vespo_weighs_by_a_bump_that_is_one_at_ratio_one():
    ratio, advantage = jnp.array([1.0, 2.0, 2.0]), jnp.array([3.0, 1.0, -1.0])
    # A >= 0: k 2, lambda 3: 4 e^-3; A < 0: k 3, lambda 2: 8 e^-2
    expected = [3.0, 4.0 * np.exp(-3.0), -8.0 * np.exp(-2.0)]
    assert_allclose(slopes(vespo, ratio, advantage), expected, rtol=1e-5)
