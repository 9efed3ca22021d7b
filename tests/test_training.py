"""The page: whole trainings of a tiny program, and what may be handed to `make_train`."""

import dataclasses
import os

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.errors import KeyReuseError

from rl_surrogates import make_program, make_train
from rl_surrogates.config import Config
from rl_surrogates.training import Program
from tests.compiled import share_compilations
from tests.probes import CLOCK, MATCH, FixedNetwork, Probe, ProbeParams

SMALL = {
    "num_envs": 4,
    "num_steps": 8,
    "total_timesteps": 192,  # 6 updates
    "network": {"hidden": [8]},
    "ascent": {"num_epochs": 2, "num_minibatches": 2, "learning_rate": 0.01},
}
METRICS = (
    "policy_loss value_loss entropy approx_kl clip_fraction first_ratio_error grad_norm "
    "explained_variance episode_return episode_length episodes learning_rate env_steps finite "
    "kl_old_new kl_new_old k1 k2 k3 ratio_min ratio_max clip_fraction_positive "
    "clip_fraction_negative effective_sample_size zero_gradient_share"
).split()


def small(**changes):
    return Config(**{**SMALL, **changes})


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    share_compilations(tmp_path_factory, os.environ.get("PYTEST_XDIST_WORKER", "master"))


@pytest.fixture(scope="module")
def program():
    return make_program(small(), env=Probe(ProbeParams(kind=MATCH, length=3)))


@pytest.fixture(scope="module")
def traces():
    return []


@pytest.fixture(scope="module")
def lanes(program, traces):
    """`(keys [4], hypers [4]) -> (states, metrics [4, 6])`; `traces` counts its traces."""

    def train(key, hypers):
        traces.append(1)
        return program.train(key, hypers)

    return jax.jit(jax.vmap(train))


@pytest.fixture(scope="module")
def keys():
    return jax.random.split(jax.random.key(7), 4)


@pytest.fixture(scope="module")
def hypers(program):
    """The config's numbers, once per lane."""
    return jax.tree.map(lambda leaf: jnp.full(4, leaf), program.config.hypers())


@pytest.fixture(scope="module")
def trained(lanes, keys, hypers):
    return lanes(keys, hypers)


def with_rates(hypers, rates):
    rates = jnp.asarray(rates, jnp.float32)
    return hypers._replace(ascent=hypers.ascent._replace(learning_rate=rates))


def test_every_update_reports_every_metric(trained):
    _, metrics = trained
    assert set(METRICS) <= set(metrics)
    assert {leaf.shape for leaf in metrics.values()} == {(4, 6)}
    assert metrics["env_steps"][0].tolist() == [32, 64, 96, 128, 160, 192]
    assert bool(metrics["finite"].all())


def test_the_measures_of_an_update_agree_with_each_other(trained):
    metrics = trained[1]
    assert bool((metrics["ratio_min"] <= 1.0).all() and (metrics["ratio_max"] >= 1.0).all())
    # exact and sampled, the latter over the last epoch: the same order of magnitude
    ratio = metrics["kl_old_new"] / metrics["approx_kl"]
    assert 0.2 < float(ratio.min()) and float(ratio.max()) < 5.0
    assert float(metrics["effective_sample_size"].max()) <= 32.0
    assert float(metrics["effective_sample_size"].min()) > 16.0


def assert_same(found, expected):
    """To the bit on a CPU; an accelerator chooses other kernels for another program."""
    if jax.default_backend() == "cpu":
        return chex.assert_trees_all_equal(found, expected)
    return chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def measured(program, keys):
    """The same training with every diagnostic there is."""
    shadow = ["spo", "policy_gradient"]
    config = small(diagnostics={"level": "full", "per": "minibatch", "shadow": shadow})
    full = make_program(config, env=program.env)
    return jax.jit(jax.vmap(full.train, in_axes=(0, None)))(keys, config.hypers())


