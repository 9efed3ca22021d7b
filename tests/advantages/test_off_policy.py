"""Advantages off policy: a slow loop, the on-policy limit, and the fixed points by enumeration."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates import advantages

T, B = 40, 5


@pytest.fixture
def rollout():
    rng = np.random.default_rng(1)
    names = ("log_ratio", "reward", "value", "next_value")
    data = {name: rng.normal(size=(T, B)) for name in names}
    return data | {name: rng.random((T, B)) < 0.15 for name in ("terminated", "truncated")}


def arrays(rollout, *left_out):
    kept = {name: x for name, x in rollout.items() if name not in left_out}
    return {
        name: jnp.asarray(x if x.dtype == bool else x.astype(np.float32))
        for name, x in kept.items()
    }


def connected(rollout):
    inside = ~(rollout["terminated"] | rollout["truncated"])[:-1]
    next_value = rollout["next_value"].copy()
    next_value[:-1][inside] = rollout["value"][1:][inside]
    return rollout | {"next_value": next_value}


def vtrace_by_hand(r, gamma, lambda_, rho_clip, c_clip):
    ratio = np.exp(r["log_ratio"])
    target, advantage, error = np.zeros((T, B)), np.zeros((T, B)), np.zeros(B)
    for t in reversed(range(T)):
        rho, c = np.minimum(rho_clip, ratio[t]), lambda_ * np.minimum(c_clip, ratio[t])
        stop, alive = r["terminated"][t] | r["truncated"][t], gamma * ~r["terminated"][t]
        delta = r["reward"][t] + alive * r["next_value"][t] - r["value"][t]
        error = rho * delta + gamma * ~stop * c * error
        target[t] = r["value"][t] + error
        q = r["next_value"][t]
        if t + 1 < T:
            q = np.where(stop, q, lambda_ * target[t + 1] + (1 - lambda_) * q)
        advantage[t] = rho * (r["reward"][t] + alive * q - r["value"][t])
    return target, advantage


@pytest.mark.parametrize("clips", ((1.0, 1.0), (2.0, 0.7), (0.5, 1.5)))
def test_vtrace_is_a_loop(rollout, clips):
    coefficients = {"lambda_": 0.9, "rho_clip": clips[0], "c_clip": clips[1]}
    got = advantages.vtrace(**arrays(rollout), gamma=0.95, **coefficients)
    expected = vtrace_by_hand(rollout, 0.95, *coefficients.values())
    assert_allclose(got.target, expected[0], rtol=1e-4, atol=1e-4)
    assert_allclose(got.advantage, expected[1], rtol=1e-4, atol=1e-4)


def on_policy(rollout):
    return connected(rollout) | {"log_ratio": np.zeros((T, B))}


def test_on_policy_all_corrected_advantages_are_gae(rollout):
    rollout = on_policy(rollout)
    gae = advantages.gae(**arrays(rollout, "log_ratio"), gamma=0.95, lambda_=0.9)
    vtrace = advantages.vtrace(**arrays(rollout), gamma=0.95, lambda_=0.9)
    assert_allclose(vtrace.advantage, gae, rtol=1e-4, atol=1e-5)
    assert_allclose(vtrace.target, gae + rollout["value"], rtol=1e-4, atol=1e-5)
    retrace = advantages.retrace(**arrays(rollout), gamma=0.95, lambda_=0.9)
    assert_allclose(retrace, gae, rtol=1e-5, atol=1e-6)


def test_vtrace_by_hand_on_two_steps():
    # ratios 2 and .5, clipped at 1: rho = 1, .5; delta = 1 + 1 - 0, 0 + 2 - 1; gamma = lambda = 1
    got = advantages.vtrace(
        jnp.log(jnp.array([2.0, 0.5])),
        jnp.array([1.0, 0.0]),
        jnp.array([0.0, 1.0]),
        jnp.array([1.0, 2.0]),
        jnp.zeros(2, bool),
        jnp.zeros(2, bool),
        gamma=1.0,
        lambda_=1.0,
    )
    assert_allclose(got.target, [2.5, 1.5])  # e_1 = .5 * 1; e_0 = 1 * 2 + 1 * .5
    assert_allclose(got.advantage, [2.5, 0.5])  # 1 (1 + 1.5 - 0); .5 (0 + 2 - 1)


def test_retrace_weighs_the_next_action_and_not_the_first():
    arrays_ = (jnp.array([1.0, 0.0]), jnp.zeros(2), jnp.array([0.0, 2.0]), jnp.zeros(2, bool))
    got = advantages.retrace(
        jnp.log(jnp.array([9.0, 0.5])), *arrays_, jnp.zeros(2, bool), gamma=1.0, lambda_=0.8
    )
    assert_allclose(got, [1.0 + 0.8 * 0.5 * 2.0, 2.0], rtol=1e-6)


def test_untruncated_retrace_is_unbiased_for_the_action_that_was_taken():
    # Two steps, two actions, V = V of the new policy; all four paths with their probability.
    old, new = np.array([0.7, 0.3]), np.array([0.4, 0.6])
    reward = np.array([[1.0, -1.0], [0.5, 2.0]])  # [t, a]
    v1 = (new * reward[1]).sum()
    v0 = (new * (reward[0] + 0.9 * v1)).sum()
    first, second = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    at = {
        "log_ratio": np.log(new / old)[np.array([first, second])],
        "reward": np.array([reward[0][first], reward[1][second]]),
        "value": np.array([[v0] * 4, [v1] * 4]),
        "next_value": np.array([[v1] * 4, [0.0] * 4]),
        "terminated": np.array([[False] * 4, [True] * 4]),
        "truncated": np.zeros((2, 4), bool),
    }
    got = advantages.retrace(**arrays(at), gamma=0.9, lambda_=1.0, c_clip=np.inf)[0]
    mean = [(old[second] * got)[first == a].sum() for a in (0, 1)]
    assert_allclose(mean, reward[0] + 0.9 * v1 - v0, rtol=1e-5)


def test_vtrace_target_is_the_value_of_the_new_policy_where_nothing_is_clipped():
    old, new, reward = np.array([0.7, 0.3]), np.array([0.4, 0.6]), np.array([1.0, -2.0])
    at = {name: np.zeros((1, 2)) for name in ("value", "next_value")}
    at |= {"log_ratio": np.log(new / old)[None], "reward": reward[None]}
    at |= {"terminated": np.ones((1, 2), bool), "truncated": np.zeros((1, 2), bool)}
    got = advantages.vtrace(**arrays(at), gamma=0.9, lambda_=1.0, rho_clip=np.inf, c_clip=np.inf)
    assert_allclose((old * got.target[0]).sum(), (new * reward).sum(), rtol=1e-5)
