"""How the steps on one rollout are taken: which samples, which steps, at which rate."""

from functools import partial
from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rl_surrogates import make_program
from rl_surrogates.ascent.minibatch import deal, minibatch, on_the_way, optimiser, orders
from rl_surrogates.config import Config
from rl_surrogates.distributions import Categorical
from rl_surrogates.objectives import OBJECTIVES, choice, find
from rl_surrogates.types import Batch, Score
from tests.probes import Probe


class Samples(NamedTuple):
    index: jax.Array  # [N]


def hypers(learning_rate=1e-3, max_grad_norm=0.5):
    return SimpleNamespace(learning_rate=learning_rate, max_grad_norm=max_grad_norm)


def linear(params, batch):
    """A loss whose gradient in `w` is the mean of the samples, with what an ascent reports."""
    total = params["w"] * jnp.mean(batch.index.astype(jnp.float32))
    names = "policy_loss value_loss entropy approx_kl clip_fraction ratio_error".split()
    return Score(total, 0.0, (), 0.0, dict.fromkeys(names, total))


@pytest.mark.parametrize("num_minibatches", [1, 3, 12])
def test_every_sample_is_used_exactly_once_per_epoch(num_minibatches):
    order = jax.jit(partial(orders, num_epochs=5, size=12))(jax.random.key(0))
    for epoch in order:
        assert sorted(epoch.tolist()) == list(range(12))
        parts = epoch.reshape(num_minibatches, -1)
        dealt = jax.vmap(partial(deal, Samples(jnp.arange(12) ** 2)))(parts).index
        np.testing.assert_array_equal(dealt, parts**2)


def test_every_epoch_has_its_own_order():
    order = orders(jax.random.key(0), 20, 12)
    assert len({tuple(row) for row in np.asarray(order).tolist()}) == 20


def test_every_place_in_the_order_is_as_likely_for_every_sample():
    order = np.asarray(orders(jax.random.key(0), 20_000, 4))
    share = np.stack([(order == sample).mean(axis=0) for sample in range(4)])
    np.testing.assert_allclose(share, 0.25, atol=0.015)  # 5 standard errors


@pytest.mark.parametrize(
    "gradient, max_norm, expected",
    [([3.0, 4.0], 0.5, [0.3, 0.4]), ([0.03, 0.04], 0.5, [0.03, 0.04]), ([0.0, 0.0], 0.5, [0, 0])],
)
def test_a_gradient_is_scaled_down_to_its_global_norm(gradient, max_norm, expected):
    params = {"a": jnp.zeros(()), "b": jnp.zeros(())}  # the norm is over all leaves
    tree = {"a": jnp.float32(gradient[0]), "b": jnp.float32(gradient[1])}
    adam = optimiser(1e-3, max_norm)
    _, state = jax.jit(adam.update)(tree, adam.init(params), params)
    mean = optax.tree_utils.tree_get(state, "mu")  # (1 - 0.9) times the clipped gradient
    np.testing.assert_allclose(mean, 0.1 * np.array(expected), rtol=1e-5)  # one vector


def test_the_norm_that_is_reported_is_that_which_clips_and_is_taken_once():
    """What is reported of a gradient costs no second pass over it."""
    steps = minibatch(num_epochs=1, num_minibatches=1, anneal=False, num_updates=1)
    params = {"w": jnp.float32(3.0), "v": jnp.ones((2, 2))}

    def loss(params, batch):
        score = linear(params, batch)
        return score._replace(policy=score.policy + jnp.sum(params["v"] ** 2))

    def ascend(learner):
        return steps.ascend(jax.random.key(0), loss, learner, Samples(jnp.arange(4)), hypers())

    compiled = jax.jit(ascend).lower(steps.init(params)).compile()
    _, info = compiled(steps.init(params))
    np.testing.assert_allclose(info["grad_norm"], np.sqrt(1.5**2 + 4 * 2.0**2), rtol=1e-6)
    if jax.default_backend() == "cpu":  # an accelerator rather computes twice than stores
        assert compiled.as_text().count(" sqrt(") == 2  # of the norm, and Adam's


def test_the_first_step_of_a_tiny_gradient_is_shortened_by_an_epsilon_of_1e_5():
    adam = optimiser(1e-3, 0.5)
    params = jnp.zeros(1)
    update, _ = jax.jit(adam.update)(jnp.array([1e-6]), adam.init(params), params)
    np.testing.assert_allclose(update, -9.0909e-5, rtol=1e-4)  # 1e-3 1e-6 / (1e-6 + 1e-5)


@pytest.fixture(scope="module")
def annealed():
    """Learners and infos of a training of 10 updates with 4 epochs of 4 minibatches."""
    ascent = minibatch(num_epochs=4, num_minibatches=4, anneal=True, num_updates=10)

    def update(learner, key):
        return ascent.ascend(key, linear, learner, Samples(jnp.ones(8)), hypers())

    @jax.jit
    def train(params):
        return jax.lax.scan(update, ascent.init(params), jax.random.split(jax.random.key(0), 10))

    return train({"w": jnp.float32(0.0)})


def test_the_rate_falls_once_per_update_and_not_within_one(annealed):
    np.testing.assert_allclose(
        annealed[1]["learning_rate"], 1e-3 * np.arange(10, 0, -1) / 10, rtol=1e-5
    )


