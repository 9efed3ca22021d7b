"""Clipped surrogates, with numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates.objectives import (
    ce_gppo,
    decoupled_clip,
    dual_clip,
    geppo_clip,
    ppo_clip,
    ppo_clip_asymmetric,
    ppo_rollback,
    strict_clip,
)

RATIO, ADVANTAGE = jnp.array([0.5, 1.5, 0.5, 1.5]), jnp.array([1.0, 1.0, -1.0, -1.0])


def value_and_slope(objective, ratio=RATIO, advantage=ADVANTAGE, *more, **coefficients):
    """Value and d l / d log pi of each sample, with log pi_old = 0."""
    ratio, advantage = jnp.asarray(ratio), jnp.asarray(advantage)

    def values(log_prob):
        return objective(log_prob, jnp.zeros_like(log_prob), advantage, *more, **coefficients)

    slope = jax.jit(jax.grad(lambda log_prob: values(log_prob).sum()))(jnp.log(ratio))
    return values(jnp.log(ratio)), slope


def test_ppo_clip_lets_go_only_where_the_advantage_already_won():
    value, slope = value_and_slope(ppo_clip, epsilon=0.2)
    # min(.5, .8)  min(1.5, 1.2)  min(-.5, -.8)  min(-1.5, -1.2)
    assert_allclose(value, [0.5, 1.2, -0.8, -1.5], rtol=1e-6)
    assert_allclose(slope, [0.5, 0.0, 0.0, -1.5], rtol=1e-6, atol=1e-7)


def test_ppo_clip_on_the_published_example():
    logits = jnp.array([[1.0, 1.0, 1.0], [2.0, 0.0, 0.0], [-1.0, -2.0, -3.0]])
    logits_old = jnp.array([[1.0, 1.0, 1.0], [2.0, 0.0, 0.0], [-3.0, -2.0, -1.0]])
    chosen = (jnp.arange(3), jnp.array([0, 1, 2]))
    at = (jax.nn.log_softmax(logits)[chosen], jax.nn.log_softmax(logits_old)[chosen])
    advantage = jnp.array([0.3, 0.2, 0.1])
    assert_allclose(ppo_clip(*at, advantage), [0.3, 0.2, 0.0135335283], rtol=1e-6)
    assert_allclose(-ppo_clip(*at, advantage).mean(), -0.171177843, rtol=1e-6)
    assert_allclose(ppo_clip(*at, -advantage), [-0.3, -0.2, -0.08], rtol=1e-6)
    assert_allclose(-ppo_clip(*at, -advantage).mean(), 0.193333333, rtol=1e-6)


@pytest.mark.parametrize(
    "ratio, advantage, value, slope_in_ratio",
    [
        (0.5, 1.0, 0.5, 1.0),
        (0.5, -1.0, -0.8, 0.0),
        (1.1, 1.0, 1.1, 1.0),
        (1.1, -1.0, -1.1, -1.0),
        (1.5, 1.0, 1.2, 0.0),
        (1.5, -1.0, -1.5, -1.0),
        (2.0, 1.0, 1.2, 0.0),
        (2.0, -1.0, -2.0, -2.0 / 2.0),
    ],
)
def test_ppo_clip_in_every_region(ratio, advantage, value, slope_in_ratio):
    got = value_and_slope(ppo_clip, [ratio], [advantage])
    assert_allclose(jnp.concatenate(got), [value, ratio * slope_in_ratio], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("side, slope", ((-1e-3, 1.199), (1e-3, 0.0)))
def test_ppo_clip_lets_go_within_a_thousandth_of_the_edge(side, slope):
    assert_allclose(value_and_slope(ppo_clip, [1.2 + side], [1.0])[1], [slope], rtol=1e-5)


def test_ppo_clip_pulls_a_bad_sample_back_from_any_distance():
    # The textbook expression has slope nan at (89, 1) and -inf at (89, -1).
    slope = jax.vmap(jax.grad(ppo_clip))(
        jnp.full(3, 89.0), jnp.zeros(3), jnp.array([1.0, 0.0, -1.0])
    )
    assert_allclose(slope, [0.0, 0.0, -4.8516522e8], rtol=1e-6)


def test_ppo_clip_does_not_hide_a_nan():
    assert np.isnan(ppo_clip(0.1, 0.0, jnp.nan))


def test_asymmetric_clip_leaves_more_room_above():
    value, slope = value_and_slope(ppo_clip_asymmetric, [1.25, 1.25, 0.75], [1.0, -1.0, -1.0])
    assert_allclose(value, [1.25, -1.25, -0.8], rtol=1e-6)
    assert_allclose(slope, [1.25, -1.25, 0.0], rtol=1e-6, atol=1e-7)


def test_dual_clip_drops_a_bad_sample_that_has_run_away():
    value, slope = value_and_slope(dual_clip, [2.0, 4.0, 4.0], [-1.0, -1.0, 1.0])
    assert_allclose(value, [-2.0, -3.0, 1.2], rtol=1e-6)
    assert_allclose(slope, [-2.0, 0.0, 0.0], rtol=1e-6, atol=1e-7)


def test_strict_clip_never_pulls_back():
    value, slope = value_and_slope(strict_clip)
    assert_allclose(value, [0.8, 1.2, -0.8, -1.2], rtol=1e-6)
    assert_allclose(slope, np.zeros(4), atol=1e-7)


def test_rollback_turns_round_where_the_clip_lets_go():
    value, slope = value_and_slope(ppo_rollback, epsilon=0.2, alpha=0.5)
    # F(1.5) = -.75 + 1.5 * 1.2 = 1.05; F(.5) = -.25 + 1.5 * .8 = .95
    assert_allclose(value, [0.5, 1.05, -0.95, -1.5], rtol=1e-6)
    assert_allclose(slope, [0.5, -0.75, 0.25, -1.5], rtol=1e-6)


def test_decoupled_clip_measures_the_step_from_the_proximal_policy():
    # w = 2, r_prox = 1.25 or .9: min(2.5, 2 * 1.2) and min(1.8, 2 * .9)
    prox = jnp.log(jnp.full(2, 2.0))
    value, slope = value_and_slope(decoupled_clip, [2.5, 1.8], [1.0, 1.0], prox)
    assert_allclose(value, [2.4, 1.8], rtol=1e-6)
    assert_allclose(slope, [0.0, 1.8], rtol=1e-5, atol=1e-7)


def test_geppo_clip_centres_the_range_on_the_proximal_policy():
    # w = 2: the range is [1.8, 2.2]
    prox = jnp.log(jnp.full(3, 2.0))
    value, slope = value_and_slope(geppo_clip, [2.5, 1.9, 1.7], [1.0, 1.0, -1.0], prox)
    assert_allclose(value, [2.2, 1.9, -1.8], rtol=1e-6)
    assert_allclose(slope, [0.0, 1.9, 0.0], rtol=1e-6, atol=1e-7)


def test_ce_gppo_gives_clipped_samples_a_bounded_slope():
    value, slope = value_and_slope(
        ce_gppo, [0.5, 2.0, 0.5], [-1.0, 1.0, 1.0], beta_low=0.5, beta_high=0.25
    )
    # beta_low (1 - .2) = .4; beta_high (1 + .28) = .32; inside, r A
    assert_allclose(value, [-0.4, 0.32, 0.5], rtol=1e-6)
    assert_allclose(slope, [-0.4, 0.32, 0.5], rtol=1e-6)
