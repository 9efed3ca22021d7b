"""The rows are relatives: at the edge of its coefficients one becomes another.

Each line of a table says `(row, coefficients) = (row, coefficients)`, on the grid of the slopes,
with every KL above the default deltas. `VALUE_AND_SLOPE` compares both, `SLOPE` where the values
differ by design.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.objectives import OBJECTIVES

ADVANTAGES = (-2.0, -0.5, 0.5, 2.0)
RATIOS = (0.05, 0.3, 0.5, 0.72, 0.85, 0.95, 1.05, 1.15, 1.25, 1.5, 2.0, 2.5, 4.0, 6.0, 20.0)
A, R = (jnp.asarray(x.ravel(), jnp.float32) for x in np.meshgrid(ADVANTAGES, RATIOS))
OLD = jnp.full_like(R, -1.3)
KL = jnp.full_like(R, 0.05)
INPUTS = {
    "log_prob": OLD + jnp.log(R),
    "log_prob_old": OLD,
    "advantage": A,
    "kl_old_new": KL,
    "kl_new_old": KL,
    "log_prob_prox": OLD,
}
HUGE = 1e9


def at_zero(name):
    return (name, {"beta": 0.0}), ("importance_sampled", {})


VALUE_AND_SLOPE = [
    # Without a bound, or without a price, there is only the ratio.
    (("ppo_clip", {"epsilon": HUGE}), ("importance_sampled", {})),
    (("decoupled_clip", {"epsilon": HUGE}), ("importance_sampled", {})),
    (("mdpo", {"inverse_step": 0.0}), ("importance_sampled", {})),
    (("truly_ppo", {"alpha": 0.0}), ("importance_sampled", {})),
    (("tr_ppo", {"delta": jnp.inf}), ("importance_sampled", {})),
    (("tr_ppo_rollback", {"delta": jnp.inf}), ("importance_sampled", {})),
    (("tr_ppo_rollback", {"alpha": -1.0}), ("importance_sampled", {})),
    (("ppo_rollback", {"alpha": -1.0}), ("importance_sampled", {})),
    at_zero("kl_penalty"),
    at_zero("k3_penalty"),
    at_zero("k2_penalty"),
    at_zero("chi_square_penalty"),
    at_zero("alpha_divergence_penalty"),
    at_zero("hellinger_penalty"),
    at_zero("pop3d"),
    # Relatives of the clip.
    (
        ("ppo_clip_asymmetric", {"epsilon_low": 0.1, "epsilon_high": 0.1}),
        ("ppo_clip", {"epsilon": 0.1}),
    ),
    (("dual_clip", {"dual_epsilon": HUGE}), ("ppo_clip", {})),
    (("ppo_rollback", {"alpha": 0.0}), ("ppo_clip", {})),
    (("decoupled_clip", {}), ("ppo_clip", {})),
    (("geppo_clip", {}), ("ppo_clip", {})),
    (("trgppo", {"delta": 0.0, "epsilon": 0.2}), ("ppo_clip", {})),
    (("ppo_clip_kl_penalty", {"beta": 0.0}), ("ppo_clip", {})),
    (("ppo_clip_kl_penalty", {"epsilon": HUGE, "beta": 0.7}), ("kl_penalty", {"beta": 0.7})),
    # Weights.
    (
        ("cispo", {"epsilon_low": 1.0, "epsilon_high": 1.5}),
        ("truncated_importance_sampled", {"max_ratio": 2.5}),
    ),
    # Divergences.
    (("alpha_divergence_penalty", {"alpha": 2.0}), ("chi_square_penalty", {})),
    (("alpha_divergence_penalty", {"alpha": 0.5}), ("hellinger_penalty", {})),
    (("spo", {"epsilon": 0.3}), ("chi_square_penalty", {"beta": jnp.abs(A) / 0.3})),
    (("pop3d", {"beta": 3.0}), ("chi_square_penalty", {"beta": 6.0 * jnp.exp(2.0 * OLD)})),
    # Drifts and gates.
    (("dpo", {"alpha": HUGE, "beta": HUGE}), ("importance_sampled", {})),
    (("scopic", {"tau": 3.0, "beta": 0.0}), ("sapo", {"tau_positive": 3.0, "tau_negative": 3.0})),
    (("pmpo", {"alpha": 1.0, "beta": 0.0}), ("crr_binary", {})),
]

SLOPE = [
    (("tr_ppo_rollback", {"alpha": 0.0, "delta": 0.02}), ("tr_ppo", {"delta": 0.02})),
    (("ce_gppo", {"beta_low": 0.0, "beta_high": 0.0}), ("ppo_clip_asymmetric", {})),
    (("cispo", {"epsilon_low": 1.0, "epsilon_high": jnp.inf}), ("importance_sampled", {})),
    (("truncated_importance_sampled", {"max_ratio": jnp.inf}), ("importance_sampled", {})),
    (("vespo", dict.fromkeys(OBJECTIVES["vespo"].coefficients, 0.0)), ("policy_gradient", {})),
    (
        (
            "vespo",
            {"k_positive": 1.0, "k_negative": 1.0, "lambda_positive": 0.0, "lambda_negative": 0.0},
        ),
        ("importance_sampled", {}),
    ),
    (("sppo", {"epsilon": HUGE}), ("policy_gradient", {})),
    (("smdpo", {"inverse_step": 0.0}), ("policy_gradient", {})),
    (("spo", {"epsilon": HUGE}), ("importance_sampled", {})),
    (("sapo", {"tau_positive": 1e-4, "tau_negative": 1e-4}), ("importance_sampled", {})),
]


def value_and_slope(name, coefficients):
    entry = OBJECTIVES[name]

    def objective(x):
        at = {**INPUTS, "log_prob": x}
        return entry.fn(**{key: at[key] for key in entry.inputs}, **coefficients)

    value, pull_back = jax.vjp(objective, INPUTS["log_prob"])
    return np.asarray(value), np.asarray(pull_back(jnp.ones_like(value))[0])


def slope(name, **coefficients):
    return value_and_slope(name, coefficients)[1]


def label(side):
    return side[0] if isinstance(side, tuple) else None


@pytest.mark.parametrize("left, right", VALUE_AND_SLOPE, ids=label)
def test_same_value_and_slope(left, right):
    for got, expected in zip(value_and_slope(*left), value_and_slope(*right), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("left, right", SLOPE, ids=label)
def test_same_slope(left, right):
    np.testing.assert_allclose(
        slope(*left[:1], **left[1]), slope(right[0], **right[1]), rtol=1e-4, atol=2e-5
    )


def test_ppo_clip_is_the_minimum_of_the_ratio_and_the_strict_clip():
    sides = [value_and_slope(name, {})[0] for name in ("importance_sampled", "strict_clip")]
    np.testing.assert_array_equal(value_and_slope("ppo_clip", {})[0], np.minimum(*sides))


def test_log_clip_has_the_slope_of_ppo_clip_without_the_ratio():
    np.testing.assert_allclose(R * slope("log_clip"), slope("ppo_clip"), rtol=1e-5)


def test_truly_ppo_is_the_kl_penalty_where_the_sample_has_won_out_of_range():
    won = np.asarray(R * A > A)
    for got, expected in zip(
        value_and_slope("truly_ppo", {"alpha": 0.7}),
        value_and_slope("kl_penalty", {"beta": 0.7}),
        strict=True,
    ):
        np.testing.assert_allclose(got[won], expected[won], rtol=1e-6)


def test_topr_tapers_the_bad_samples_only():
    got, bad = slope("topr"), np.asarray(A < 0)
    np.testing.assert_allclose(got[~bad], slope("policy_gradient")[~bad], rtol=1e-6)
    np.testing.assert_allclose(got[bad], slope("truncated_importance_sampled")[bad], rtol=1e-6)


@pytest.mark.parametrize("alpha", (0.01, -0.01))
def test_alpha_divergence_tends_to_k3_for_alpha_to_zero(alpha):
    near = np.asarray((R >= 0.3) & (R <= 4.0))
    for got, expected, ratio in zip(
        value_and_slope("alpha_divergence_penalty", {"alpha": alpha}),
        value_and_slope("k3_penalty", {}),
        value_and_slope("importance_sampled", {}),
        strict=True,
    ):
        penalty, limit = ratio - got, ratio - expected
        np.testing.assert_allclose(penalty[near], limit[near], rtol=0.01)


def test_alpha_divergence_tends_to_the_reverse_kl_for_alpha_to_one():
    penalty = slope("importance_sampled") - slope("alpha_divergence_penalty", alpha=1.001)
    np.testing.assert_allclose(penalty, R * jnp.log(R), rtol=0.01)


def test_simple_quadratic_has_the_slope_of_spo_without_the_size_of_the_advantage():
    expected = np.abs(A) / 0.4 * slope("simple_quadratic")
    np.testing.assert_allclose(slope("spo"), expected, rtol=1e-4, atol=1e-5)


def test_awr_tends_to_behaviour_cloning_for_a_high_temperature():
    np.testing.assert_allclose(slope("awr", beta=HUGE), 1.0, rtol=1e-6)


def test_self_imitation_has_the_positive_part_of_the_policy_gradient():
    np.testing.assert_array_equal(
        slope("self_imitation"), np.maximum(slope("policy_gradient"), 0.0)
    )


PENALTIES = (
    "k2_penalty",
    "k3_penalty",
    "chi_square_penalty",
    "alpha_divergence_penalty",
    "hellinger_penalty",
)


@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.parametrize("d", (-1e-2, 1e-2))
def test_penalties_agree_near_the_old_policy(name, d):
    with jax.enable_x64(True):
        at = (jnp.float64(d), 0.0, 0.0)
        np.testing.assert_allclose(-OBJECTIVES[name].fn(*at), 0.5 * d**2, rtol=2e-2)


@pytest.mark.parametrize("name, price", (("kl_penalty", "beta"), ("mdpo", "inverse_step")))
def test_exact_kls_agree_with_them_near_the_old_policy_in_expectation(name, price):
    with jax.enable_x64(True):
        old = jax.nn.log_softmax(jnp.array([0.3, -1.2, 0.8]))
        new = jax.nn.log_softmax(old + jnp.array([1e-3, -2e-3, 0.0]))
        d, p, o = new - old, jnp.exp(new), jnp.exp(old)
        kl = (o * -d).sum() if name == "kl_penalty" else (p * d).sum()
        penalty = -OBJECTIVES[name].fn(0.0, 0.0, 0.0, kl, **{price: 1.0})
        np.testing.assert_allclose(penalty, (o * 0.5 * d**2).sum(), rtol=2e-2)