def test_what_is_measured_by_minibatch_adds_up_to_what_is_measured_by_update(measured, trained):
    each = {n.removesuffix("_minibatch"): m for n, m in measured[1].items() if "_minibatch" in n}
    update = trained[1]
    assert {leaf.shape for leaf in each.values()} == {(4, 6, 2, 2)}
    for name in ("policy_loss", "value_loss", "entropy", "grad_norm"):
        np.testing.assert_allclose(each[name].mean((2, 3)), update[name], rtol=1e-5)
    for name in ("approx_kl", "clip_fraction"):
        np.testing.assert_allclose(each[name][:, :, -1].mean(-1), update[name], rtol=1e-5)
    assert_same(each["ratio_error"][:, :, 0, 0], update["first_ratio_error"])
    np.testing.assert_allclose(each["k3"], each["approx_kl"], rtol=1e-5, atol=1e-8)
    sides = each["clip_fraction_positive"] + each["clip_fraction_negative"]
    np.testing.assert_allclose(sides, each["clip_fraction"], atol=1e-6)
    assert float(each["kl_old_new"][:, :, 0, 0].max()) == 0.0  # before the first step
    assert float(each["effective_sample_size"].max()) <= 16.0 + 1e-4  # samples of a minibatch
    asked = "zero_gradient_share ratio_q50 gradient_cosine ratio_deviation ratio_max k1"
    assert set(asked.split()) <= set(each)


def test_full_diagnostics_change_no_bit_of_the_training(measured, trained):
    state, metrics = measured
    assert_same(state.learner.params, trained[0].learner.params)
    names = "predicted_improvement surrogate_improvement ratio_q05 ratio_q95 shadow_norm.spo"
    assert {*METRICS, *names.split(), "shadow_cosine.policy_gradient"} <= set(metrics)
    first, last = (metrics[f"gradient_cosine_epoch_{epoch}"] for epoch in (1, 2))
    assert float(first.min()) > 0.9 and float(last.max()) <= 1.0 + 1e-6
    assert bool((metrics["ratio_q05"] <= metrics["ratio_q95"]).all())
    assert float(jnp.abs(metrics["shadow_cosine.spo"]).max()) <= 1.0 + 1e-6


def test_only_the_documented_metrics_may_be_nan(trained):
    for name, values in trained[1].items():
        if name not in ("episode_return", "episode_length", "explained_variance"):
            assert bool(jnp.isfinite(values.astype(jnp.float32)).all()), name


def test_training_moves_the_policy_after_the_first_minibatch_and_not_before(trained):
    _, metrics = trained
    assert float(metrics["first_ratio_error"].max()) <= 1e-5
    assert float(metrics["approx_kl"].min()) > 1e-9


class Forgetful(Program):
    """Remembers every log-probability of its actions wrongly, by the same amount."""

    def collect(self, key, state, hypers):
        acting, transitions = super().collect(key, state, hypers)
        return acting, transitions._replace(log_prob=transitions.log_prob - 0.1)


def test_a_log_probability_that_is_not_that_of_the_actor_shows_at_the_first_minibatch(program):
    parts = {field.name: getattr(program, field.name) for field in dataclasses.fields(program)}
    wrong = jax.jit(Forgetful(**parts).train)
    _, metrics = wrong(jax.random.key(0), program.config.hypers())
    np.testing.assert_allclose(metrics["first_ratio_error"], np.expm1(0.1), rtol=1e-4)


def test_the_learning_rate_falls_linearly_once_per_update(trained):
    expected = 0.01 * (1.0 - np.arange(6) / 6)
    np.testing.assert_allclose(trained[1]["learning_rate"][0], expected, rtol=1e-5)


def test_a_lane_agrees_with_its_own_solo_run(program, trained, keys):
    state, metrics = jax.jit(program.train)(keys[2], program.config.hypers())
    lane_state, lane_metrics = jax.tree.map(lambda leaf: leaf[2], trained)
    chex.assert_trees_all_close(
        state.learner.params, lane_state.learner.params, rtol=1e-3, atol=1e-4
    )
    chex.assert_trees_all_close(metrics["entropy"], lane_metrics["entropy"], rtol=1e-3)
    assert jnp.array_equal(jax.random.key_data(state.key), jax.random.key_data(lane_state.key))


