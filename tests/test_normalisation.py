"""Running statistics: against NumPy, frozen while they are used, raw in what is reported."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import evaluation, make_program, normalisation
from rl_surrogates.config import Config
from rl_surrogates.normalisation import OFF, Moments, Normaliser
from tests.probes import CLOCK, MATCH, Probe, ProbeParams


def test_merged_batches_have_the_moments_of_all_samples_together():
    batches = [
        np.random.default_rng(size).normal(1000.0, 3.0, (size, 4, 2)).astype(np.float32)
        for size in (1, 7, 30)
    ]
    moments = normalisation.no_samples(jnp.zeros(2))
    for batch in batches:
        moments = jax.jit(normalisation.merge)(moments, batch)
    together = np.concatenate(batches).reshape(-1, 2).astype(np.float64)
    assert moments.count == 38 * 4
    np.testing.assert_allclose(moments.mean, together.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(moments.variance, together.var(axis=0), rtol=1e-4)


def test_zeros_and_ones_kept_as_bool_are_normalised_as_the_numbers_they_are():
    kept = jax.random.bernoulli(jax.random.key(0), 0.3, (50, 4))
    before = normalisation.no_samples(jnp.zeros(4))
    one, other = (normalisation.merge(before, seen) for seen in (kept, kept.astype(jnp.float32)))
    np.testing.assert_array_equal(one.mean, other.mean)
    np.testing.assert_array_equal(
        normalisation.standardised(one, kept),
        normalisation.standardised(other, kept.astype(jnp.float32)),
    )


def test_a_structured_observation_is_normalised_part_by_part_and_whole_numbers_are_not():
    sample = {"seen": jnp.zeros(2), "which": jnp.int32(0)}
    batch = {"seen": jnp.array([[0.0, 10.0], [2.0, 30.0]]), "which": jnp.array([3, 5])}
    moments = normalisation.merge(normalisation.no_samples(sample), batch)
    found = normalisation.standardised(moments, batch)
    np.testing.assert_allclose(found["seen"], [[-1.0, -1.0], [1.0, 1.0]], rtol=1e-5)
    assert found["which"].tolist() == [3, 5] and found["which"].dtype == jnp.int32


def test_before_the_first_sample_nothing_is_changed_and_far_samples_are_clipped():
    moments = normalisation.no_samples(jnp.zeros(1))
    found = normalisation.standardised(moments, jnp.array([[0.5], [-3.0], [99.0]]))
    np.testing.assert_allclose(found[:, 0], [0.5, -3.0, 10.0], rtol=1e-6)


def test_what_never_varies_becomes_zero():
    constant = jnp.full((5, 1), 7.0)
    moments = normalisation.merge(normalisation.no_samples(jnp.zeros(1)), constant)
    np.testing.assert_array_equal(normalisation.standardised(moments, constant), 0.0)


def test_a_discounted_return_begins_anew_in_every_episode_and_goes_on_into_the_next_rollout():
    reward = jnp.array([1.0, 2.0, 3.0, 4.0])[:, None]
    ended = jnp.array([False, True, False, False])[:, None]
    returns, running = normalisation.discounted(reward, ended, jnp.array([8.0]), gamma=0.5)
    assert returns[:, 0].tolist() == [5.0, 4.5, 3.0, 5.5]  # 8/2 + 1, 5/2 + 2 | 3, 3/2 + 4
    assert running.tolist() == [5.5]


SMALL = {
    "num_envs": 4,
    "num_steps": 16,
    "total_timesteps": 384,  # 6 updates
    "network": {"hidden": [8]},
    "ascent": {"num_epochs": 2, "num_minibatches": 2, "learning_rate": 0.01},
    "normalise": {"observations": True, "rewards": True},
}


@pytest.fixture(scope="module")
def trained():
    """Clock observations 0 to 4 and rewards of 100, normalised: program, last state, metrics."""
    program = make_program(
        Config(**SMALL), env=Probe(ProbeParams(kind=CLOCK, length=5, scale=100.0))
    )
    return program, *jax.jit(program.train)(jax.random.key(0), program.config.hypers())


def test_the_ratio_of_a_normalised_training_begins_at_one(trained):
    _, _, metrics = trained
    assert float(metrics["first_ratio_error"].max()) <= 1e-5
    assert float(metrics["approx_kl"].min()) > 1e-9


def test_the_statistics_know_every_step_of_the_training(trained):
    _, state, _ = trained
    observation, reward = state.normaliser
    assert observation.count == reward.moments.count == 384
    np.testing.assert_allclose(observation.mean, 2.0, atol=0.05)  # of 0 to 4
    np.testing.assert_allclose(observation.variance, 2.0, atol=0.05)
    assert float(reward.moments.variance) > 1e4  # sums of up to five rewards of 100


def test_reported_returns_are_raw(trained):
    assert set(np.asarray(trained[2]["episode_return"]).tolist()) == {500.0}


def test_the_learner_sees_discounted_returns_of_unit_variance(trained):
    program, state, _ = trained
    hypers = program.config.hypers()

    @jax.jit
    def seen(state):
        _, raw = program.collect(jax.random.key(1), state, hypers)
        normaliser, transitions = normalisation.normalise(
            state.normaliser, raw, gamma=hypers.advantage.gamma
        )
        ended = transitions.terminated | transitions.truncated
        running = state.normaliser.reward.running
        scale = jnp.sqrt(normaliser.reward.moments.variance)
        returns, _ = normalisation.discounted(
            transitions.reward, ended, running / scale, gamma=hypers.advantage.gamma
        )
        return raw, transitions, returns

    raw, transitions, returns = seen(state)
    np.testing.assert_allclose(returns.var(), 1.0, atol=0.1)
    assert float(jnp.abs(raw.reward - 100.0).max()) == 0.0
    assert abs(float(transitions.observation.mean())) < 0.2 and float(raw.observation.max()) == 4.0


def test_the_statistics_in_use_are_those_from_before_the_rollout(trained):
    program, _, _ = trained
    hypers = program.config.hypers()
    state = jax.jit(program.init)(jax.random.key(0), hypers)
    _, raw = jax.jit(program.collect)(jax.random.key(1), state, hypers)
    _, transitions = normalisation.normalise(state.normaliser, raw, gamma=hypers.advantage.gamma)
    np.testing.assert_array_equal(transitions.observation, raw.observation)  # none seen yet


def test_evaluation_sees_through_the_statistics_that_it_is_given(trained):
    program, state, _ = trained
    network, params = program.acting_network(state.actor), state.learner.params
    observation = jnp.arange(5.0)[:, None]
    reset = jnp.zeros(5, bool)
    raw = network(params, observation, reset, ())[0]
    shown = normalisation.standardised(state.normaliser.observation, observation)
    np.testing.assert_array_equal(raw.logits, program.network.policy(params, shown).logits)
    scores = evaluation.evaluate(
        jax.random.key(0), program.env, program.env_params(program.config.hypers()),
        network, params, episodes=2,
    )  # fmt: skip
    assert scores["greedy"].episode_return.tolist() == [500.0] * 2


def test_without_normalisation_nothing_is_kept_and_the_network_is_itself():
    program = make_program(
        Config(**{**SMALL, "normalise": {}}), env=Probe(ProbeParams(kind=MATCH, length=3))
    )
    state = jax.eval_shape(program.init, jax.random.key(0), program.config.hypers())
    assert state.normaliser == Normaliser(OFF, OFF) and not jax.tree.leaves(state.normaliser)
    assert program.acting_network(state.actor) is program.network


def test_one_of_the_two_may_be_normalised_alone():
    observation = jnp.zeros(3)
    alone = normalisation.start(observation, 2, observations=True, rewards=False)
    assert isinstance(alone.observation, Moments) and alone.reward == OFF
    alone = normalisation.start(observation, 2, observations=False, rewards=True)
    assert alone.observation == OFF and alone.reward.running.shape == (2,)
