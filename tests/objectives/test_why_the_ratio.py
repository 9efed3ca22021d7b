"""The founding question by enumeration: what do the surrogates maximise at one state?"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates.objectives import OBJECTIVES

OLD = np.array([0.60, 0.39, 0.01])
Q = np.array([0.5, 0.0, 1.0])
ADVANTAGE = Q - (OLD * Q).sum()  # (.19, -.31, .69)


def expected(name, old=OLD, advantage=ADVANTAGE, **coefficients):
    """E_old[l] at one state, exact, as a function of the logits of the new policy."""
    entry = OBJECTIVES[name]
    log_old = jnp.log(jnp.asarray(old))

    def surrogate(logits):
        log_new = jax.nn.log_softmax(logits)
        at = {"log_prob": log_new, "log_prob_old": log_old, "advantage": jnp.asarray(advantage)}
        at["kl_old_new"] = (jnp.exp(log_old) * (log_old - log_new)).sum()
        at["kl_new_old"] = (jnp.exp(log_new) * (log_new - log_old)).sum()
        sample = entry.fn(**{key: at[key] for key in entry.inputs}, **coefficients)
        return (jnp.exp(log_old) * sample).sum()

    return surrogate


def climb(name, num_steps):
    step = jax.grad(expected(name))
    start = jnp.log(jnp.asarray(OLD))
    run = jax.jit(lambda z: jax.lax.fori_loop(0, num_steps, lambda _, z: z + step(z), z))
    return np.asarray(jax.nn.softmax(run(start)))


def test_both_surrogates_take_the_same_first_step():
    log_old = jnp.log(jnp.asarray(OLD))
    slopes = [
        jax.grad(expected(name))(log_old) for name in ("policy_gradient", "importance_sampled")
    ]
    assert_allclose(slopes[0], slopes[1], atol=1e-7)
    assert_allclose(slopes[0], OLD * ADVANTAGE, atol=1e-7)  # (.114, -.1209, .0069)


def test_on_the_same_data_the_log_picks_the_common_arm_and_the_ratio_the_best_one():
    log_arm, ratio_arm = climb("policy_gradient", 10_000), climb("importance_sampled", 10_000)
    assert log_arm.argmax() == 0 and ratio_arm.argmax() == 2
    assert_allclose((log_arm * Q).sum(), 0.5, atol=1e-3)
    assert (ratio_arm * Q).sum() > 0.999


def test_the_log_surrogate_is_linear_in_the_logits_and_has_no_maximum():
    surrogate = expected("policy_gradient")
    logits = jnp.log(jnp.asarray(OLD))
    assert_allclose(
        jax.grad(surrogate)(logits + jnp.array([3.0, -2.0, 1.0])), OLD * ADVANTAGE, atol=1e-6
    )
    assert surrogate(logits + 1e3 * OLD * ADVANTAGE) > 20.0


def test_the_ratio_surrogate_is_the_improvement_of_the_return():
    logits = jnp.array([0.2, -1.0, 2.0])
    new = jax.nn.softmax(logits)
    improvement = (new * Q).sum() - (OLD * Q).sum()
    assert_allclose(expected("importance_sampled")(logits), improvement, rtol=1e-5)
    slope = new * (ADVANTAGE - (new * ADVANTAGE).sum())
    assert_allclose(jax.grad(expected("importance_sampled"))(logits), slope, atol=1e-6)


def test_the_two_differ_in_curvature_by_the_advantage_weighted_fisher_matrix():
    log_old = jnp.log(jnp.asarray(OLD))
    curvature = [
        jax.hessian(expected(n))(log_old) for n in ("importance_sampled", "policy_gradient")
    ]
    score = np.eye(3) - OLD  # row a: d log pi(a) / d logits
    fisher = np.einsum("a,ai,aj->ij", OLD * ADVANTAGE, score, score)
    assert_allclose(curvature[0] - curvature[1], fisher, atol=1e-6)


@pytest.mark.parametrize("baseline", (-2.0, 3.0))
def test_a_baseline_shifts_the_ratio_surrogate_and_penalises_the_log_one(baseline):
    logits = jnp.array([0.2, -1.0, 2.0])
    log_new = jax.nn.log_softmax(logits)
    kl = (OLD * (np.log(OLD) - log_new)).sum()

    def shift(name):
        shifted = expected(name, advantage=ADVANTAGE + baseline)(logits)
        return shifted - expected(name)(logits)

    assert_allclose(shift("importance_sampled"), baseline, rtol=1e-5)
    at_old = baseline * (OLD * np.log(OLD)).sum()
    assert_allclose(shift("policy_gradient") - at_old, -baseline * kl, rtol=1e-5)


CENTRED = np.array([0.4, -0.9, 0.3, -0.2])
FOUR = np.array([0.4, 0.2, 0.1, 0.3])
CENTRED = CENTRED - (FOUR * CENTRED).sum()
PRICE = 2.0


def tilted():
    weight = FOUR * np.exp(CENTRED / PRICE)
    return weight / weight.sum()


def shifted():
    return FOUR * (1.0 + CENTRED / PRICE)


def reciprocal():
    low, high = CENTRED.max() + 1e-12, CENTRED.max() + PRICE
    for _ in range(200):  # the normaliser, by bisection
        middle = 0.5 * (low + high)
        total = (PRICE * FOUR / (middle - CENTRED)).sum()
        low, high = (middle, high) if total > 1.0 else (low, middle)
    return PRICE * FOUR / (middle - CENTRED)


@pytest.mark.parametrize(
    "name, coefficient, maximiser",
    [
        ("mdpo", "inverse_step", tilted),
        ("smdpo", "inverse_step", shifted),
        ("chi_square_penalty", "beta", shifted),
        ("kl_penalty", "beta", reciprocal),
    ],
)
def test_each_surrogate_is_maximised_by_its_closed_form(name, coefficient, maximiser):
    best = maximiser()
    assert_allclose(best.sum(), 1.0, rtol=1e-9)
    with jax.enable_x64(True):
        surrogate = expected(name, FOUR, CENTRED, **{coefficient: PRICE})
        logits = jnp.log(jnp.asarray(best))
        assert_allclose(jax.jit(jax.grad(surrogate))(logits), 0.0, atol=1e-10)
        # negative definite on the directions that change the policy
        curvature = np.linalg.eigvalsh(jax.jit(jax.hessian(surrogate))(logits))
        assert curvature[-2] < -1e-3 and abs(curvature[-1]) < 1e-9


@pytest.mark.parametrize("name", ("awr", "crr_binary", "self_imitation"))
def test_weighted_regression_ends_at_the_reweighted_old_policy(name):
    weight = {
        "awr": np.minimum(np.exp(CENTRED / 0.5), 20.0),
        "crr_binary": (CENTRED > 0) + 0.0,
        "self_imitation": np.maximum(CENTRED, 0.0),
    }[name]
    best = FOUR * weight / (FOUR * weight).sum()
    coefficients = {"beta": 0.5} if name == "awr" else {}
    with jax.enable_x64(True):
        slope = jax.grad(expected(name, FOUR, CENTRED, **coefficients))(jnp.log(best + 1e-30))
        assert_allclose(slope, 0.0, atol=1e-10)
