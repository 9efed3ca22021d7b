"""Surrogates whose range is a divergence, with numbers worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates.objectives import (
    ppo_clip_kl_penalty,
    tr_ppo,
    tr_ppo_rollback,
    trgppo,
    truly_ppo,
)

RATIO, ADVANTAGE = jnp.array([1.5, 1.5, 0.5, 0.5]), jnp.array([1.0, 1.0, -1.0, 1.0])
KL = jnp.array([0.01, 0.04, 0.04, 0.04])  # in range, then out of range


def value_and_slopes(objective, **coefficients):
    """Value, d l / d log pi and d l / d KL of each sample, with log pi_old = 0."""

    def values(log_prob, kl):
        return objective(log_prob, jnp.zeros(4), ADVANTAGE, kl, **coefficients)

    at = (jnp.log(RATIO), KL)
    return values(*at), *jax.grad(lambda *at: values(*at).sum(), argnums=(0, 1))(*at)


def test_tr_ppo_lets_go_where_the_state_is_out_of_range_and_the_sample_has_won():
    value, slope, slope_kl = value_and_slopes(tr_ppo, delta=0.03)
    assert_allclose(value, [1.5, 1.0, -1.0, 0.5], rtol=1e-6)
    assert_allclose(slope, [1.5, 0.0, 0.0, 0.5], rtol=1e-6, atol=1e-7)
    assert_allclose(slope_kl, np.zeros(4))


def test_tr_ppo_rollback_turns_round_there():
    value, slope, _ = value_and_slopes(tr_ppo_rollback, delta=0.03, alpha=0.1)
    assert_allclose(value, [1.5, -0.15, 0.05, 0.5], rtol=1e-6)
    assert_allclose(slope, [1.5, -0.15, 0.05, 0.5], rtol=1e-6)


def test_truly_ppo_pays_for_the_kl_there():
    value, slope, slope_kl = value_and_slopes(truly_ppo, delta=0.03, alpha=5.0)
    assert_allclose(value, [1.5, 1.3, -0.7, 0.5], rtol=1e-6)  # r A - 5 * .04
    assert_allclose(slope, [1.5, 1.5, -0.5, 0.5], rtol=1e-6)
    assert_allclose(slope_kl, [0.0, -5.0, -5.0, 0.0])


def test_clip_and_penalty_add_up():
    value, slope, slope_kl = value_and_slopes(ppo_clip_kl_penalty, epsilon=0.2, beta=2.0)
    assert_allclose(value, [1.18, 1.12, -0.88, 0.42], rtol=1e-6)
    assert_allclose(slope, [0.0, 0.0, 0.0, 0.5], atol=1e-7)
    assert_allclose(slope_kl, np.full(4, -2.0))


def smallest_kl(ratio, old):
    """KL(old||new) where the other actions share what is left in their old proportions."""
    return -old * np.log(ratio) - (1 - old) * np.log((1 - old * ratio) / (1 - old))


@pytest.mark.parametrize("old", (0.01, 0.05, 0.3, 0.7))
@pytest.mark.parametrize("delta", (0.001, 0.02))
def test_trgppo_lets_go_at_the_ratio_that_uses_up_the_divergence(old, delta):
    def edge(ratio, advantage):
        at = {"epsilon": 1e-6, "delta": delta}  # so narrow a clip leaves the divergence alone
        return trgppo(jnp.log(old * ratio), jnp.log(old), advantage, **at)

    high, low = edge(0.99 / old, 1.0), -edge(1e-4, -1.0)
    assert low < 1.0 < high
    assert_allclose([smallest_kl(r, old) for r in (float(low), float(high))], delta, rtol=5e-3)


def test_trgppo_gives_rare_actions_more_room_than_common_ones():
    old = jnp.array([0.01, 0.1, 0.9])
    edge = trgppo(jnp.log(old) + 2.0, jnp.log(old), jnp.ones(3))
    assert edge[0] > edge[1] > edge[2]
    assert_allclose(edge[2], 1.1, rtol=1e-6)


def test_trgppo_is_ppo_clip_for_a_certain_action():
    assert_allclose(trgppo(0.5, 0.0, 1.0, epsilon=0.1), 1.1, rtol=1e-6)
    assert_allclose(trgppo(-0.5, 0.0, -1.0, epsilon=0.1), -0.9, rtol=1e-6)