def test_seeds_differ(trained):
    assert len(set(np.asarray(trained[1]["policy_loss"][:, 0]).tolist())) == 4


def test_without_a_learning_rate_nothing_moves_and_every_ratio_is_one(program, lanes, keys, hypers):
    state, metrics = lanes(keys, with_rates(hypers, [0.0] * 4))
    begin = jax.jit(jax.vmap(program.init))(keys, hypers)
    chex.assert_trees_all_equal(state.learner.params, begin.learner.params)
    assert float(metrics["first_ratio_error"].max()) <= 1e-5
    assert float(metrics["clip_fraction"].max()) == 0.0
    assert float(metrics["approx_kl"].max()) < 1e-9


def test_other_numbers_are_other_inputs_of_the_same_program(lanes, keys, hypers, traces, trained):
    lanes(keys, with_rates(hypers, [1e-4, 1e-3, 1e-2, 1e-1]))
    lanes(keys, hypers._replace(ent_coef=jnp.full(4, 0.5, jnp.float32)))
    assert len(traces) == 1


def test_a_diverged_lane_is_seen_and_changes_no_bit_of_its_neighbours(lanes, keys, hypers, trained):
    state, metrics = lanes(keys, with_rates(hypers, [0.01, 0.01, 0.01, jnp.nan]))
    others = jax.tree.map(lambda leaf: leaf[:3], (_plain(state), metrics))
    clean = jax.tree.map(lambda leaf: leaf[:3], (_plain(trained[0]), trained[1]))
    chex.assert_trees_all_equal(others, clean)
    assert metrics["finite"].tolist() == [[1] * 6] * 3 + [[0] * 6]


def test_a_state_keeps_its_types_from_update_to_update(program):
    hypers = program.config.hypers()
    begin = jax.eval_shape(program.init, jax.random.key(0), hypers)
    after, _ = jax.eval_shape(program.update, begin, hypers)
    assert jax.tree.structure(begin) == jax.tree.structure(after)
    for one, other in zip(jax.tree.leaves(begin), jax.tree.leaves(after), strict=True):
        assert (one.shape, one.dtype, one.weak_type) == (other.shape, other.dtype, other.weak_type)


def test_a_function_may_take_the_place_of_the_named_objective():
    def mine(log_prob, log_prob_old, advantage, *, bias=0.0, slope=1.0):
        return slope * log_prob * advantage + bias

    config = small(objective={"name": "custom", "slope": 3.0})
    program = make_program(config, objective=mine, env=Probe())
    state = jax.eval_shape(program.init, jax.random.key(0), config.hypers())
    assert "slope" in state.coefficients
    assert program.objective.coefficients == {"bias": 0.0, "slope": 1.0}
    _, metrics = jax.eval_shape(
        make_train(config, objective=mine, env=Probe()), jax.random.key(0), config.hypers()
    )
    assert metrics["policy_loss"].shape == (6,)


def test_the_coefficient_of_a_function_comes_from_the_config_and_stays_traced():
    def mine(log_prob, advantage, *, slope=1.0):
        return slope * jnp.ones_like(log_prob)

    config = small(objective={"name": "custom", "slope": 3.0}, advantage={"standardise": "none"})
    program = make_program(config, objective=mine, env=Probe())

    @jax.jit
    def loss(slope):
        hypers = config.hypers()
        hypers = hypers._replace(objective={"slope": slope})
        state = program.init(jax.random.key(0), hypers)
        _, transitions = program.collect(jax.random.key(1), state, hypers)
        batch = program.judge(state, transitions, hypers)
        return program.score(
            state.learner.params, batch, hypers=hypers, coefficients=state.coefficients
        ).info["policy_loss"]

    assert float(loss(config.hypers().objective["slope"])) == -3.0
    assert float(loss(5.0)) == -5.0


