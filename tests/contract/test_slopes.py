"""Every row has the slope that its formula promises, worked out by hand below.

`SLOPES[name](s)` is the partial derivative in `log_prob`, in NumPy and float64, at the default
coefficients. `s` holds the inputs and the quantities `r = exp(d)`, `A`, `o = exp(log_prob_old)`.
"""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from rl_surrogates.objectives import OBJECTIVES

ADVANTAGES = (-2.0, -0.5, 0.5, 2.0)
RATIOS = (0.05, 0.3, 0.5, 0.72, 0.85, 0.95, 1.05, 1.15, 1.25, 1.5, 2.0, 2.5, 4.0, 6.0, 20.0)
LOG_PROB_OLD = -1.3


def far(s, low, high, ratio=None):
    """Where the advantage has already won."""
    ratio = s.r if ratio is None else ratio
    return ((s.A > 0) & (ratio > high)) | ((s.A < 0) & (ratio < low))


def unless(gone, slope):
    return np.where(gone, 0.0, slope)


def sech2(x):
    return 1.0 / np.cosh(x) ** 2


def soft_gate(s, tau):
    gate = 1.0 / (1.0 + np.exp(-tau * (s.r - 1.0)))
    return 4.0 * s.r * s.A * gate * (1.0 - gate)


def vespo_slope(s):
    k, lambda_ = np.where(s.A >= 0, 2.0, 3.0), np.where(s.A >= 0, 3.0, 2.0)
    return np.exp(lambda_ + k * s.d - lambda_ * s.r) * s.A


def ce_gppo_slope(s):
    clipped = np.where(s.A > 0, 1.28 * s.A, 0.8 * s.A)
    return np.where(far(s, 0.8, 1.28), clipped, s.r * s.A)


def dpo_slope(s):
    u, v = (s.r - 1.0) * s.A, s.A * s.d
    good = np.where(u > 0, s.r * s.A * sech2(u / 2.0), s.r * s.A)
    bad = np.where(v > 0, s.A * (s.r - np.tanh(v / 0.6) ** 2), s.r * s.A)
    return np.where(s.A >= 0, good, bad)


def trgppo_slope(s):
    o, delta = np.exp(LOG_PROB_OLD), 0.001

    def excess(r):  # KL(old||new) of the cheapest policy with that ratio, minus what is allowed
        return -o * np.log(r) + (1 - o) * np.log((1 - o) / (1 - o * r)) - delta

    low, high = brentq(excess, 1e-6, 1.0, xtol=1e-14), brentq(excess, 1.0, 1 / o - 1e-9, xtol=1e-14)
    return unless(far(s, min(low, 0.9), max(high, 1.1)), s.r * s.A)


SLOPES = {
    "policy_gradient": lambda s: s.A,
    "log_clip": lambda s: unless(far(s, 0.8, 1.2), s.A),
    "sppo": lambda s: unless(np.abs(s.d) > np.log(1.3), s.A),
    "smdpo": lambda s: s.A,
    "importance_sampled": lambda s: s.r * s.A,
    "truncated_importance_sampled": lambda s: np.minimum(s.r, 1.0) * s.A,
    "cispo": lambda s: np.clip(s.r, 0.0, 5.0) * s.A,
    "topr": lambda s: np.where(s.A >= 0, 1.0, np.minimum(s.r, 1.0)) * s.A,
    "vespo": vespo_slope,
    "ppo_clip": lambda s: unless(far(s, 0.8, 1.2), s.r * s.A),
    "ppo_clip_asymmetric": lambda s: unless(far(s, 0.8, 1.28), s.r * s.A),
    "dual_clip": lambda s: unless(far(s, 0.8, 1.2) | ((s.A < 0) & (s.r > 3.0)), s.r * s.A),
    "strict_clip": lambda s: unless((s.r < 0.8) | (s.r > 1.2), s.r * s.A),
    "ppo_rollback": lambda s: np.where(far(s, 0.8, 1.2), -0.3, 1.0) * s.r * s.A,
    "decoupled_clip": lambda s: unless(far(s, 0.8, 1.2, s.r / s.w), s.r * s.A),
    "geppo_clip": lambda s: unless(far(s, s.w - 0.2, s.w + 0.2), s.r * s.A),
    "ce_gppo": ce_gppo_slope,
    "tr_ppo": lambda s: unless((s.kl >= 0.025) & (s.r * s.A > s.A), s.r * s.A),
    "tr_ppo_rollback": lambda s: (
        np.where((s.kl >= 0.03) & (s.r * s.A >= s.A), -0.05, 1.0) * s.r * s.A
    ),
    "truly_ppo": lambda s: s.r * s.A,
    "ppo_clip_kl_penalty": lambda s: unless(far(s, 0.8, 1.2), s.r * s.A),
    "trgppo": trgppo_slope,
    "kl_penalty": lambda s: s.r * s.A,
    "mdpo": lambda s: s.r * s.A,
    "k3_penalty": lambda s: s.r * s.A - (s.r - 1.0),
    "k2_penalty": lambda s: s.r * s.A - s.d,
    "chi_square_penalty": lambda s: s.r * s.A - s.r * (s.r - 1.0),
    "alpha_divergence_penalty": lambda s: s.r * s.A - (np.sqrt(s.r) - s.r) / (0.5 - 1.0),
    "hellinger_penalty": lambda s: s.r * s.A - 2.0 * (s.r - np.sqrt(s.r)),
    "pop3d": lambda s: s.r * s.A - 2.0 * 5.0 * s.o**2 * s.r * (s.r - 1.0),
    "scopic": lambda s: soft_gate(s, 4.0),
    "sapo": lambda s: soft_gate(s, np.where(s.A > 0, 1.0, 1.05)),
    "spo": lambda s: s.r * (s.A - np.abs(s.A) * (s.r - 1.0) / 0.2),
    "dpo": dpo_slope,
    "simple_quadratic": lambda s: -2.0 * s.r * (s.r - 1.0 - 0.2 * np.sign(s.A)),
    "awr": lambda s: np.minimum(np.exp(s.A / 0.05), 20.0),
    "crr_binary": lambda s: np.where(s.A > 0, 1.0, 0.0),
    "self_imitation": lambda s: np.maximum(s.A, 0.0),
    "pmpo": lambda s: np.where(s.A >= 0, 0.5, -0.5),
}

