"""An update that has gone far enough takes no further step, and nothing of the learner moves."""

from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rl_surrogates import make_program
from rl_surrogates.ascent.minibatch import minibatch
from rl_surrogates.config import Config
from rl_surrogates.types import Score
from tests.probes import MATCH, Probe, ProbeParams

RATE = 0.1  # every step adds it to `w`: Adam on a constant gradient


class Samples(NamedTuple):
    index: jax.Array  # [N]


def drifting(params, batch):
    """A loss that pulls `w` up for ever; the policy is as far from the old one as `w` from 0."""
    w = params["w"] + 0.0 * jnp.mean(batch.index)
    info = dict.fromkeys("value_loss entropy clip_fraction ratio_error".split(), 0.0 * w)
    return Score(-w, 0.0, (), w, {**info, "policy_loss": w, "approx_kl": w, "ratio_deviation": w})


def ascend(target_kl=None, max_ratio_deviation=None, num_epochs=3, num_minibatches=4, updates=1):
    """The learner and the infos after some updates from w = 0."""
    ascent = minibatch(
        num_epochs=num_epochs,
        num_minibatches=num_minibatches,
        anneal=True,
        num_updates=10,
        target_kl=target_kl is not None,
        max_ratio_deviation=max_ratio_deviation is not None,
    )
    hypers = SimpleNamespace(
        learning_rate=RATE,
        max_grad_norm=1.0,
        target_kl=target_kl,
        max_ratio_deviation=max_ratio_deviation,
    )

    def update(learner, key):
        return ascent.ascend(key, drifting, learner, Samples(jnp.ones(8)), hypers)

    learner = ascent.init({"w": jnp.float32(0.0)})
    return jax.lax.scan(update, learner, jax.random.split(jax.random.key(0), updates))


def counts(learner):
    adam = optax.tree_utils.tree_get(learner.opt_state, "ScaleByAdamState")
    return int(adam.count), int(learner.update)


FAR = 1e9  # a limit that is never reached
LANES = {  # (target_kl, max_ratio_deviation) -> steps taken. Before them w = 0, .1, .2, .3, .4, ...
    (0.2333, FAR): 4,  # .4 > 1.5 x .2333: the fifth is not taken
    (FAR, 0.35): 5,  # .4 > .35: the fifth is still taken
    (0.2333, 0.35): 4,  # of two limits the nearer one counts
    (10.0, 0.35): 5,
    (0.0, FAR): 1,
    (FAR, FAR): 12,
    (jnp.nan, FAR): 12,  # a limit that is not a number stops nothing
}


@pytest.fixture(scope="module")
def lanes():
    """Learners and infos `[7, 1]` of one update."""
    return jax.jit(jax.vmap(ascend))(*jnp.array(list(LANES)).T)


@pytest.fixture(scope="module")
def free():
    return jax.jit(ascend)()


def lane(tree, limits):
    return jax.tree.map(lambda leaf: leaf[list(LANES).index(limits)], tree)


def test_target_kl_acts_before_a_step_at_one_and_a_half_times_and_the_ratio_after_it(lanes):
    learner, info = lanes
    assert dict(zip(LANES, info["optimiser_steps"][:, 0].tolist(), strict=True)) == LANES
    way = RATE * np.array(list(LANES.values()))
    np.testing.assert_allclose(learner.params["w"], way, rtol=1e-3)


def test_adam_counts_the_steps_that_were_taken_and_the_learner_the_updates(lanes):
    assert counts(lane(lanes[0], (0.2333, FAR))) == (4, 1)


def test_a_target_of_zero_leaves_every_bit_after_the_first_check():
    stopped, _ = jax.jit(ascend)(0.0, FAR)
    once, _ = jax.jit(partial(ascend, num_epochs=1, num_minibatches=1))(FAR, FAR)
    chex.assert_trees_all_equal(stopped, once)  # parameters, moments, counters


def test_without_limits_every_step_is_taken_as_with_limits_that_are_never_reached(lanes, free):
    chex.assert_trees_all_close(free, lane(lanes, (FAR, FAR)), rtol=1e-5)


def test_a_lane_equals_its_solo_run_whenever_the_others_stop(lanes):
    solo = jax.jit(ascend)
    for limits in LANES:
        chex.assert_trees_all_close(lane(lanes, limits), solo(*limits), rtol=1e-6)


def test_means_are_over_what_was_seen_and_the_last_epoch_measures_where_the_policy_stayed(lanes):
    _, info = lane(lanes, (0.2333, FAR))
    # Seen: w = 0, .1, .2, .3, .4, the last of which stopped the update.
    np.testing.assert_allclose(info["policy_loss"], 0.2, rtol=1e-3)
    np.testing.assert_allclose(info["approx_kl"], 0.4, rtol=1e-3)
    np.testing.assert_allclose(info["grad_norm"], 1.0)


def test_the_next_update_starts_again_and_its_rate_does_not_depend_on_the_steps_taken():
    learner, info = jax.jit(partial(ascend, updates=3))(0.0, FAR)
    # One step in the first update; from then on w > 0 before the first step.
    assert info["optimiser_steps"].tolist() == [1, 0, 0]
    np.testing.assert_allclose(info["learning_rate"], RATE * np.array([1.0, 0.9, 0.8]), rtol=1e-6)
    assert counts(learner) == (1, 3)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in info.values())


@pytest.fixture(scope="module")
def trained():
    """States and metrics `[4, U]` of four targets, in a training of the page; and its traces."""
    config = Config(
        num_envs=4,
        num_steps=16,
        total_timesteps=192,
        network={"hidden": [8]},
        objective={"name": "importance_sampled"},
        ascent={
            "num_epochs": 4,
            "num_minibatches": 2,
            "learning_rate": 0.02,
            "target_kl": 0.01,
            "max_ratio_deviation": 1e9,
        },
    )
    program = make_program(config, env=Probe(ProbeParams(kind=MATCH, length=1)))
    traces, hypers = [], config.hypers()

    def train(target_kl, key):
        traces.append(1)
        ascent = hypers.ascent._replace(target_kl=target_kl)
        return program.train(key, hypers._replace(ascent=ascent))

    lanes = jax.jit(jax.vmap(train, in_axes=(0, None)))
    for targets in ([0.0, 1e-9, 0.01, 0.1], [0.0, 0.01, 0.04, 1e9]):
        state, metrics = lanes(jnp.array(targets), jax.random.key(0))
    return state, metrics, traces


def test_a_target_is_swept_as_a_traced_number_of_one_program(trained):
    assert len(trained[2]) == 1


def test_a_larger_target_allows_more_steps_and_a_larger_kl(trained):
    _, metrics, _ = trained
    steps, kl = metrics["optimiser_steps"], metrics["approx_kl"]
    assert steps[0].max() <= 1 and steps[3].tolist() == [8, 8, 8]
    assert np.all(np.diff(np.asarray(steps.sum(axis=1))) > 0)
    assert np.all(np.diff(np.asarray(kl.mean(axis=1))) > 0)


def test_an_update_without_a_step_still_reports_finite_numbers(trained):
    for name, values in trained[1].items():
        if name not in ("episode_return", "episode_length", "explained_variance"):
            assert bool(jnp.isfinite(values.astype(jnp.float32)).all()), name
