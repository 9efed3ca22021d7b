"""Scales of an advantage, with numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rl_surrogates import advantages

SCORE = jnp.array([1.0, 2.0, 3.0, 6.0])  # mean 3, deviation sqrt(14 / 4)
STD = np.sqrt(3.5)


def test_standardise_gives_mean_zero_and_deviation_one():
    assert_allclose(advantages.standardise(SCORE), [-2 / STD, -1 / STD, 0, 3 / STD], atol=1e-6)
    batch = advantages.standardise(jax.random.normal(jax.random.key(0), (64, 8)) * 3.0 + 100.0)
    assert_allclose([batch.mean(), batch.std()], [0.0, 1.0], atol=1e-4)


@pytest.mark.parametrize("value, size", ((1000.1, 7), (0.0, 5), (-3e4, 1), (1e-12, 3)))
def test_a_constant_batch_has_no_preference(value, size):
    assert np.abs(advantages.standardise(jnp.full(size, value))).max() <= 1e-3


def test_each_seed_is_standardised_by_itself():
    batch = jax.random.normal(jax.random.key(1), (3, 16))
    together = jax.vmap(advantages.standardise)(batch)
    others = jax.vmap(advantages.standardise)(batch.at[1:].mul(50.0))
    assert_array_equal(together[0], others[0])
    assert_allclose(together[0], advantages.standardise(batch[0]), rtol=1e-6)


def test_scale_only_changes_no_sign():
    assert_allclose(advantages.scale_only(SCORE), SCORE / STD, rtol=1e-6)


GROUPS = jnp.array([[1.0, 2.0, 3.0, 6.0], [0.0, 0.0, 0.0, 4.0]])


def test_a_group_is_compared_with_itself():
    assert_allclose(advantages.group_centre(GROUPS), [[-2, -1, 0, 3], [-1, -1, -1, 3]])
    got = advantages.group_standardise(GROUPS)
    third = np.sqrt(3.0)
    assert_allclose(got[0], [-2 / STD, -1 / STD, 0, 3 / STD], atol=1e-6)
    assert_allclose(got[1], [-1 / third, -1 / third, -1 / third, third], rtol=1e-6)


def test_leave_one_out_uses_the_mean_of_the_others():
    got = advantages.leave_one_out(GROUPS)
    assert_allclose(got[0], [1 - 11 / 3, 2 - 10 / 3, 0.0, 6 - 2.0], atol=1e-6)
    with pytest.raises(ValueError, match="groups of 1: leaving one out needs at least 2"):
        advantages.leave_one_out(jnp.zeros((3, 1)))


def test_balanced_signs_average_each_side_apart():
    got = advantages.balanced_signs(jnp.array([0.1, 0.0, 5.0, -2.0]), 0.25)
    assert_allclose(got, [1 / 3, 1 / 3, 1 / 3, -3.0], rtol=1e-6)


@pytest.mark.parametrize("sign, expected", ((1.0, 0.25), (-1.0, -0.75)))
def test_balanced_signs_take_a_batch_of_one_sign(sign, expected):
    assert_allclose(advantages.balanced_signs(jnp.full(4, sign), 0.25), expected)


@pytest.mark.parametrize(
    "scale", (advantages.standardise, advantages.scale_only, advantages.group_standardise)
)
def test_scaling_forgets_the_unit_of_reward(scale):
    assert_allclose(scale(1000.0 * SCORE), scale(SCORE), rtol=1e-5, atol=1e-6)
