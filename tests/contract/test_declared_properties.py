"""What a row declares of itself is true, and what it denies is false."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.distributions import Categorical, DiagonalGaussian
from rl_surrogates.divergences import k1
from rl_surrogates.objectives import OBJECTIVES

FIRST_ORDER = [name for name, entry in OBJECTIVES.items() if entry.first_order]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_slope_at_ratio_one_is_the_advantage_exactly_where_declared(name, samples, whole_table):
    old, zero = samples["log_prob_old"], jnp.zeros(8)
    agree = {"log_prob": old, "log_prob_prox": old, "kl_old_new": zero, "kl_new_old": zero}
    slopes = whole_table(samples | agree)[name]
    is_advantage = np.allclose(slopes["log_prob"], samples["advantage"], atol=1e-6)
    assert is_advantage == OBJECTIVES[name].first_order


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objective_is_homogeneous_in_the_advantage_exactly_where_declared(
    name, samples, whole_table
):
    value = whole_table(samples)[name]["value"]
    scaled = whole_table(samples | {"advantage": 3.0 * samples["advantage"]})[name]["value"]
    homogeneous = np.allclose(scaled, 3.0 * value, rtol=1e-5, atol=1e-6)
    assert homogeneous == OBJECTIVES[name].scale_free


@pytest.mark.parametrize("name", [n for n, entry in OBJECTIVES.items() if entry.scale_free])
def test_no_advantage_no_slope(name, samples, whole_table):
    slopes = whole_table(samples | {"advantage": jnp.zeros(8)})[name]
    np.testing.assert_array_equal(slopes["log_prob"], np.zeros(8))


LOGITS = jnp.array([[0.3, -1.2, 0.8, 0.1], [2.0, 0.0, -1.0, 0.5], [0.0, 0.0, 0.0, 0.0]])
GAUSSIAN = DiagonalGaussian(
    jnp.array([[0.3, -1.0], [2.0, 0.1]]), jnp.array([[-0.5, 0.2], [0.0, 1.0]])
)


@pytest.mark.parametrize("old", (Categorical(LOGITS), GAUSSIAN), ids=("categorical", "gaussian"))
@pytest.mark.parametrize("forward", (True, False))
def test_exact_kl_has_no_gradient_where_the_policies_agree(old, forward):
    def total(new):
        return (old.kl(new) if forward else new.kl(old)).sum()

    for leaf in jax.tree.leaves(jax.jit(jax.grad(total))(old)):
        np.testing.assert_allclose(leaf, 0.0, atol=1e-7)


def test_plain_sampled_kl_has_a_gradient_where_the_policies_agree():
    old, action = Categorical(LOGITS), jnp.array([0, 1, 2])

    def total(logits):
        return k1(Categorical(logits).log_prob(action), old.log_prob(action)).sum()

    assert np.abs(jax.grad(total)(LOGITS)).max() > 0.1


KLS = ("kl_old_new", "kl_new_old")
STATE, ACTION = jnp.arange(8) % 3, jnp.array([0, 1, 2, 3, 2, 1, 0, 3])
TABLE_ADVANTAGE = jnp.array([1.0, -0.5, 0.3, 2.0, -1.0, 0.8, -0.2, 0.4])


@jax.jit
def policy_inputs(logits):
    """What changes with the policy: eight samples of three states."""
    old, new = Categorical(LOGITS), Categorical(logits)
    return {
        "log_prob": new.log_probs[STATE, ACTION],
        "kl_old_new": old.kl(new)[STATE],
        "kl_new_old": new.kl(old)[STATE],
    }


@jax.jit
def pull_back(logits, slopes):
    return jax.vjp(policy_inputs, logits)[1](slopes)[0]


def train_tabular(whole_table, name, *, num_steps, rate=1.0):
    """Gradient ascent on the logits, on the same eight samples."""
    log_prob_old = Categorical(LOGITS).log_probs[STATE, ACTION]
    data = {
        "log_prob_old": log_prob_old,
        "log_prob_prox": log_prob_old,
        "advantage": TABLE_ADVANTAGE,
    }
    logits = LOGITS
    for _ in range(num_steps):
        slopes = whole_table(data | policy_inputs(logits))[name]
        slopes = {key: slopes.get(key, jnp.zeros(8)) for key in ("log_prob", *KLS)}
        logits = logits + rate * pull_back(logits, slopes) / 8
    return np.asarray(logits)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_first_step_is_that_of_the_policy_gradient(name, whole_table):
    expected = train_tabular(whole_table, "policy_gradient", num_steps=1)
    np.testing.assert_allclose(train_tabular(whole_table, name, num_steps=1), expected, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in FIRST_ORDER if name != "policy_gradient"])
def test_later_steps_on_the_same_data_leave_the_policy_gradient(name, whole_table):
    control = train_tabular(whole_table, "policy_gradient", num_steps=4, rate=3.0)
    reused = train_tabular(whole_table, name, num_steps=4, rate=3.0)
    assert np.abs(reused - control).max() > 1e-2
