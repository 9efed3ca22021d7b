"""Penalised surrogates, with numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates.objectives import (
    alpha_divergence_penalty,
    chi_square_penalty,
    hellinger_penalty,
    k2_penalty,
    k3_penalty,
    kl_penalty,
    mdpo,
    pop3d,
)

LOG4 = np.log(4.0)

# At r = 4, A = 1, beta = 0.5: the value 4 - 0.5 penalty and the slope 4 - 0.5 d penalty / d log pi.
AT_FOUR = [
    (k3_penalty, {}, 3.0 - LOG4, 3.0),
    (k2_penalty, {}, 0.5 * LOG4**2, LOG4),
    (chi_square_penalty, {}, 4.5, 12.0),
    (hellinger_penalty, {}, 2.0, 4.0),  # 2 (1 - 2)^2 and 2 (4 - 2)
    (alpha_divergence_penalty, {"alpha": 0.5}, 2.0, 4.0),
    (alpha_divergence_penalty, {"alpha": 2.0}, 4.5, 12.0),
    (alpha_divergence_penalty, {"alpha": 3.0}, 9.0, 30.0),  # (64 - 1 - 9) / 6 and (64 - 4) / 2
    (alpha_divergence_penalty, {"alpha": -1.0}, 1.125, 1.875),  # (1/4 - 1 + 3) / 2, (1/4 - 4) / -2
]


@pytest.mark.parametrize("objective, more, penalty, slope_of_penalty", AT_FOUR)
def test_penalty_at_four_times_the_old_probability(objective, more, penalty, slope_of_penalty):
    value, slope = jax.value_and_grad(objective)(jnp.log(4.0), 0.0, 1.0, beta=0.5, **more)
    expected = [4.0 - 0.5 * penalty, 4.0 - 0.5 * slope_of_penalty]
    assert_allclose([value, slope], expected, rtol=1e-5)


@pytest.mark.parametrize("objective, coefficient", ((kl_penalty, "beta"), (mdpo, "inverse_step")))
def test_exact_kl_is_paid_per_nat(objective, coefficient):
    value, slopes = jax.value_and_grad(objective, argnums=(0, 3))(
        jnp.log(1.5), 0.0, 2.0, 0.3, **{coefficient: 0.5}
    )
    assert_allclose(value, 1.5 * 2.0 - 0.5 * 0.3, rtol=1e-6)
    assert_allclose(slopes, [3.0, -0.5], rtol=1e-6)


def test_sampled_kl_keeps_its_digits_near_the_old_policy():
    # (r - 1) - d in float32 at d = 1e-4 would be 1.66e-8, three times too large.
    assert_allclose(-k3_penalty(1e-4, 0.0, 0.0), 5.0e-9, rtol=0.01)


def test_pop3d_charges_for_probability_and_not_for_the_ratio():
    # o = .5, p = .75: 1.5 - 2 * .25^2; slope 1.5 - 2 * 2 * .25 * .75
    value, slope = jax.value_and_grad(pop3d)(jnp.log(0.75), jnp.log(0.5), 1.0, beta=2.0)
    assert_allclose([value, slope], [1.375, 0.75], rtol=1e-6)
    # The same ratio of a rare action costs next to nothing.
    assert_allclose(pop3d(jnp.log(0.0015), jnp.log(0.001), 1.0, beta=2.0), 1.5, rtol=1e-5)
