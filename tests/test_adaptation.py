"""Coefficients move between updates, by a rule that can be read off, and never inside one."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import make_program, make_train
from rl_surrogates.adaptation import (
    FASTEST,
    LARGEST,
    RULES,
    SLOWEST,
    SMALLEST,
    Seen,
    adapt,
    adaptive_kl,
    adaptive_learning_rate,
    linear_anneal,
    mdpo_inverse_step,
    proportional_kl,
    rllib_kl,
)
from rl_surrogates.config import Config
from tests.probes import MATCH, Probe, ProbeParams


class Targets(NamedTuple):
    target: Any
    horizon: Any


class Hypers(NamedTuple):
    objective: Any
    ent_coef: Any
    ascent: Any


class Rates(NamedTuple):
    learning_rate: Any


HYPERS = Hypers({}, jnp.float32(2.0), Rates(jnp.float32(2.0)))
proportional = partial(proportional_kl, num_samples=500, horizon=5000.0)
KL_RULES = [adaptive_kl, rllib_kl, proportional, adaptive_learning_rate]
IDS = "adaptive_kl rllib_kl proportional_kl adaptive_learning_rate".split()


def betas(rule, kls):
    """The betas after each of these KLs, from 1, with a target of 0.01."""

    def step(beta, kl):
        beta = rule(beta, kl, target=0.01)
        return beta, beta

    return jax.jit(lambda kls: jax.lax.scan(step, jnp.float32(1.0), kls)[1])(jnp.array(kls))


def test_the_penalty_doubles_above_the_target_and_halves_below():
    assert betas(adaptive_kl, [0.02, 0.02, 0.001, 0.01]).tolist() == [2.0, 4.0, 2.0, 2.0]


def test_the_rule_of_rllib_takes_longer_to_act_and_acts_less():
    # 0.02 is not above 2 x 0.01; 0.001 is below 0.01 / 2
    kls = [0.0201, 0.0201, 0.0199, 0.001, 0.0051]
    assert betas(rllib_kl, kls).tolist() == [1.5, 2.25, 2.25, 1.125, 1.125]


def test_the_proportional_rule_moves_by_its_error_up_to_a_fifth_times_its_share_of_the_horizon():
    # N / horizon = 0.1: 0.01 -> e = 0; 0.011 -> e = 0.1; 0.05 -> e = 0.2; 0 -> e = -0.2
    expected = np.cumprod([1.0, 1.01, 1.02, 0.98])
    np.testing.assert_allclose(betas(proportional, [0.01, 0.011, 0.05, 0.0]), expected, rtol=1e-6)


def test_the_learning_rate_falls_where_the_kl_is_too_large_and_rises_where_it_is_too_small():
    rule = partial(adaptive_learning_rate, target=0.01)
    np.testing.assert_allclose(rule(3e-3, 0.0201), 2e-3, rtol=1e-6)
    np.testing.assert_allclose(rule(3e-3, 0.0049), 4.5e-3, rtol=1e-6)
    np.testing.assert_allclose(rule(3e-3, 0.0199), 3e-3, rtol=1e-6)
    np.testing.assert_allclose(rule(9e-3, 0.0), FASTEST, rtol=1e-6)
    np.testing.assert_allclose(rule(1.2e-5, 1.0), SLOWEST, rtol=1e-6)


@pytest.mark.parametrize(
    "kl, factor",
    [(0.0149, 1.0), (0.0151, 2.0), (0.0067, 1.0), (0.0066, 0.5), (0.0, 0.5), (jnp.inf, 2.0)],
)
def test_the_thresholds_are_two_thirds_and_three_halves_of_the_target(kl, factor):
    assert float(adaptive_kl(3.0, kl, target=0.01)) == 3.0 * factor


@pytest.mark.parametrize("rule", KL_RULES, ids=IDS)
def test_a_kl_that_is_not_a_number_moves_nothing(rule):
    np.testing.assert_allclose(rule(0.003, jnp.nan, target=0.01), 0.003, rtol=1e-6)


@pytest.mark.parametrize("rule", KL_RULES[:3], ids=IDS[:3])
def test_the_penalty_stays_positive_and_finite_however_long_it_moves(rule):
    assert float(rule(SMALLEST, 0.0, target=0.01)) == pytest.approx(SMALLEST)
    assert float(rule(LARGEST, jnp.inf, target=0.01)) == pytest.approx(LARGEST)


def test_linear_annealing_starts_at_one_and_never_reaches_zero():
    np.testing.assert_allclose(linear_anneal(jnp.arange(4), 4), [1.0, 0.75, 0.5, 0.25])


def test_the_inverse_step_of_mdpo_is_a_reciprocal_that_ends_at_the_number_of_updates():
    # t = 1, 3/4, 1/2, 1/4, and what would be 0 or less
    steps = jax.jit(mdpo_inverse_step, static_argnums=1)(jnp.arange(6), 4)
    np.testing.assert_allclose(steps, [1.0, 4 / 3, 2.0, 4.0, 4.0, 4.0], rtol=1e-6)


def adapted(rule, path, coefficients, outside=None, update=3):
    """What `rule` makes of these numbers after update 3 of 4, where each of them began at 2."""
    hypers = HYPERS._replace(objective={name: jnp.float32(2.0) for name in coefficients})
    seen = Seen(jnp.float32(0.1), jnp.int32(update), 4, 64, Targets(0.01, 640.0))
    return adapt(RULES[rule], path, coefficients, outside or {}, hypers, seen)


def test_a_schedule_starts_from_the_configured_number_and_not_from_where_it_stands():
    moved, _ = adapted("mdpo_inverse_step", "objective.inverse_step", {"inverse_step": 7.0})
    assert float(moved["inverse_step"]) == 8.0  # 2 / (1 - 3/4)
    moved, _ = adapted("linear_anneal", "objective.epsilon", {"epsilon": 7.0})
    assert float(moved["epsilon"]) == 0.5  # 2 (1 - 3/4)
    _, moved = adapted("linear_anneal", "ent_coef", {"ent_coef": 7.0}, {"ent_coef": 7.0})
    assert float(moved["ent_coef"]) == 0.5


@pytest.mark.parametrize("name, factor", [("adaptive_kl", 2), ("rllib_kl", 1.5)])
def test_only_the_coefficient_that_is_named_moves_in_every_objective_of_a_program(name, factor):
    held = {"choice": 1.0, "mdpo__inverse_step": 3.0, "kl_penalty__beta": 3.0, "k3__beta": 3.0}
    moved, outside = adapted(name, "objective.beta", held)
    assert outside == {}
    expected = {**held, "kl_penalty__beta": 3.0 * factor, "k3__beta": 3.0 * factor}
    assert {name: float(value) for name, value in moved.items()} == expected


def test_what_lies_outside_the_objective_leaves_its_coefficients_alone():
    paths = {"ascent.learning_rate": jnp.float32(3e-3)}
    kept, moved = adapted("adaptive_learning_rate", "ascent.learning_rate", {"beta": 1.0}, paths)
    assert kept == {"beta": 1.0}
    np.testing.assert_allclose(moved["ascent.learning_rate"], 2e-3, rtol=1e-6)


def test_a_learning_rate_that_follows_the_kl_is_used_at_the_next_update():
    config = Config(
        num_envs=4,
        num_steps=8,
        total_timesteps=128,
        network={"hidden": [4]},
        ascent={"num_epochs": 2, "num_minibatches": 1, "learning_rate": 0.01, "anneal": "none"},
        adaptation={"name": "adaptive_learning_rate", "target": 1e-9},
    )
    state, metrics = jax.jit(make_train(config, env=Probe()))(jax.random.key(0), config.hypers())
    # No update does as little as 1e-9 nats: the rate falls by 1.5 every time.
    expected = 0.01 / 1.5 ** np.arange(5)
    np.testing.assert_allclose(metrics["learning_rate"], expected[:4], rtol=1e-5)
    np.testing.assert_allclose(state.adapted["ascent.learning_rate"], expected[4], rtol=1e-5)
    assert float(metrics["kl_old_new"].min()) > 2e-9


@pytest.fixture(scope="module")
def updates():
    """Betas before and after each of 8 updates of `kl_penalty`, and what those reported."""
    config = Config(
        num_envs=8,
        num_steps=8,
        total_timesteps=512,
        network={"hidden": [8]},
        objective={"name": "kl_penalty", "beta": 0.5},
        ascent={"num_epochs": 4, "num_minibatches": 2, "learning_rate": 0.03},
        adaptation={"name": "adaptive_kl", "coefficient": "objective.beta", "target": 0.01},
    )
    program = make_program(config, env=Probe(ProbeParams(kind=MATCH, length=1)))
    hypers = config.hypers()

    @jax.jit
    def train(key):
        def step(state, _):
            after, metrics = program.update(state, hypers)
            return after, (state.coefficients["beta"], after.coefficients["beta"], metrics)

        return jax.lax.scan(step, program.init(key, hypers), None, config.num_updates)[1]

    return train(jax.random.key(0))


def test_training_moves_the_penalty_once_per_update_by_the_kl_of_that_update(updates):
    before, after, metrics = updates
    assert float(before[0]) == 0.5
    np.testing.assert_array_equal(before[1:], after[:-1])
    expected = adaptive_kl(before, metrics["kl_old_new"], target=0.01)
    np.testing.assert_array_equal(after, expected)
    assert (
        len(set(np.asarray(after / before).tolist())) >= 2
    )  # it does move, and not always one way


def test_the_exact_kl_is_reported_and_agrees_with_its_estimate(updates):
    _, _, metrics = updates
    assert float(metrics["kl_old_new"].min()) >= 0.0
    assert np.corrcoef(metrics["kl_old_new"], metrics["approx_kl"])[0, 1] > 0.5