def test_the_scale_multiplies_the_standardised_advantage_and_nothing_else():
    config = small(advantage={"standardise": "batch", "scale": 3.0})
    program = make_program(config, env=Probe())

    @jax.jit
    def judge(scale):
        hypers = config.hypers()
        hypers = hypers._replace(advantage=hypers.advantage._replace(scale=scale))
        state = program.init(jax.random.key(0), hypers)
        _, transitions = program.collect(jax.random.key(1), state, hypers)
        return program.judge(state, transitions, hypers)

    plain, scaled = judge(jnp.float32(1.0)), judge(config.hypers().advantage.scale)
    np.testing.assert_allclose(scaled.advantage, 3.0 * plain.advantage, rtol=1e-6)
    np.testing.assert_array_equal(scaled.value_target, plain.value_target)


def test_a_coefficient_that_the_function_does_not_have_is_refused_by_name():
    def mine(log_prob, advantage):
        return log_prob * advantage

    with pytest.raises(ValueError, match=r"objective\.slope.*mine"):
        make_train(small(objective={"name": "custom", "slope": 3.0}), objective=mine)


def test_an_input_that_does_not_exist_is_refused_by_name():
    def mine(log_prob, q_value):
        return log_prob * q_value

    with pytest.raises(ValueError, match="q_value"):
        make_train(small(), objective=mine)


def test_custom_without_a_function_is_refused():
    with pytest.raises(ValueError, match="custom"):
        make_train(small(objective={"name": "custom"}))


def test_an_environment_parameter_that_does_not_exist_is_refused_by_name():
    with pytest.raises(ValueError, match=r"env\.params\.gravty"):
        make_train(small(env={"params": {"gravty": 1.0}}))
    with pytest.raises(ValueError, match=r"env\.params\.mass"):
        make_train(small(env={"params": {"mass": 1.0}}), env=Probe())


def judged(*, length, limit, values, num_steps=8):
    """Advantages `[T, B]` of a rollout with fixed policy and values, and its transitions."""
    env = Probe(ProbeParams(kind=CLOCK, length=length, limit=limit))
    config = small(num_steps=num_steps, advantage={"standardise": "none", "gae_lambda": 0.0})
    network = FixedNetwork(lambda observation: jnp.zeros((*observation.shape[:-1], 2)), values)
    program = dataclasses.replace(make_program(config, env=env), network=network)

    @jax.jit
    def run(key):
        hypers = config.hypers()
        state = program.init(key, hypers)
        _, transitions = program.collect(key, state, hypers)
        return program.judge(state, transitions, hypers), transitions

    batch, transitions = run(jax.random.key(0))
    return np.asarray(batch.advantage).reshape(num_steps, -1), transitions


def reset_is_worth_a_thousand(observation):
    """V of the observation `time`: 1000 where an episode begins, 2 elsewhere."""
    return jnp.where(observation[..., 0] == 0.0, 1000.0, 2.0)


@pytest.mark.parametrize("length", [3, 8])  # 8: the rollout ends exactly on the time limit
def test_the_value_after_a_time_limit_is_that_of_the_true_successor(length):
    advantage, transitions = judged(length=length, limit=1, values=reset_is_worth_a_thousand)
    later = ~np.asarray(transitions.reset)
    np.testing.assert_allclose(advantage[later], 1.0 + 0.99 * 2.0 - 2.0, rtol=1e-5)
    np.testing.assert_allclose(advantage[~later], 1.0 + 0.99 * 2.0 - 1000.0, rtol=1e-5)


def test_the_value_after_death_is_zero():
    advantage, transitions = judged(length=3, limit=0, values=reset_is_worth_a_thousand)
    dead = np.asarray(transitions.terminated)
    np.testing.assert_allclose(advantage[dead], 1.0 - 2.0, rtol=1e-5)
    assert dead.any() and not np.asarray(transitions.truncated).any()


def _plain(state):
    return state._replace(key=jax.random.key_data(state.key))


def test_no_key_is_used_twice_in_a_whole_training(program):
    hypers = program.config.hypers()
    with jax.debug_key_reuse(True):
        with pytest.raises(KeyReuseError):  # the check itself works under jit
            jax.jit(lambda key: jax.random.normal(key) + jax.random.uniform(key))(jax.random.key(0))
        state, _ = jax.jit(program.train)(jax.random.key(0), hypers)
    assert bool(jnp.isfinite(state.learner.params["policy"]["head"]["bias"]).all())
