"""Gradients of several surrogates on one batch, against one gradient at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates import diagnostics
from rl_surrogates.distributions import Categorical
from rl_surrogates.objectives import OBJECTIVES

STATES = jax.random.normal(jax.random.key(0), (12, 3))
OLD = {"w": jnp.zeros((3, 4)), "b": jnp.array([0.1, -0.2, 0.3, 0.0])}
NEW = {"w": 0.4 * jax.random.normal(jax.random.key(1), (3, 4)), "b": jnp.zeros(4)}
ACTION = jax.random.randint(jax.random.key(2), (12,), 0, 4)
ADVANTAGE = jax.random.normal(jax.random.key(3), (12,))


def policy(params):
    return Categorical(STATES @ params["w"] + params["b"])


def surrogate_of(row):
    old = policy(OLD)

    def surrogate(pi):
        at = {"log_prob": pi.log_prob(ACTION), "log_prob_old": old.log_prob(ACTION)}
        at |= {"advantage": ADVANTAGE, "log_prob_prox": at["log_prob_old"]}
        at |= {"kl_old_new": old.kl(pi), "kl_new_old": pi.kl(old)}
        return row.fn(**{key: at[key] for key in row.inputs})

    return surrogate


NAMES = "policy_gradient importance_sampled ppo_clip kl_penalty spo awr simple_quadratic".split()
SURROGATES = {name: surrogate_of(OBJECTIVES[name]) for name in NAMES}


@pytest.fixture(scope="module")
def shadow():
    """`params -> Shadow` over these rows, compiled once."""
    return jax.jit(lambda params: diagnostics.shadow_objectives(policy, params, SURROGATES))


def flat_gradient(name, params):
    slope = jax.grad(lambda params: jnp.mean(SURROGATES[name](policy(params))))(params)
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(slope)])


def test_shadows_are_the_gradients_one_by_one(shadow):
    found = shadow(NEW)
    each = np.stack([flat_gradient(name, NEW) for name in NAMES])
    norm = np.linalg.norm(each, axis=1)
    assert_allclose(found.norm, norm, rtol=1e-4)
    assert_allclose(found.cosine, each @ each.T / norm / norm[:, None], atol=1e-5)


def test_at_the_old_policy_every_first_order_row_points_along_the_policy_gradient(shadow):
    found = shadow(OLD)
    for cosine, name in zip(np.asarray(found.cosine[0]), NAMES, strict=True):
        assert (cosine == pytest.approx(1.0, abs=1e-5)) == OBJECTIVES[name].first_order, name


def test_a_gradient_that_is_zero_has_no_direction():
    nothing = {"a": SURROGATES["ppo_clip"], "b": lambda pi: 0.0 * pi.log_prob(ACTION)}
    found = diagnostics.shadow_objectives(policy, NEW, nothing)
    assert found.norm[1] == 0.0 and bool(jnp.isnan(found.cosine[0, 1]))


def test_the_cosine_to_the_policy_gradient_is_one_at_first_and_falls_on_the_way():
    ways = SURROGATES["policy_gradient"], SURROGATES["importance_sampled"]
    first = diagnostics.gradient_cosine(policy, OLD, *ways)
    later = diagnostics.gradient_cosine(policy, NEW, *ways)
    assert first == pytest.approx(1.0, abs=1e-6) and later < 0.999


def test_the_cosine_of_two_trees():
    x, y = {"a": jnp.array([1.0, 0.0]), "b": jnp.array([0.0])}, {"a": jnp.ones(2), "b": jnp.ones(1)}
    assert diagnostics.cosine(x, y) == pytest.approx(1 / np.sqrt(3))
    assert jnp.isnan(diagnostics.cosine(x, jax.tree.map(jnp.zeros_like, y)))


def test_a_small_step_gains_what_the_gradient_predicts_and_a_large_one_does_not():
    slope = jax.grad(lambda p: jnp.mean(SURROGATES["ppo_clip"](policy(p))))(OLD)

    def after(rate):
        new = jax.tree.map(lambda p, g: p + rate * g, OLD, slope)
        found = diagnostics.improvement(policy, SURROGATES["ppo_clip"], OLD, new)
        return float(found["predicted_improvement"]), float(found["surrogate_improvement"])

    predicted, gained = after(1e-2)
    square = sum(float(jnp.vdot(leaf, leaf)) for leaf in jax.tree.leaves(slope))
    assert predicted == pytest.approx(1e-2 * square, rel=1e-4)
    assert gained == pytest.approx(predicted, rel=0.02)
    predicted, gained = after(100.0)
    assert gained < 0.2 * predicted