def test_the_length_of_the_way_shows_the_rate_of_every_single_step(annealed):
    # Adam's step on a constant gradient (1, clipped to 0.5) is the rate: 16 (1 + .9 + ... + .1).
    np.testing.assert_allclose(annealed[0].params["w"], -1e-3 * 16 * 5.5, rtol=1e-3)


def test_updates_and_steps_are_counted(annealed):
    assert int(annealed[0].update) == 10
    adam = optax.tree_utils.tree_get(annealed[0].opt_state, "ScaleByAdamState")
    assert int(adam.count) == 160


def test_without_annealing_the_rate_stays():
    ascent = minibatch(num_epochs=1, num_minibatches=1, anneal=False, num_updates=10)
    learner = ascent.init({"w": jnp.float32(0.0)})
    step = jax.jit(
        lambda learner: ascent.ascend(
            jax.random.key(0), linear, learner, Samples(jnp.ones(8)), hypers()
        )
    )
    for _ in range(3):
        learner, info = step(learner)
        assert float(info["learning_rate"]) == pytest.approx(1e-3)


def test_the_reported_gradient_norm_is_the_one_before_clipping(annealed):
    np.testing.assert_allclose(annealed[1]["grad_norm"], 1.0, rtol=1e-6)


def test_an_epoch_has_the_mean_of_its_minibatches_and_the_extreme_of_an_extreme():
    values = jnp.array([[1.0, 2.0, 6.0], [0.0, -1.0, -2.0]])
    names = "k1 ratio_min ratio_max ratio_error".split()
    found = on_the_way({"by_epoch": dict.fromkeys(names, values), "grad_norm": values})
    expected = {"k1": [3.0, -1.0], "ratio_min": [1.0, -2.0], "ratio_max": [6.0, 0.0]}
    expected |= {"ratio_error": [6.0, 0.0], "grad_norm": [3.0, -1.0]}
    assert {name: leaf.tolist() for name, leaf in found.items()} == {
        f"{name}_epoch": values for name, values in expected.items()
    }
    assert on_the_way({"grad_norm": values}) == {}


def test_a_loss_that_is_not_finite_is_reported():
    ascent = minibatch(num_epochs=1, num_minibatches=2, anneal=False, num_updates=1)
    learner = ascent.init({"w": jnp.float32(1.0)})
    samples = Samples(jnp.array([1.0, jnp.nan]))
    _, info = jax.jit(
        lambda: ascent.ascend(jax.random.key(0), linear, learner, samples, hypers())
    )()
    assert not bool(info["finite"])


NAMES = ("policy_gradient", "importance_sampled", "ppo_clip", "spo")
FIRST_ORDER = [name for name, row in OBJECTIVES.items() if row.first_order]


def ascended(names, num_epochs, num_minibatches, **coefficients):
    """The parameters `[O, ...]` after one update with each objective, on equal data."""
    entries = {name: find(name) for name in names}
    config = Config(
        num_envs=4,
        num_steps=16,
        network={"hidden": [8]},
        ascent={
            "num_epochs": num_epochs,
            "num_minibatches": num_minibatches,
            "learning_rate": 0.05,
        },
    )
    program = make_program(config, choice.one_of(entries), env=Probe())
    network, learned = program.network, config.hypers()
    params = network.init(jax.random.key(1), jnp.zeros(1))
    observation = jax.random.normal(jax.random.key(2), (64, 1))
    old = network.policy(params, observation)
    action = jax.random.bernoulli(jax.random.key(3), 0.5, (64,)).astype(jnp.int32)
    advantage, value = jax.random.normal(jax.random.key(4), (2, 64))
    batch = Batch(
        observation=observation,
        reset=jnp.zeros(64, bool),
        carry=(),
        action=action,
        log_prob_old=old.log_prob(action),
        distribution_old=Categorical(old.logits),
        value_old=value,
        advantage=advantage,
        value_target=value + 1.0,
    )

    @jax.jit
    @jax.vmap
    def ascend(coefficients):
        loss = partial(program.score, hypers=learned, coefficients=coefficients)
        learner = program.ascent.init(params)
        return program.ascent.ascend(jax.random.key(5), loss, learner, batch, learned.ascent)[0]

    chosen = [choice.choose(entries, name, coefficients.get(name, {})) for name in names]
    return ascend(
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *jax.tree.map(jnp.float32, chosen))
    ).params


def distances(names, params):
    """How far the policy parameters of each objective are from those of the first."""
    return {
        name: max(
            float(jnp.abs(leaf[i] - leaf[0]).max()) for leaf in jax.tree.leaves(params["policy"])
        )
        for i, name in enumerate(names)
    }


def test_one_epoch_of_one_minibatch_is_the_same_step_for_every_first_order_objective():
    # Whatever the price of a nat: the first inner step of `mdpo` is that of the policy gradient.
    names = ["policy_gradient", *(name for name in FIRST_ORDER if name != "policy_gradient")]
    coefficients = {"mdpo": {"inverse_step": 100.0}, "kl_penalty": {"beta": 100.0}}
    far = distances(names, ascended(names, 1, 1, **coefficients))
    assert len(far) > 25 and max(far.values()) < 1e-5, far


def test_a_second_epoch_tells_the_objectives_apart():
    far = distances(NAMES, ascended(NAMES, num_epochs=4, num_minibatches=1))
    assert min(far[name] for name in NAMES[1:]) > 1e-4, far
    assert len(set(far.values())) == 4, far
