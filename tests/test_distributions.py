"""Distributions against published values, sums over all actions, and their own samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.distributions import (
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    TanhGaussian,
)

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
        TanhGaussian(*gaussian([[5.0, -1.0], [0.1, -0.1]], [[0.3, 0.1], [0.2, 0.3]])),
        MultiCategorical((LOGITS, LOGITS[:, :2])),
        MultiCategorical((LOGITS,), (jnp.array([True, False, True]),)),
    ],
    ids=["categorical", "masked", "gaussian", "tanh", "factors", "masked factors"],
)
def test_a_policy_is_at_distance_exactly_zero_from_itself_and_flat_there(pi):
    assert (jax.jit(lambda pi: pi.kl(pi))(pi) == 0.0).all()

    def distance(moved):
        return pi.kl(pi._replace(**{pi._fields[0]: moved})).sum()

    for slope in jax.tree.leaves(jax.grad(distance)(pi[0])):
        np.testing.assert_allclose(slope, 0.0, atol=1e-6)


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


def tanh_gaussian(mean, std):
    return TanhGaussian(*gaussian(mean, std))


@pytest.mark.parametrize(
    "u, mean, std, expected",
    [
        (0.5, 0.0, 1.0, -0.803709519),
        (10.0, 0.0, 1.0, -32.305232890),  # where 1 - tanh(u)^2 is 0 in float32
        (-3.0, 1.0, 0.5, -27.607134343),
    ],
)
def test_log_density_of_a_squashed_gaussian(u, mean, std, expected):
    pi = tanh_gaussian([mean], [std])
    np.testing.assert_allclose(jax.jit(pi.log_prob)(jnp.array([u])), expected, rtol=1e-5)


def test_the_density_of_what_a_squash_saturates_is_finite_and_so_is_its_slope():
    u = jnp.array([-50.0, -20.0, 0.0, 20.0, 50.0])[:, None]

    def total(mean):
        return TanhGaussian(mean, jnp.zeros(1)).log_prob(u).sum()

    value, slope = jax.jit(jax.value_and_grad(total))(jnp.zeros(1))
    assert bool(jnp.isfinite(value)) and bool(jnp.isfinite(slope).all())


@pytest.mark.parametrize(
    "mean, std, expected",
    [(0.0, 1.0, 0.669804), (0.0, 0.5, 0.499967), (1.0, 0.3, -0.691491), (0.0, 2.0, -0.001233)],
)
def test_entropy_of_a_squashed_gaussian(mean, std, expected):
    pi = tanh_gaussian([mean], [std])
    np.testing.assert_allclose(jax.jit(pi.entropy)(), expected, atol=1e-5)
    drawn = jax.vmap(pi.sample)(jax.random.split(jax.random.key(0), 100_000))
    np.testing.assert_allclose(-pi.log_prob(drawn).mean(), expected, atol=0.02)


def test_the_entropy_of_a_squashed_gaussian_has_a_maximum_in_its_deviation():
    def entropy(log_std):
        return TanhGaussian(jnp.zeros(1), log_std[None]).entropy()

    slopes = jax.vmap(jax.grad(entropy))(jnp.log(jnp.array([0.5, 2.0])))
    assert slopes[0] > 0.1 and slopes[1] < -0.1  # that of the normal itself is 1 everywhere


def test_a_squashed_sample_is_kept_before_the_squash_and_acts_after_it():
    pi = tanh_gaussian([3.0, -1.0], [2.0, 0.1])
    drawn = jax.vmap(pi.sample)(jax.random.split(jax.random.key(0), 5000))
    assert float(jnp.abs(drawn).max()) > 5.0 and float(jnp.abs(pi.action(drawn)).max()) <= 1.0
    np.testing.assert_array_equal(pi.mode(), pi.mean)
    np.testing.assert_allclose(pi.action(jnp.array([0.5])), np.tanh(0.5), rtol=1e-6)


def test_two_squashed_gaussians_are_as_far_apart_as_the_gaussians():
    p, q = ([5.0, -1.0], [0.3, 0.1]), ([0.005, -11.0], [0.1, 0.1])
    assert tanh_gaussian(*p).kl(tanh_gaussian(*q)) == gaussian(*p).kl(gaussian(*q))


@pytest.fixture(scope="module")
def factors():
    return MultiCategorical((LOGITS[1], LOGITS[2, :2])), Categorical(LOGITS[1])


def test_choices_of_several_factors_are_independent(factors):
    pi, first = factors
    grid = jnp.array([[i, j] for i in range(3) for j in range(2)])
    log_probs = jax.vmap(pi.log_prob)(grid)
    np.testing.assert_allclose(jnp.exp(log_probs).sum(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(-(jnp.exp(log_probs) * log_probs).sum(), pi.entropy(), rtol=1e-5)
    second = Categorical(LOGITS[2, :2])
    expected = first.log_prob(jnp.int32(2)) + second.log_prob(jnp.int32(1))
    np.testing.assert_allclose(log_probs[-1], expected, rtol=1e-6)
    assert pi.mode().tolist() == [0, 0]


def test_the_kl_of_several_factors_is_that_over_all_their_choices(factors):
    p, _ = factors
    q = MultiCategorical((LOGITS[2], LOGITS[0, :2]))
    grid = jnp.array([[i, j] for i in range(3) for j in range(2)])
    mine, its = jax.vmap(p.log_prob)(grid), jax.vmap(q.log_prob)(grid)
    np.testing.assert_allclose(p.kl(q), (jnp.exp(mine) * (mine - its)).sum(), rtol=1e-5)


def test_every_factor_is_drawn_by_itself(factors):
    pi, first = factors
    drawn = np.asarray(jax.vmap(pi.sample)(jax.random.split(jax.random.key(0), 20_000)))
    assert drawn.dtype == np.int32 and drawn.shape == (20_000, 2)
    share = np.bincount(drawn[:, 0], minlength=3) / 20_000
    np.testing.assert_allclose(share, np.exp(first.log_probs), atol=0.015)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.03
    assert pi.action(drawn) is drawn


@pytest.mark.parametrize(
    "distribution",
    [
        Categorical(jnp.zeros((3, 4)), jnp.array([True, True, False, True])),
        DiagonalGaussian(jnp.ones((3, 2)), jnp.zeros((3, 2))),
        TanhGaussian(jnp.ones((3, 2)), jnp.zeros((3, 2))),
        MultiCategorical((jnp.zeros((3, 4)), jnp.zeros((3, 2)))),
    ],
    ids=lambda distribution: type(distribution).__name__,
)
def test_a_sample_is_noise_that_needs_the_shapes_alone(distribution):
    key = jax.random.key(5)
    noise = jax.eval_shape(lambda: distribution)  # no numbers
    noise = noise.noise(key)
    np.testing.assert_array_equal(distribution.perturbed(noise), distribution.sample(key))


def test_a_category_is_drawn_as_jax_draws_it():
    logits = jax.random.normal(jax.random.key(0), (50, 4))
    key = jax.random.key(1)
    expected = jax.random.categorical(key, jax.nn.log_softmax(logits))
    np.testing.assert_array_equal(Categorical(logits).sample(key), expected)
