"""V-MPO and REPS: the weights take the place of the advantages, and the prices are learned."""

from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import make_program
from rl_surrogates.ascent import duals, reps, vmpo
from rl_surrogates.ascent.vmpo import INITIAL_ALPHA, INITIAL_ETA, Multipliers, positive
from rl_surrogates.config import Config, ConfigError
from rl_surrogates.types import Batch, Score
from tests.probes import ARM, Probe, ProbeParams

N = 8
ADVANTAGE = jnp.array([0.3, -1.0, 2.0, 0.1, -0.4, 1.2, -2.2, 0.7])
LOGITS = jnp.linspace(-1.0, 1.0, N)  # log pi of each sample is w times its own number
KL = 0.04


def likelihood(params, batch):
    """- mean of l over samples whose log pi is `w LOGITS`, with a KL of 0.04 wherever w is."""
    names = "policy_loss value_loss entropy approx_kl clip_fraction ratio_error".split()
    loss = -jnp.mean(batch.advantage * params["w"] * LOGITS[batch.action])
    kl = KL + 0.0 * params["w"]
    return Score(loss, 0.0, (), kl, dict.fromkeys(names, loss))


def batch():
    rest = [jnp.zeros(N)] * len(Batch._fields)
    made = Batch(*rest)._replace(carry=(), proximal=None)
    return made._replace(action=jnp.arange(N), advantage=ADVANTAGE)


def hypers(**changes):
    plain = dict(
        learning_rate=0.1,
        max_grad_norm=1e9,
        epsilon_eta=0.1,
        epsilon_alpha=0.01,
        dual_learning_rate=0.01,
    )
    return SimpleNamespace(**{**plain, **changes})


def ascended(ascent, **changes):
    made = ascent(num_epochs=1, num_minibatches=1, anneal=False, num_updates=1)

    @jax.jit
    def run():
        learner = made.init({"w": jnp.float32(1.0)})
        return learner, made.ascend(
            jax.random.key(0), likelihood, learner, batch(), hypers(**changes)
        )

    return run()


def first_moment(state):
    """Adam's mean after one step is a tenth of the gradient."""
    (mean,) = [s.mu for s in jax.tree.leaves(state, is_leaf=_is_adam) if _is_adam(s)]
    return jax.tree.map(lambda leaf: 10.0 * leaf, mean)


def _is_adam(node):
    return hasattr(node, "mu")


def test_the_policy_of_vmpo_climbs_the_likelihood_of_the_top_half_under_its_weights():
    _, (learner, info) = ascended(vmpo)
    top = np.array([0, 0, 1, 0, 0, 1, 0, 1], bool) | (np.asarray(ADVANTAGE) == np.float32(0.3))
    psi = np.where(top, np.exp(ADVANTAGE), 0.0)
    psi /= psi.sum()
    (slope,) = first_moment(learner.opt_state.optimiser)  # of one vector
    np.testing.assert_allclose(slope, -(psi * LOGITS).sum(), rtol=1e-5)
    np.testing.assert_allclose(
        info["weights_kl"], (psi[top] * np.log(4 * psi[top])).sum(), rtol=1e-5
    )


def test_both_prices_of_vmpo_follow_the_slopes_of_their_duals():
    _, (learner, info) = ascended(vmpo)
    slopes = first_moment(learner.opt_state.dual_optimiser)
    # Through softplus, whose slope is 1 - exp(-value).
    eta = (0.1 - float(info["weights_kl"])) * (1 - np.exp(-INITIAL_ETA))
    alpha = (0.01 - KL) * (1 - np.exp(-INITIAL_ALPHA))
    np.testing.assert_allclose([slopes.eta, slopes.alpha], [eta, alpha], rtol=1e-4)
    assert float(info["alpha"]) > INITIAL_ALPHA  # the KL was larger than its bound


def test_the_prices_begin_where_the_paper_does_and_stay_positive():
    learner, _ = ascended(vmpo)
    begun = positive(learner.opt_state.multipliers)
    np.testing.assert_allclose(begun, [INITIAL_ETA, INITIAL_ALPHA], rtol=1e-5)
    low = positive(Multipliers(jnp.float32(-1e4), jnp.float32(-1e4)))
    assert min(map(float, low)) > 0.0


