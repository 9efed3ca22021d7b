"""Log-likelihood surrogates, with numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from rl_surrogates.objectives import log_clip, policy_gradient, smdpo, sppo

# Two batches of three states with three actions each; the second has logits one higher.
LOGITS = jnp.array([[1.0, 1.0, 1.0], [2.0, 0.0, 0.0], [-1.0, -2.0, -3.0]])
LOGITS = jnp.stack([LOGITS, LOGITS + 1.0])
ACTION = jnp.array([[0, 1, 2], [0, 0, 0]])


def log_probs():
    return jnp.take_along_axis(jax.nn.log_softmax(LOGITS), ACTION[..., None], axis=-1)[..., 0]


def slopes(objective, d, advantage, **coefficients):
    def total(log_prob):
        return objective(log_prob, jnp.zeros_like(log_prob), advantage, **coefficients).sum()

    return jax.jit(jax.grad(total))(jnp.asarray(d))


def test_policy_gradient_on_the_published_example():
    advantage = jnp.array([[0.3, 0.2, 0.1], [-0.3, -0.2, -0.1]])
    weight = jnp.array([[-2.0, 2.0, 0.0], [-3.0, 1.0, -1.0]])
    assert_allclose(log_probs()[0], [-1.098612289, -2.239544766, -2.407605964], rtol=1e-6)
    assert_allclose(log_probs()[1], [-1.098612289, -0.239544766, -0.407605964], rtol=1e-6)
    loss = -(weight * policy_gradient(log_probs(), advantage)).mean(axis=-1)
    assert_allclose(loss, [0.078883511, 0.327200901], rtol=1e-6)


def test_policy_gradient_never_weakens():
    slope = jax.vmap(jax.grad(policy_gradient))(jnp.array([-9.0, -1.0, -1e-3]), jnp.full(3, 0.7))
    assert_allclose(slope, [0.7, 0.7, 0.7], rtol=1e-6)


def test_log_clip_lets_go_only_where_the_advantage_already_won():
    ratio, advantage = jnp.array([0.5, 1.5, 0.5, 1.5]), jnp.array([1.0, 1.0, -1.0, -1.0])
    value = log_clip(jnp.log(ratio), jnp.zeros(4), advantage, epsilon=0.2)
    expected = [np.log(0.5), np.log(1.2), -np.log(0.8), -np.log(1.5)]
    assert_allclose(value, expected, rtol=1e-6)
    slope = slopes(log_clip, jnp.log(ratio), advantage, epsilon=0.2)
    assert_allclose(slope, [1.0, 0.0, 0.0, -1.0], atol=1e-7)


def test_sppo_has_no_slope_outside_a_symmetric_range():
    d, advantage = jnp.array([0.1, 0.3, -0.3, -0.1]), jnp.array([2.0, 2.0, 2.0, -1.0])
    value = sppo(d, jnp.zeros(4), advantage, epsilon=0.3)
    bound = np.log(1.3)  # 0.262
    assert_allclose(value, [0.2, 2 * bound, -2 * bound, 0.1], rtol=1e-6)
    assert_allclose(slopes(sppo, d, advantage, epsilon=0.3), [2.0, 0.0, 0.0, -1.0], atol=1e-7)


def test_smdpo_pays_for_the_exact_divergence():
    # 2 * 0.1 - 0.5 * 0.3
    value, slope = jax.value_and_grad(smdpo)(0.1, 0.0, 2.0, 0.3, inverse_step=0.5)
    assert_allclose([value, slope], [0.05, 2.0], rtol=1e-6)


def test_smdpo_has_the_expected_gradient_of_the_published_sample_form():
    old = jax.nn.softmax(jnp.array([0.3, -1.0, 0.7, 0.1]))
    advantage, step = jnp.array([1.0, -0.5, 0.3, -2.0]), 0.4

    def exact(logits):
        log_prob = jax.nn.log_softmax(logits)
        kl = (old * (jnp.log(old) - log_prob)).sum()
        return (old * smdpo(log_prob, jnp.log(old), advantage, kl, inverse_step=1 / step)).sum()

    def sampled(logits):
        d = jax.nn.log_softmax(logits) - jnp.log(old)
        return (old * (advantage + 1 / step) * d).sum()

    logits = jnp.array([1.0, 0.2, -0.4, 0.0])
    assert_allclose(exact(logits), sampled(logits), rtol=1e-5)
    assert_allclose(jax.grad(exact)(logits), jax.grad(sampled)(logits), atol=1e-6)