# What one nat of the exact KL costs; every other input of that kind has slope 0.
KL_SLOPES = {
    "smdpo": lambda s: -1.0,
    "truly_ppo": lambda s: np.where((s.kl >= 0.03) & (s.r * s.A > s.A), -5.0, 0.0),
    "ppo_clip_kl_penalty": lambda s: -0.2,
    "kl_penalty": lambda s: -1.0,
    "mdpo": lambda s: -1.0,
    "scopic": lambda s: -0.1,
    "pmpo": lambda s: -0.3,
}

# The weight of these is data, so their value is not what they ascend.
STOPPED = {"truncated_importance_sampled", "cispo", "topr", "vespo", "ce_gppo"}
KL_NAMES = ("kl_old_new", "kl_new_old")


def asks_for_kl(name):
    return any(key in KL_NAMES for key in OBJECTIVES[name].inputs)


def grid(dtype, *, kl=0.01, prox_shift=0.0, shift=0.0):
    """Inputs on the grid of advantages and ratios, and the symbols of the formulas in float64."""
    advantage, ratio = (x.ravel() for x in np.meshgrid(ADVANTAGES, RATIOS))
    old = np.full_like(ratio, LOG_PROB_OLD)
    inputs = {
        "log_prob": old + np.log(ratio) + shift,
        "log_prob_old": old,
        "advantage": advantage,
        "kl_old_new": np.full_like(ratio, kl),
        "kl_new_old": np.full_like(ratio, kl),
        "log_prob_prox": old + prox_shift,
    }
    inputs = {name: jnp.asarray(x, dtype) for name, x in inputs.items()}
    seen = {name: np.asarray(x, np.float64) for name, x in inputs.items()}
    d = seen["log_prob"] - seen["log_prob_old"]
    w = np.exp(seen["log_prob_prox"] - seen["log_prob_old"])
    old = np.exp(seen["log_prob_old"])
    return inputs, SimpleNamespace(r=np.exp(d), d=d, A=advantage, o=old, w=w, kl=kl)


ON_THE_GRID = [(name, {}) for name in OBJECTIVES]
ON_THE_GRID += [(name, {"kl": 0.05}) for name in OBJECTIVES if asks_for_kl(name)]
ON_THE_GRID += [
    (name, {"prox_shift": 0.1}) for name in OBJECTIVES if "log_prob_prox" in OBJECTIVES[name].inputs
]


@pytest.mark.parametrize("name, where", ON_THE_GRID)
def test_slope_is_the_closed_form(name, where, whole_table):
    inputs, symbols = grid(np.float32, **where)
    expected = np.broadcast_to(SLOPES[name](symbols), symbols.r.shape)
    error = np.abs(whole_table(inputs)[name]["log_prob"] - expected)
    assert (error <= 2e-5 * np.maximum(1.0, np.abs(expected))).all()


FAR_AWAY = {"kl": 0.05, "prox_shift": 0.1}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_slope_is_the_closed_form_to_nine_digits_in_float64(name, whole_table):
    with jax.enable_x64(True):
        inputs, symbols = grid(np.float64, **FAR_AWAY)
        got = np.asarray(whole_table(inputs)[name]["log_prob"])
    assert got.dtype == np.float64
    expected = np.broadcast_to(SLOPES[name](symbols), symbols.r.shape)
    assert (np.abs(got - expected) <= 1e-9 * np.maximum(1.0, np.abs(expected))).all()


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name not in STOPPED])
def test_slope_is_the_difference_quotient_of_the_value(name, whole_table):
    def row(shift):
        return whole_table(grid(np.float64, shift=shift, **FAR_AWAY)[0])[name]

    with jax.enable_x64(True):
        quotient = (row(1e-6)["value"] - row(-1e-6)["value"]) / 2e-6
        np.testing.assert_allclose(row(0.0)["log_prob"], quotient, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kl", (0.01, 0.05))
@pytest.mark.parametrize("name", list(filter(asks_for_kl, OBJECTIVES)))
def test_slope_in_the_kl_is_minus_its_price(name, kl, whole_table):
    (kl_name,) = [key for key in OBJECTIVES[name].inputs if key in KL_NAMES]
    inputs, symbols = grid(np.float32, kl=kl)
    expected = KL_SLOPES.get(name, lambda s: 0.0)(symbols)
    got = whole_table(inputs)[name][kl_name]
    np.testing.assert_array_equal(got, np.broadcast_to(np.float32(expected), got.shape))
