"""Whatever finite numbers a row is given, its value and its slopes are finite."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.objectives import OBJECTIVES, importance_ratio

LOG_RATIOS = (1e-7, 1.0, 19.0, 20.0, 20.5, 88.0, 89.0, 200.0, 1e4, 1e9)
ADVANTAGES = (-1e3, -1.0, 0.0, 1.0, 1e3)
KLS = (0.0, 0.01, 1e3)


def extremes(dtype):
    d, advantage, kl = np.array(
        list(itertools.product([s * d for d in LOG_RATIOS for s in (1, -1)], ADVANTAGES, KLS))
    ).T
    at = {"log_prob": d - 1.3, "log_prob_old": np.full_like(d, -1.3), "advantage": advantage}
    at |= {"kl_old_new": kl, "kl_new_old": kl, "log_prob_prox": 0.5 * d - 1.3}
    return {name: jnp.asarray(x, dtype) for name, x in at.items()}


@pytest.mark.parametrize("dtype", (jnp.float32, jnp.bfloat16))
@pytest.mark.parametrize("name", OBJECTIVES)
def test_value_and_slopes_are_finite_at_the_extremes(name, dtype, whole_table):
    for key, numbers in whole_table(extremes(dtype))[name].items():
        assert numbers.dtype == dtype
        assert np.isfinite(np.asarray(numbers, np.float32)).all(), key


@pytest.mark.parametrize("d", (20.0, 89.0, 1e4, 1e9))
def test_ratio_saturates_in_value_and_not_in_slope(d):
    ratio, slope = jax.value_and_grad(importance_ratio)(d, 0.0)
    np.testing.assert_allclose([ratio, slope], np.exp(20.0), rtol=1e-6)
    np.testing.assert_allclose(
        jax.grad(jax.grad(importance_ratio))(d, 0.0), np.exp(20.0), rtol=1e-6
    )


# Rows that pull a bad sample back however far it has gone; the others give it up on purpose.
PULLS_BACK = ("ppo_clip", "ppo_clip_asymmetric", "ppo_rollback", "decoupled_clip", "geppo_clip")


@pytest.mark.parametrize("name", PULLS_BACK)
@pytest.mark.parametrize("d", (21.0, 89.0, 100.0, 1e4))
def test_a_bad_sample_is_pulled_back_from_anywhere(name, d):
    entry = OBJECTIVES[name]

    def objective(log_prob, advantage):
        at = {"log_prob": log_prob, "log_prob_old": 0.0, "log_prob_prox": 0.0}
        return entry.fn(**{key: {**at, "advantage": advantage}[key] for key in entry.inputs})

    np.testing.assert_allclose(jax.grad(objective)(d, -1.0), -np.exp(20.0), rtol=1e-6)
    if name != "ppo_rollback":
        assert jax.grad(objective)(d, 1.0) == 0.0
