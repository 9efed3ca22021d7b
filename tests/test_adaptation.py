"""Coefficients move between updates, by a rule that can be read off, and never inside one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import make_program
from rl_surrogates.adaptation import LARGEST, SMALLEST, adaptive_kl, linear_anneal
from rl_surrogates.config import Config
from tests.probes import MATCH, Probe, ProbeParams


def test_the_penalty_doubles_above_the_target_and_halves_below():
    def step(beta, kl):
        beta = adaptive_kl(beta, kl, target=0.01)
        return beta, beta

    _, betas = jax.jit(lambda kls: jax.lax.scan(step, jnp.float32(1.0), kls))(
        jnp.array([0.02, 0.02, 0.001, 0.01])
    )
    assert betas.tolist() == [2.0, 4.0, 2.0, 2.0]


@pytest.mark.parametrize(
    "kl, factor",
    [(0.0149, 1.0), (0.0151, 2.0), (0.0067, 1.0), (0.0066, 0.5), (0.0, 0.5), (jnp.inf, 2.0)],
)
def test_the_thresholds_are_two_thirds_and_three_halves_of_the_target(kl, factor):
    assert float(adaptive_kl(3.0, kl, target=0.01)) == 3.0 * factor


def test_a_kl_that_is_not_a_number_moves_nothing():
    assert float(adaptive_kl(3.0, jnp.nan, target=0.01)) == 3.0


def test_the_penalty_stays_positive_and_finite_however_long_it_moves():
    assert float(adaptive_kl(SMALLEST, 0.0, target=0.01)) == pytest.approx(SMALLEST)
    assert float(adaptive_kl(LARGEST, 1.0, target=0.01)) == pytest.approx(LARGEST)


def test_linear_annealing_starts_at_one_and_never_reaches_zero():
    np.testing.assert_allclose(linear_anneal(jnp.arange(4), 4), [1.0, 0.75, 0.5, 0.25])


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
