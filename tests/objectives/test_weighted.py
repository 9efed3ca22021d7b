"""Weighted regression, with numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from rl_surrogates import advantages
from rl_surrogates.objectives import awr, crr_binary, pmpo, policy_gradient, self_imitation

LOG_PROB, ADVANTAGE = jnp.array([-1.0, -2.0, -0.5, -3.0]), jnp.array([0.1, -0.1, 2.0, 0.0])


def slopes(objective, *more, **coefficients):
    def total(log_prob):
        return objective(log_prob, ADVANTAGE, *more, **coefficients).sum()

    return jax.grad(total)(LOG_PROB)


def test_awr_weighs_exponentially_up_to_a_cap():
    weight = np.array([np.e, 1.0 / np.e, 20.0, 1.0])  # beta = .1; e^20 is capped
    assert_allclose(slopes(awr, beta=0.1), weight, rtol=1e-5)
    assert_allclose(awr(LOG_PROB, ADVANTAGE, beta=0.1), weight * LOG_PROB, rtol=1e-5)


def test_awr_takes_samples_of_no_weight_at_all():
    value, slope = jax.value_and_grad(awr)(-2.0, -jnp.inf, beta=1.0, max_weight=jnp.inf)
    assert value == 0.0 and slope == 0.0


def test_crr_binary_imitates_what_was_better_than_expected():
    assert_allclose(crr_binary(LOG_PROB, ADVANTAGE), [-1.0, 0.0, -0.5, 0.0])
    assert_allclose(slopes(crr_binary), [1.0, 0.0, 1.0, 0.0])


def test_self_imitation_ignores_bad_samples():
    assert_allclose(self_imitation(LOG_PROB, ADVANTAGE), [-0.1, 0.0, -1.0, 0.0], rtol=1e-6)
    assert_allclose(slopes(self_imitation), [0.1, 0.0, 2.0, 0.0], rtol=1e-6)


def test_pmpo_takes_the_sign_and_pays_for_the_kl():
    kl = jnp.full(4, 0.2)
    value = pmpo(LOG_PROB, ADVANTAGE, kl, alpha=0.7, beta=0.5)
    # .7 log pi or -.3 log pi, minus .5 * .2; A = 0 counts as good
    assert_allclose(value, [-0.8, 0.5, -0.45, -2.2], rtol=1e-6)
    assert_allclose(slopes(pmpo, kl, alpha=0.7, beta=0.5), [0.7, -0.3, 0.7, 0.7], rtol=1e-6)


def test_balanced_signs_give_the_set_wise_form_of_pmpo():
    sign = advantages.balanced_signs(ADVANTAGE, 0.7)
    assert_allclose(sign, [0.7 * 4 / 3, -0.3 * 4, 0.7 * 4 / 3, 0.7 * 4 / 3], rtol=1e-6)
    set_wise = 0.7 * np.mean([-1.0, -0.5, -3.0]) - 0.3 * np.mean([-2.0])
    assert_allclose(policy_gradient(LOG_PROB, sign).mean(), set_wise, rtol=1e-6)
