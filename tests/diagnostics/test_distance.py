"""How far a policy has moved, on four samples worked by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates import diagnostics
from rl_surrogates.distributions import Categorical, DiagonalGaussian
from rl_surrogates.objectives import OBJECTIVES

# Two actions. The old policy is uniform; the new one has the odds 3 : 1 at states 0 and 1 and has
# stayed at states 2 and 3. Actions 0, 1, 0, 1: the ratios are 3/2, 1/2, 1, 1.
OLD = Categorical(jnp.zeros((4, 2)))
NEW = Categorical(jnp.log(jnp.array([[3.0, 1.0], [3.0, 1.0], [1.0, 1.0], [1.0, 1.0]])))
ACTION = jnp.array([0, 1, 0, 1])
ADVANTAGE = jnp.array([2.0, -1.0, 1.0, -1.0])
LOG_OLD = OLD.log_prob(ACTION)
FORWARD = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)
REVERSE = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)


def test_how_far_a_policy_has_moved():
    found = diagnostics.policy_shift(jnp.array([0.1, -0.2, 0.3, 0.0]), jnp.zeros(4))
    assert float(found["approx_kl"]) == pytest.approx(0.018440119682, rel=1e-5)
    assert float(found["clip_fraction"]) == 0.25  # e^-0.2 is 0.82 and e^0.3 is 1.35
    assert float(found["ratio_error"]) == pytest.approx(np.exp(0.3) - 1.0, rel=1e-5)


def test_a_policy_that_has_not_moved_is_at_exactly_zero():
    log_prob = jnp.array([-0.1, -3.0, -20.0])
    found = diagnostics.policy_shift(log_prob, log_prob)
    assert {name: float(value) for name, value in found.items()} == dict.fromkeys(found, 0.0)


def moved(advantage=ADVANTAGE):
    found = jax.jit(diagnostics.movement)(NEW, OLD, ACTION, LOG_OLD, advantage)
    return {name: float(value) for name, value in found.items()}


def test_a_whole_update_is_measured_in_every_direction():
    expected = {
        "kl_old_new": FORWARD / 2,  # two of four states have moved
        "kl_new_old": REVERSE / 2,
        "k1": -np.log(1.5 * 0.5) / 4,
        "k2": 0.5 * (np.log(1.5) ** 2 + np.log(0.5) ** 2) / 4,
        "k3": (0.5 - np.log(1.5) - 0.5 - np.log(0.5)) / 4,
        "ratio_min": 0.5,
        "ratio_max": 1.5,
        "clip_fraction_positive": 0.25,
        "clip_fraction_negative": 0.25,
        "effective_sample_size": 4.0**2 / (1.5**2 + 0.5**2 + 2.0),
    }
    found = moved()
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5), name


def test_the_clip_fraction_is_split_by_the_sign_of_the_advantage():
    found = moved(jnp.array([2.0, 1.0, -1.0, -1.0]))
    assert (found["clip_fraction_positive"], found["clip_fraction_negative"]) == (0.5, 0.0)


def test_quantiles_of_the_ratio_are_those_of_numpy():
    d = np.random.default_rng(0).normal(size=(8, 25)).astype(np.float32)
    found = diagnostics.ratio_quantiles(jnp.array(d), jnp.zeros(d.shape))
    assert list(found) == ["ratio_q05", "ratio_q25", "ratio_q50", "ratio_q75", "ratio_q95"]
    expected = np.exp(np.quantile(d, [0.05, 0.25, 0.5, 0.75, 0.95]))
    assert_allclose(list(found.values()), expected, rtol=1e-5)


def share_at_rest(name, new=NEW, **coefficients):
    row = OBJECTIVES[name]

    def surrogate(pi):
        at = {"log_prob": pi.log_prob(ACTION), "log_prob_old": LOG_OLD, "advantage": ADVANTAGE}
        at["kl_old_new"] = OLD.kl(pi)
        return row.fn(**{key: at[key] for key in row.inputs}, **coefficients)

    return float(diagnostics.zero_gradient_share(surrogate, new))


def test_a_clipped_sample_is_at_rest_unless_a_kl_pulls_it():
    assert share_at_rest("importance_sampled") == 0.0
    assert share_at_rest("ppo_clip") == 0.5  # ratios 3/2 (A > 0) and 1/2 (A < 0)
    assert share_at_rest("ppo_clip", epsilon=0.9) == 0.0
    assert share_at_rest("ppo_clip_kl_penalty") == 0.0


def test_a_policy_of_several_parameters_is_at_rest_where_all_its_partials_are_zero():
    policy = DiagonalGaussian(jnp.zeros((3, 2)), jnp.zeros((3, 2)))
    only_mean = jnp.array([1.0, 0.0, 0.0])
    only_std = jnp.array([0.0, 1.0, 0.0])

    def surrogate(pi):
        return only_mean * pi.mean[:, 1] + only_std * pi.log_std[:, 0]

    assert float(diagnostics.zero_gradient_share(surrogate, policy)) == pytest.approx(1 / 3)
