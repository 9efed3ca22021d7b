"""Distributions against published values, sums over all actions, and their own samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.distributions import Categorical, DiagonalGaussian

LOGITS = jnp.array([[1.0, 1, 1], [2, 0, 0], [-1, -2, -3]])
ACTIONS = jnp.array([[0, 1, 2], [0, 0, 0]])


def gaussian(mean, std):
    return DiagonalGaussian(jnp.array(mean, jnp.float32), jnp.log(jnp.array(std, jnp.float32)))


def test_log_probabilities_of_actions():
    pi = Categorical(jnp.stack([LOGITS, jnp.array([[1.0, 1, 1], [2, 0, 0], [-1, -2, -3]]) + 1.0]))
    expected = [
        [-1.098612289, -2.239544766, -2.407605964],
        [-1.098612289, -0.239544766, -0.407605964],
    ]
    np.testing.assert_allclose(jax.jit(pi.log_prob)(ACTIONS), expected, rtol=1e-5)


def test_entropy_of_a_categorical():
    np.testing.assert_allclose(
        Categorical(LOGITS).entropy(), [1.098612289, 0.665572682, 0.832395582], rtol=1e-5
    )


def test_kl_of_categoricals():
    p = Categorical(jnp.array([[1.0, 1, 0], [1, 2, 0]]))
    q = Categorical(jnp.array([[1.0, 2, 0], [1, 1, 0]]))
    np.testing.assert_allclose(jax.jit(p.kl)(q), [0.123292362, 0.119629795], rtol=1e-5)
    np.testing.assert_allclose(p.entropy(), [1.017357208, 0.832395582], rtol=1e-5)


@pytest.mark.parametrize(
    "pi",
    [
        Categorical(LOGITS),
        Categorical(LOGITS, jnp.array([True, False, True])),
        gaussian([[5.0, -1.0], [0.1, -0.1]], [[0.3, 0.1], [0.2, 0.3]]),
    ],
    ids=["categorical", "masked", "gaussian"],
)
def test_a_policy_is_at_distance_exactly_zero_from_itself_and_flat_there(pi):
    assert (jax.jit(lambda pi: pi.kl(pi))(pi) == 0.0).all()

    def distance(moved):
        return pi.kl(pi._replace(**{pi._fields[0]: moved})).sum()

    np.testing.assert_allclose(jax.grad(distance)(pi[0]), 0.0, atol=1e-6)


def test_an_action_is_drawn_as_often_as_its_probability_says():
    pi = Categorical(jnp.array([0.0, 1.0, -1.0]), jnp.array([True, True, True]))
    drawn = jax.jit(jax.vmap(pi.sample))(jax.random.split(jax.random.key(0), 20_000))
    assert drawn.dtype == jnp.int32
    share = np.bincount(np.asarray(drawn), minlength=3) / 20_000
    np.testing.assert_allclose(share, np.exp(pi.log_probs), atol=0.015)


def test_a_forbidden_action_is_never_drawn_and_costs_no_nan():
    mask = jnp.array([True, False, True])

    def score(logits):
        pi = Categorical(logits, mask)
        return pi.log_prob(jnp.int32(0)) + pi.entropy() + pi.kl(Categorical(jnp.zeros(3), mask))

    value, slope = jax.jit(jax.value_and_grad(score))(jnp.array([0.0, 5.0, 1.0]))
    assert bool(jnp.isfinite(value)) and bool(jnp.isfinite(slope).all()) and slope[1] == 0.0
    pi = Categorical(jnp.array([0.0, 5.0, 1.0]), mask)
    drawn = jax.vmap(pi.sample)(jax.random.split(jax.random.key(0), 2000))
    assert set(np.asarray(drawn).tolist()) == {0, 2} and int(pi.mode()) == 2
    np.testing.assert_allclose(
        pi.entropy(), Categorical(jnp.array([0.0, 1.0])).entropy(), rtol=1e-6
    )
    assert bool(jnp.isfinite(pi.log_prob(jnp.int32(1)))) and float(pi.log_prob(jnp.int32(1))) < -1e8


def test_the_first_of_several_modes():
    assert Categorical(LOGITS).mode().tolist() == [0, 0, 0]


def test_log_density_of_a_gaussian():
    pi = gaussian([[1.0, -1.0], [0.1, -0.1]], [[0.1, 0.1], [0.2, 0.3]])
    found = pi.log_prob(jnp.array([[1.2, -1.1], [-0.1, 0.0]]))
    np.testing.assert_allclose(found, [0.26729312, 0.419978095], rtol=1e-5)
    np.testing.assert_allclose(pi.entropy(), [-1.76729312, 0.02446635], rtol=1e-4)


@pytest.mark.parametrize(
    "p, q, expected",
    [
        (
            ([[5.0, -1], [0.1, -0.1]], [[0.3, 0.1], [0.2, 0.3]]),
            ([[0.005, -11], [-0.25, -0.2]], [[0.1, 0.1], [0.6, 0.3]]),
            [6250.402637711, 0.879862289],
        ),
        (
            ([[1.0, -1], [0.1, -0.1]], [[0.1, 0.1], [0.2, 0.3]]),
            ([[1.0, -10], [0.3, -0.2]], [[0.1, 0.1], [0.8, 0.3]]),
            [4050.0, 1.004349917],
        ),
        (
            ([[1.0, -1], [0.1, -0.1]], [[0.1, 0.1], [0.2, 0.3]]),
            ([[0.0, 0], [0, 0]], [[1.0, 1], [1, 1]]),
            [4.615170186, 1.888410717],
        ),
    ],
)
def test_kl_of_gaussians(p, q, expected):
    np.testing.assert_allclose(gaussian(*p).kl(gaussian(*q)), expected, rtol=1e-5)


def test_samples_of_a_gaussian_have_its_mean_deviation_and_entropy():
    pi = gaussian([0.5, -2.0], [0.3, 2.0])
    drawn = jax.jit(jax.vmap(pi.sample))(jax.random.split(jax.random.key(0), 20_000))
    np.testing.assert_allclose(drawn.mean(axis=0), [0.5, -2.0], atol=0.06)
    np.testing.assert_allclose(drawn.std(axis=0), [0.3, 2.0], rtol=0.03)
    np.testing.assert_allclose(-pi.log_prob(drawn).mean(), pi.entropy(), atol=0.03)
    np.testing.assert_array_equal(pi.mode(), pi.mean)


def test_probabilities_from_another_policy_give_the_kl_by_summation():
    p, q = Categorical(LOGITS[1]), Categorical(LOGITS[2])
    actions = jnp.arange(3)
    ratio = jax.vmap(p.log_prob)(actions) - jax.vmap(q.log_prob)(actions)
    np.testing.assert_allclose(p.kl(q), jnp.sum(jnp.exp(p.log_probs) * ratio), rtol=1e-5)
