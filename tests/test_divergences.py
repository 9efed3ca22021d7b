"""Divergences: numbers worked by hand, and gradients by exact enumeration."""

from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates import divergences
from rl_surrogates.distributions import Categorical, DiagonalGaussian
from rl_surrogates.divergences import k1, k2, k3

D = jnp.array([0.1, -0.2, 0.3, 0.0])
OLD, NEW = jnp.log(jnp.array([0.5, 0.3, 0.2])), jnp.log(jnp.array([0.4, 0.4, 0.2]))


def test_three_estimators_on_four_samples():
    estimates = [k(D, jnp.zeros(4)) for k in (k1, k2, k3)]
    assert_allclose([e.mean() for e in estimates], [-0.05, 0.0175, 0.018440119682], rtol=1e-5)
    assert_allclose(estimates[2], [0.005170918, 0.018730753, 0.049858808, 0.0], rtol=1e-5)


def test_k1_and_k3_are_unbiased_and_k2_is_not():
    expectation = [float((jnp.exp(OLD) * k(NEW, OLD)).sum()) for k in (k1, k2, k3)]
    assert_allclose(expectation, [0.025267153922, 0.024862407345, 0.025267153922], rtol=1e-5)


def test_k3_keeps_its_digits_near_the_old_policy_and_is_never_negative():
    assert_allclose(k3(1e-4, 0.0), 5.000167e-9, rtol=2e-3)
    assert (k3(jnp.linspace(-30.0, 30.0, 1001), jnp.zeros(1001)) >= 0.0).all()


@pytest.mark.parametrize("d, slopes", ((0.0, (-1.0, 0.0, 0.0)), (0.5, (-1.0, 0.5, np.expm1(0.5)))))
def test_slopes_of_the_estimators(d, slopes):
    assert_allclose([jax.grad(k)(d, 0.0) for k in (k1, k2, k3)], slopes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "function", (k1, k2, k3, divergences.chi_square, divergences.squared_hellinger)
)
@pytest.mark.parametrize("d", (-1e9, -200.0, 89.0, 1e9))
def test_estimates_stay_finite_and_the_old_policy_is_data(function, d):
    value, slopes = jax.value_and_grad(function, argnums=(0, 1))(d, 0.0)
    assert np.isfinite(value) and np.isfinite(slopes[0]) and slopes[1] == 0.0


def test_f_divergences_at_four_times_the_old_probability():
    at = (jnp.log(4.0), 0.0)
    assert_allclose(divergences.chi_square(*at), 9.0, rtol=1e-6)  # (4 - 1)^2
    assert_allclose(divergences.squared_hellinger(*at), 0.5, rtol=1e-6)  # (1 - 2)^2 / 2
    assert_allclose(divergences.f_alpha(*at, alpha=3.0), 9.0, rtol=1e-6)  # (64 - 1 - 9) / 6


def test_f_alpha_contains_the_others():
    at = (D, jnp.zeros(4))
    assert_allclose(
        2.0 * divergences.f_alpha(*at, alpha=2.0), divergences.chi_square(*at), rtol=1e-5
    )
    hellinger = divergences.squared_hellinger(*at)
    assert_allclose(divergences.f_alpha(*at, alpha=0.5) / 4.0, hellinger, rtol=1e-4, atol=1e-9)
    assert_allclose(divergences.f_alpha(*at, alpha=1e-3), k3(*at), rtol=1e-2)


def test_squared_hellinger_is_one_minus_the_overlap():
    overlap = jnp.exp(0.5 * (OLD + NEW)).sum()
    expectation = (jnp.exp(OLD) * divergences.squared_hellinger(NEW, OLD)).sum()
    assert_allclose(expectation, 1.0 - overlap, rtol=1e-4)


# Section 4 of the mathematics: which divergence does the expected gradient belong to?

LOGITS_OLD = jnp.array([0.3, -1.2, 0.8, 0.1])
LOGITS = jnp.array([-0.4, 0.5, 0.9, -1.0])
log_softmax, sg = jax.nn.log_softmax, jax.lax.stop_gradient


def kl(p, q):
    return (jnp.exp(p) * (p - q)).sum()


def gradient_of(expectation):
    """Gradient in the new logits of an expectation over all four actions."""
    old = log_softmax(LOGITS_OLD)
    return jax.grad(lambda logits: expectation(log_softmax(logits), old))(LOGITS)


FORWARD = gradient_of(lambda new, old: kl(old, new))
REVERSE = gradient_of(lambda new, old: kl(new, old))

GRADIENT_FACTS = {
    "old samples, -d": (lambda n, o: (jnp.exp(o) * k1(n, o)).sum(), FORWARD),
    "old samples, r - 1 - d": (lambda n, o: (jnp.exp(o) * k3(n, o)).sum(), FORWARD),
    "old samples, r d": (lambda n, o: (jnp.exp(o) * jnp.exp(n - o) * (n - o)).sum(), REVERSE),
    "old samples, r (1/r - 1 + d)": (
        lambda n, o: (jnp.exp(o) * (1.0 - jnp.exp(n - o) + jnp.exp(n - o) * (n - o))).sum(),
        REVERSE,
    ),
    "new samples, d": (lambda n, o: (sg(jnp.exp(n)) * (n - o)).sum(), 0.0 * FORWARD),
    "new samples, d^2 / 2": (lambda n, o: (sg(jnp.exp(n)) * k2(n, o)).sum(), REVERSE),
    "new samples, 1/r - 1 + d": (
        lambda n, o: (sg(jnp.exp(n)) * (jnp.expm1(o - n) + (n - o))).sum(),
        FORWARD,
    ),
}