def test_reps_solves_for_its_temperature_and_climbs_the_weighted_likelihood_of_all_samples():
    _, (learner, info) = ascended(reps)
    np.testing.assert_allclose(info["weights_kl"], 0.1, rtol=1e-3)
    psi = np.exp(np.asarray(ADVANTAGE) / float(info["eta"]))
    psi /= psi.sum()
    (slope,) = first_moment(learner.opt_state)
    np.testing.assert_allclose(slope, -(psi * LOGITS).sum(), rtol=1e-4)


def test_the_weights_of_reps_do_not_depend_on_shift_or_scale_of_the_advantages():
    every = jnp.ones(N, bool)

    def weigh(advantage):
        eta = duals.solve_temperature(advantage, every, epsilon=0.2)
        return duals.weights(advantage, eta, every)

    np.testing.assert_allclose(weigh(ADVANTAGE), weigh(7.0 + 100.0 * ADVANTAGE), rtol=1e-3)


@pytest.mark.parametrize("ascent", [vmpo, reps])
def test_equal_advantages_are_no_reason_to_break(ascent):
    made = ascent(num_epochs=2, num_minibatches=2, anneal=True, num_updates=1)
    learner = made.init({"w": jnp.float32(1.0)})
    same = batch()._replace(advantage=jnp.zeros(N))
    after, info = jax.jit(
        lambda: made.ascend(jax.random.key(0), likelihood, learner, same, hypers())
    )()
    chex.assert_tree_all_finite((after, info))


@pytest.mark.parametrize("ascent", [vmpo, reps])
def test_each_lane_equals_its_solo_run_beside_one_that_is_not_a_number(ascent):
    made = ascent(num_epochs=2, num_minibatches=2, anneal=True, num_updates=2)
    scales = jnp.array([1.0, 0.0, 100.0, jnp.nan])
    epsilons = jnp.array([0.1, 0.1, 0.5, 0.1])

    def run(scale, epsilon):
        learner = made.init({"w": jnp.float32(1.0)})
        weighed = batch()._replace(advantage=scale * ADVANTAGE)
        numbers = hypers(epsilon_eta=epsilon)
        return made.ascend(jax.random.key(0), likelihood, learner, weighed, numbers)

    lanes, solo = jax.jit(jax.vmap(run))(scales, epsilons), jax.jit(run)
    for i in range(4):
        lane = jax.tree.map(lambda leaf, i=i: leaf[i], lanes)
        chex.assert_trees_all_close(lane, solo(scales[i], epsilons[i]), rtol=1e-5, atol=1e-6)
    assert lanes[1]["finite"].tolist() == [True, True, True, False]


@pytest.mark.parametrize("name", ["vmpo", "reps"])
def test_weights_may_not_be_standardised(name):
    with pytest.raises(ConfigError, match=f"advantage.standardise: .* weights of {name}; write"):
        Config(ascent={"name": name}, objective={"name": "policy_gradient"})


def program(name):
    """A program that picks the better of two arms."""
    config = Config(
        num_envs=8,
        num_steps=8,
        total_timesteps=64 * 30,
        network={"hidden": [4]},
        objective={"name": "policy_gradient"},
        ascent={"name": name, "num_epochs": 2, "num_minibatches": 2, "learning_rate": 0.02},
        advantage={"standardise": "batch"},
    )
    return make_program(config, env=Probe(ProbeParams(kind=ARM, length=1)))


@pytest.mark.parametrize("name", ["vmpo", "reps"])
def test_both_train_by_the_page_and_keep_the_types_of_their_state(name):
    made = program(name)
    numbers = made.config.hypers()
    begin = jax.eval_shape(made.init, jax.random.key(0), numbers)
    after, info = jax.eval_shape(made.update, begin, numbers)
    chex.assert_trees_all_equal_shapes_and_dtypes(begin, after)
    assert {"eta", "weights_kl", "optimiser_steps", "learning_rate"} <= set(info)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vmpo", "reps"])
def test_the_better_arm_is_found(name):
    made = program(name)
    keys = jax.random.split(jax.random.key(0), 3)
    lanes = jax.jit(jax.vmap(made.train, in_axes=(0, None)))
    _, metrics = lanes(keys, made.config.hypers())
    assert float(metrics["episode_return"][:, :3].mean()) < 0.7
    assert float(metrics["episode_return"][:, -3:].min()) > 0.8
    assert float(metrics["eta"].min()) > 0.0 and bool(metrics["finite"].all())