@pytest.mark.parametrize("fact", GRADIENT_FACTS)
def test_expected_gradient_is_that_of(fact):
    expectation, expected = GRADIENT_FACTS[fact]
    assert_allclose(gradient_of(expectation), expected, atol=2e-7)


def test_expected_gradient_of_the_squared_log_on_old_samples_is_of_neither():
    gradient = gradient_of(lambda n, o: (jnp.exp(o) * k2(n, o)).sum())
    assert np.abs(gradient - FORWARD).max() > 1e-2
    assert np.abs(gradient - REVERSE).max() > 1e-2


def test_gradients_of_exact_divergences_in_the_logits():
    o, p = jax.nn.softmax(LOGITS_OLD), jax.nn.softmax(LOGITS)
    assert_allclose(FORWARD, p - o, atol=1e-7)
    assert_allclose(REVERSE, p * (jnp.log(p / o) - kl(jnp.log(p), jnp.log(o))), atol=1e-7)
    entropy = jax.grad(lambda z: Categorical(z).entropy())(LOGITS)
    assert_allclose(entropy, -p * (jnp.log(p) + Categorical(LOGITS).entropy()), atol=1e-7)


# Renyi-2 and effective sample size.


def test_renyi2_is_the_log_of_the_second_moment_of_the_ratio():
    moment = (jnp.exp(OLD) * jnp.exp(2.0 * (NEW - OLD))).sum()
    got = divergences.renyi2(Categorical(NEW), Categorical(OLD))
    assert_allclose(got, jnp.log(moment), rtol=1e-5)  # log(.16/.5 + .16/.3 + .2)
    assert_allclose(
        moment - 1.0, (jnp.exp(OLD) * divergences.chi_square(NEW, OLD)).sum(), rtol=1e-4
    )


def test_renyi2_of_a_policy_from_itself_is_zero():
    mask = jnp.array([True, True, False])
    gaussian = DiagonalGaussian(jnp.array([1.0, -2.0]), jnp.array([0.3, -1.0]))
    for dist in (Categorical(NEW), Categorical(NEW, mask), gaussian):
        assert_allclose(divergences.renyi2(dist, dist), 0.0, atol=1e-6)


def test_renyi2_of_gaussians_is_the_integral():
    new = DiagonalGaussian(jnp.array([0.5, 0.0]), jnp.log(jnp.array([1.0, 1.3])))
    old = DiagonalGaussian(jnp.array([0.0, 0.2]), jnp.log(jnp.array([1.1, 1.0])))
    x = np.linspace(-30.0, 30.0, 200_001)

    def density(mean, std):
        return np.exp(-0.5 * ((x - mean) / std) ** 2) / (std * np.sqrt(2.0 * np.pi))

    integrals = [
        np.trapezoid(density(0.5, 1.0) ** 2 / density(0.0, 1.1), x),
        np.trapezoid(density(0.0, 1.3) ** 2 / density(0.2, 1.0), x),
    ]
    assert_allclose(divergences.renyi2(new, old), np.log(integrals).sum(), rtol=1e-4)


def test_renyi2_of_equally_wide_gaussians_is_the_squared_shift():
    new = DiagonalGaussian(jnp.array([[1.0], [3.0]]), jnp.zeros((2, 1)))
    old = DiagonalGaussian(jnp.zeros((2, 1)), jnp.zeros((2, 1)))
    assert_allclose(divergences.renyi2(new, old), [1.0, 9.0], rtol=1e-6)


def test_renyi2_is_infinite_where_the_ratio_has_no_second_moment_and_its_slope_is_not_nan():
    def total(log_std):
        old = DiagonalGaussian(jnp.zeros(1), jnp.zeros(1))
        return divergences.renyi2(DiagonalGaussian(jnp.ones(1), log_std), old)

    value, slope = jax.value_and_grad(total)(jnp.log(jnp.array([1.5])))  # 2 - 1.5^2 < 0
    assert value == np.inf and not np.isnan(slope).any()


def test_renyi2_of_independent_factors_adds_up():
    factors = namedtuple("Factors", "logits")
    new, old = (NEW, LOGITS), (OLD, LOGITS_OLD)
    one_by_one = [
        divergences.renyi2(Categorical(n), Categorical(o)) for n, o in zip(new, old, strict=True)
    ]
    assert_allclose(divergences.renyi2(factors(new), factors(old)), sum(one_by_one), rtol=1e-6)


def test_renyi2_refuses_a_mixture_of_kinds():
    gaussian = DiagonalGaussian(jnp.zeros(2), jnp.zeros(2))
    with pytest.raises(TypeError, match="renyi2 of Categorical and DiagonalGaussian: both need"):
        divergences.renyi2(Categorical(NEW), gaussian)


def test_effective_sample_size_on_four_samples():
    assert_allclose(divergences.effective_sample_size(D), 3.874765035, rtol=1e-6)
    assert_allclose(divergences.effective_sample_size(D + 300.0), 3.874765035, rtol=1e-4)


def test_effective_sample_size_lies_between_one_and_n():
    rows = jnp.array([[0.0, 0.0, 0.0], [0.0, -1e4, -1e4], [7.0, 7.0, -1e4]])
    assert_allclose(divergences.effective_sample_size(rows), [3.0, 1.0, 2.0], rtol=1e-6)


def test_slope_of_the_effective_sample_size():
    w = jax.nn.softmax(D)
    slope = jax.grad(lambda d: jnp.log(divergences.effective_sample_size(d)))(D)
    assert_allclose(slope, 2.0 * (w - w**2 / (w**2).sum()), atol=1e-6)


def test_shapes_that_do_not_broadcast_are_named():
    with pytest.raises(
        ValueError, match=r"log_prob has shape \(3,\), log_prob_old has shape \(4,\)"
    ):
        k3(jnp.zeros(3), jnp.zeros(4))
