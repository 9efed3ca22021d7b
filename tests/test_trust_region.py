"""One step within a trust region: where it leads, how far, and when it is not taken at all."""

from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from numpy.testing import assert_allclose

from rl_surrogates import solvers
from rl_surrogates.ascent.critic import fit_critic
from rl_surrogates.ascent.trust_region import (
    fisher_product,
    natural_gradient,
    natural_step,
    trust_region,
)
from rl_surrogates.diagnostics import policy_shift
from rl_surrogates.distributions import (
    Categorical,
    DiagonalGaussian,
    MultiCategorical,
    TanhGaussian,
)
from rl_surrogates.objectives import OBJECTIVES, choice, find
from rl_surrogates.types import Score

STATES, ACTIONS = 24, 3
STATIC = {"cg_iterations": 10, "critic_epochs": 2, "critic_minibatches": 2, "fisher_every": 1}
HYPERS = {"max_kl": 0.01, "damping": 0.1, "backtrack": 0.5, "critic_learning_rate": 1e-2}
REPORTED = (
    "accepted kl_before kl_after backtracks surrogate_improvement predicted_improvement "
    "cg_residual curvature positive_curvature policy_loss value_loss entropy approx_kl "
    "clip_fraction first_ratio_error grad_norm learning_rate finite"
).split()


class Samples(NamedTuple):
    observation: Any  # [N, 2]
    action: Any  # [N]
    log_prob_old: Any  # [N]
    logits_old: Any  # [N, A]
    advantage: Any  # [N]
    value_target: Any  # [N]


def network(policy, observation):
    """Two layers, `[N, 2] -> [N, A]`."""
    return jnp.tanh(observation @ policy["hidden"]) @ policy["head"] + policy["bias"]


def score(params, batch, objective, coefficients):
    pi, old = (
        Categorical(network(params["policy"], batch.observation)),
        Categorical(batch.logits_old),
    )
    log_prob = pi.log_prob(batch.action)
    available = {
        "log_prob": log_prob,
        "log_prob_old": batch.log_prob_old,
        "log_prob_prox": batch.log_prob_old,
        "advantage": batch.advantage,
        "kl_old_new": old.kl(pi),
        "kl_new_old": pi.kl(old),
    }
    surrogate = jnp.mean(
        objective.fn(**{i: available[i] for i in objective.inputs}, **coefficients)
    )
    value_loss = jnp.mean((batch.observation @ params["value"] - batch.value_target) ** 2)
    info = {"policy_loss": -surrogate, "value_loss": value_loss, "entropy": jnp.mean(pi.entropy())}
    info |= policy_shift(log_prob, batch.log_prob_old)
    return Score(-surrogate, value_loss, pi, jnp.mean(available["kl_old_new"]), info)


def problem(key):
    """Random parameters, and samples of the policy that they are."""
    keys = jax.random.split(key, 8)
    params = {
        "policy": {
            "hidden": jax.random.normal(keys[0], (2, 4)),
            "head": jax.random.normal(keys[1], (4, ACTIONS)),
            "bias": jax.random.normal(keys[2], (ACTIONS,)),
        },
        "value": jax.random.normal(keys[3], (2,)),
    }
    observation = jax.random.normal(keys[4], (STATES, 2))
    logits = network(params["policy"], observation)
    action = jax.random.categorical(keys[5], logits)
    advantage, target = jax.random.normal(keys[6], (2, STATES))
    log_prob = Categorical(logits).log_prob(action)
    return params, Samples(observation, action, log_prob, logits, advantage, target)


ENTRIES = {name: find(name) for name in ("importance_sampled", "kl_penalty")}
MERGED = choice.one_of(ENTRIES)


def ascend(ascent, key, params, batch, hypers, coefficients):
    loss = partial(score, objective=MERGED, coefficients=coefficients)
    return ascent.ascend(key, loss, ascent.init(params), batch, hypers)


def hypers(**changes):
    return SimpleNamespace(**{**HYPERS, **changes})


def chosen(name, **coefficients):
    return jax.tree.map(jnp.float32, choice.choose(ENTRIES, name, coefficients))


@jax.jit
def step_of_trpo(seed, advantage_scale, numbers, coefficients):
    params, batch = problem(jax.random.key(seed))
    batch = batch._replace(advantage=batch.advantage * advantage_scale)
    ascent = trust_region(max_backtracks=6, **STATIC)
    learner, info = ascend(
        ascent, jax.random.key(1), params, batch, SimpleNamespace(**numbers), coefficients
    )
    return params, batch, learner, info


LANES = {  # scale of the advantages, max_kl, coefficients, and a backtrack of its own
    "accepts": (1.0, 0.01, chosen("importance_sampled")),
    "backtracks": (1.0, 0.1, chosen("kl_penalty", beta=30.0)),
    "backtracks_faster": (1.0, 0.1, chosen("kl_penalty", beta=30.0), 0.1),
    "always_falls": (1.0, 0.01, chosen("kl_penalty", beta=1e6)),
    "nothing_to_gain": (0.0, 0.01, chosen("importance_sampled")),
    "not_a_number": (np.nan, 0.01, chosen("importance_sampled")),
    "infinite": (np.inf, 0.01, chosen("importance_sampled")),
}


def arguments(lane):
    scale, max_kl, coefficients, *own = LANES[lane]
    backtrack = own[0] if own else HYPERS["backtrack"]
    numbers = jax.tree.map(jnp.float32, {**HYPERS, "max_kl": max_kl, "backtrack": backtrack})
    return 3, jnp.float32(scale), numbers, coefficients


@pytest.fixture(scope="module")
def lanes():
    """`{name: (params before, batch, learner, info)}`, all from one vmapped program."""
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(arguments(name) for name in LANES))
    out = jax.vmap(step_of_trpo)(*stacked)
    return {name: jax.tree.map(lambda leaf, i=i: leaf[i], out) for i, name in enumerate(LANES)}


def test_everything_is_reported_as_a_scalar(lanes):
    info = lanes["accepts"][3]
    assert set(REPORTED) <= set(info)
    assert {leaf.shape for leaf in info.values()} == {()}
    assert all(np.isfinite(np.float32(leaf)) for leaf in info.values())


@pytest.mark.parametrize("lane", ["accepts", "backtracks"])
def test_an_accepted_step_keeps_both_promises_when_computed_again(lanes, lane):
    before, batch, learner, info = lanes[lane]
    _, max_kl, coefficients = LANES[lane][:3]
    assert bool(info["accepted"])
    loss = jax.jit(partial(score, objective=MERGED))
    old = loss(before, batch, coefficients=coefficients)
    new = loss(learner.params, batch, coefficients=coefficients)
    assert float(new.kl) <= max_kl * (1 + 1e-4)
    assert float(new.policy) < float(old.policy)
    assert_allclose(info["kl_after"], new.kl, rtol=1e-3)
    assert_allclose(info["surrogate_improvement"], old.policy - new.policy, rtol=1e-3)
    assert abs(float(info["kl_before"])) < 1e-6


def test_one_lane_backtracks_while_another_accepts_at_once(lanes):
    assert int(lanes["accepts"][3]["backtracks"]) == 0
    assert 0 < int(lanes["backtracks"][3]["backtracks"]) < 6


def test_each_lane_shortens_its_step_by_its_own_factor(lanes):
    slow, fast = (lanes[name][3] for name in ("backtracks", "backtracks_faster"))
    assert 0 < int(fast["backtracks"]) < int(slow["backtracks"])
    full = [
        info["predicted_improvement"] / factor ** int(info["backtracks"])
        for info, factor in ((slow, HYPERS["backtrack"]), (fast, 0.1))
    ]
    assert_allclose(*full, rtol=1e-4)


@pytest.mark.parametrize("lane", ["always_falls", "nothing_to_gain", "not_a_number", "infinite"])
def test_a_refused_step_changes_no_bit_of_the_policy_and_is_reported(lanes, lane):
    before, _, learner, info = lanes[lane]
    chex.assert_trees_all_equal(learner.params["policy"], before["policy"])
    assert not bool(info["accepted"])
    assert int(info["backtracks"]) == 6
    assert bool(info["finite"]) == (lane in ("always_falls", "nothing_to_gain"))


def test_without_advantages_nothing_is_not_a_number(lanes):
    _, _, learner, info = lanes["nothing_to_gain"]
    assert all(np.isfinite(np.float32(leaf)) for leaf in info.values())
    chex.assert_tree_all_finite(learner)
    assert float(info["predicted_improvement"]) == float(info["surrogate_improvement"]) == 0.0


def test_the_value_function_is_fitted_whether_or_not_the_step_is_taken(lanes):
    for name in ("accepts", "always_falls", "not_a_number"):
        before, _, learner, _ = lanes[name]
        assert float(jnp.abs(learner.params["value"] - before["value"]).max()) > 1e-3


@pytest.mark.parametrize("lane", LANES)
def test_each_lane_is_as_if_alone(lanes, lane):
    alone = step_of_trpo(*arguments(lane))
    for name in ("accepted", "backtracks", "finite"):
        assert alone[3][name] == lanes[lane][3][name]
    chex.assert_trees_all_close(alone[2], lanes[lane][2], rtol=1e-3, atol=1e-5)


def test_the_natural_gradient_is_the_trust_region_without_its_search(lanes):
    before, batch, learner, info = lanes["accepts"]  # at the first length
    ascent = natural_gradient(**STATIC)
    step = jax.jit(
        partial(ascend, ascent, hypers=hypers(), coefficients=chosen("importance_sampled"))
    )
    other, found = step(jax.random.key(1), before, batch)
    chex.assert_trees_all_close(other, learner, rtol=1e-5, atol=1e-6)
    assert bool(found["accepted"]) and int(found["backtracks"]) == 0
    for name in ("kl_after", "surrogate_improvement", "predicted_improvement"):
        assert_allclose(found[name], info[name], rtol=1e-4)


def test_the_natural_gradient_takes_its_step_whatever_comes_of_it_but_not_without_a_gradient():
    ascent = natural_gradient(**STATIC)
    step = jax.jit(partial(ascend, ascent, hypers=hypers()))
    params, batch = problem(jax.random.key(3))
    _, info = step(jax.random.key(1), params, batch, coefficients=chosen("kl_penalty", beta=1e6))
    assert bool(info["accepted"]) and float(info["surrogate_improvement"]) < 0.0
    nothing = batch._replace(advantage=jnp.zeros(STATES))
    learner, info = step(
        jax.random.key(1), params, nothing, coefficients=chosen("importance_sampled")
    )
    assert not bool(info["accepted"])
    chex.assert_trees_all_equal(learner.params["policy"], params["policy"])


def test_the_kl_after_an_accepted_step_never_exceeds_the_bound_in_ten_thousand_problems():
    @jax.jit
    @jax.vmap
    def solve(seed, log_kl, damping):
        params, batch = problem(jax.random.key(seed))
        numbers = hypers(max_kl=10.0**log_kl, damping=damping)
        ascent = trust_region(max_backtracks=6, **STATIC)
        chosen = dict.fromkeys(MERGED.coefficients, 0.0)
        learner, info = ascend(ascent, jax.random.key(seed), params, batch, numbers, chosen)
        policies = (params["policy"], learner.params["policy"])
        logits = [network(policy, batch.observation) for policy in policies]
        same = jax.tree.map(lambda a, b: jnp.all(a == b), *policies)
        return numbers.max_kl, info["accepted"], logits, jnp.stack(jax.tree.leaves(same)).all()

    rng, count = np.random.default_rng(0), 10_000
    damping = np.where(rng.random(count) < 0.2, 0.0, 10.0 ** rng.uniform(-4, 0, count))
    max_kl, accepted, logits, same = solve(
        np.arange(count), jnp.float32(rng.uniform(-4, 0, count)), jnp.float32(damping)
    )
    old, new = (np.float64(one) for one in logits)
    old, new = (one - np.log(np.exp(one).sum(-1, keepdims=True)) for one in (old, new))
    kl = (np.exp(old) * (old - new)).sum(-1).mean(-1)
    accepted, same = np.asarray(accepted), np.asarray(same)
    assert (kl[accepted] <= np.asarray(max_kl)[accepted] * (1 + 1e-3) + 1e-7).all()
    assert same[~accepted].all() and not same[accepted].any()
    assert 0.9 < accepted.mean()


def dense_fisher(policy, params, distance):
    """The Hessian of a mean KL by forward mode twice, on the flattened parameters."""
    flat, unravel = ravel_pytree(params)
    old = policy(params)
    return jax.jit(jax.hessian(lambda flat: jnp.mean(distance(old, policy(unravel(flat))))))(flat)


def policies():
    params, batch = problem(jax.random.key(0))
    mask = jnp.arange(STATES)[:, None] % ACTIONS != jnp.arange(ACTIONS)  # one forbidden per state

    def gaussian(policy):
        return DiagonalGaussian(network(policy, batch.observation), 0.3 * policy["bias"])

    return params["policy"], {
        "categorical": lambda p: Categorical(network(p, batch.observation)),
        "masked": lambda p: Categorical(network(p, batch.observation), mask),
        "gaussian": gaussian,
        "tanh_gaussian": lambda p: TanhGaussian(*gaussian(p)),
        "multi_categorical": lambda p: MultiCategorical(
            (network(p, batch.observation), network(p, 2.0 * batch.observation)[:, 1:])
        ),
    }


@pytest.mark.parametrize("kind", policies()[1])
def test_the_product_agrees_with_the_dense_fisher_matrix(kind):
    params, kinds = policies()
    policy = kinds[kind]
    matrix = np.asarray(dense_fisher(policy, params, lambda old, new: old.kl(new)))
    flat, unravel = ravel_pytree(params)
    product = jax.jit(
        jax.vmap(lambda v: ravel_pytree(fisher_product(policy, params, 0.0)(unravel(v)))[0])
    )
    vectors = np.random.default_rng(0).normal(size=(100, flat.size)).astype(np.float32)
    products = np.asarray(product(vectors))
    assert_allclose(products, vectors @ matrix, atol=1e-4 * np.abs(products).max())
    assert (np.einsum("kp,kp->k", vectors, products) >= -1e-6).all()  # positive semidefinite
    # Either direction of the KL has this Hessian.
    reverse = dense_fisher(policy, params, lambda old, new: new.kl(old))
    assert_allclose(reverse, matrix, atol=1e-4 * np.abs(matrix).max())


def test_the_product_is_the_second_derivative_of_the_kl_with_the_damping_on_the_diagonal():
    params, kinds = policies()
    policy = kinds["categorical"]

    @jax.jit
    def both(v):
        old = jax.lax.stop_gradient(policy(params))
        hessian = solvers.hessian_vector_product(lambda p: jnp.mean(old.kl(policy(p))), params, v)
        return fisher_product(policy, params, 0.1)(v), solvers.add(hessian, 0.1, v)

    ours, expected = both(
        jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size)).reshape(leaf.shape), params)
    )
    chex.assert_trees_all_close(ours, expected, atol=1e-6)


def test_the_model_of_the_kl_is_max_kl_at_the_full_step():
    matrix, gradient = jnp.array([[4.0, 1.0], [1.0, 3.0]]), jnp.array([1.0, 2.0])
    step = jax.jit(lambda: natural_step(lambda v: matrix @ v, gradient, 0.01, 10))()
    assert_allclose(step.full, [0.011009638, 0.077067464], rtol=1e-5)  # .121106 [1/11, 7/11]
    assert_allclose(0.5 * step.full @ matrix @ step.full, 0.01, rtol=1e-5)
    assert_allclose(step.gain, gradient @ step.full, rtol=1e-6)
    assert bool(step.exists) and bool(step.info["positive_curvature"])


@pytest.mark.parametrize("gradient", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 1.0]])
def test_without_a_finite_gradient_there_is_no_step(gradient):
    step = jax.jit(lambda g: natural_step(lambda v: 2.0 * v, g, 0.01, 10))(jnp.array(gradient))
    assert not bool(step.exists)
    assert step.full.tolist() == [0.0, 0.0]
    assert all(np.isfinite(np.float32(leaf)) for leaf in step.info.values())


def test_where_the_fisher_matrix_is_zero_there_is_no_step_and_it_is_flagged():
    step = jax.jit(lambda g: natural_step(lambda v: 0.0 * v, g, 0.01, 10))(jnp.ones(2))
    assert not bool(step.exists) and not bool(step.info["positive_curvature"])
    assert step.full.tolist() == [0.0, 0.0]


def test_on_softmax_logits_the_natural_gradient_is_the_advantage_up_to_a_constant_per_state():
    rng = np.random.default_rng(0)
    logits, advantage = (jnp.asarray(rng.normal(size=(4, ACTIONS)), jnp.float32) for _ in range(2))

    @jax.jit
    def natural(logits):
        product = fisher_product(Categorical, logits, 0.0)  # singular: constants per state
        gradient = jax.grad(lambda z: jnp.mean(jnp.sum(jax.nn.softmax(z) * advantage, -1)))(logits)
        return solvers.conjugate_gradient(product, gradient, num_iterations=12)[0]

    difference = np.asarray(natural(logits) - advantage)
    assert_allclose(difference - difference.mean(-1, keepdims=True), 0.0, atol=1e-3)


def test_a_subsample_gives_the_fisher_matrix_of_its_samples():
    params, batch = problem(jax.random.key(5))
    coefficients, static = chosen("importance_sampled"), {**STATIC, "fisher_every": 3}
    step = jax.jit(partial(ascend, trust_region(max_backtracks=6, **static), hypers=hypers()))
    learner, info = step(jax.random.key(1), params, batch, coefficients=coefficients)

    @jax.jit
    def expect(params):
        loss = partial(score, objective=MERGED, coefficients=coefficients)
        gradient = jax.grad(lambda p: -loss({"policy": p, "value": params["value"]}, batch).policy)
        third = batch.observation[::3]
        product = fisher_product(
            lambda p: Categorical(network(p, third)), params["policy"], HYPERS["damping"]
        )
        return natural_step(product, gradient(params["policy"]), HYPERS["max_kl"], 10)

    expected = expect(params)
    length = HYPERS["backtrack"] ** int(info["backtracks"])
    chex.assert_trees_all_close(
        learner.params["policy"], solvers.add(params["policy"], length, expected.full), atol=1e-5
    )


def test_every_objective_of_the_table_may_be_searched_along():
    everything = choice.one_of(OBJECTIVES)
    params, batch = problem(jax.random.key(3))
    ascent = trust_region(max_backtracks=20, **{**STATIC, "critic_epochs": 1})

    @jax.jit
    @jax.vmap
    def step(coefficients):
        loss = partial(score, objective=everything, coefficients=coefficients)
        return ascent.ascend(jax.random.key(1), loss, ascent.init(params), batch, hypers())[1]

    picked = [choice.choose(OBJECTIVES, name, find(name).coefficients) for name in OBJECTIVES]
    stacked = jax.tree.map(lambda *leaves: jnp.stack([jnp.float32(x) for x in leaves]), *picked)
    info = step(stacked)
    assert bool(info["accepted"].all()), [
        n for n, a in zip(OBJECTIVES, info["accepted"], strict=True) if not a
    ]
    assert float(info["surrogate_improvement"].min()) > 0.0
    assert float(info["kl_after"].max()) <= HYPERS["max_kl"]


def test_the_critic_reaches_the_least_squares_solution_and_leaves_the_policy_alone():
    params, batch = problem(jax.random.key(2))
    loss = partial(score, objective=MERGED, coefficients=chosen("importance_sampled"))
    learner = trust_region(max_backtracks=1, **STATIC).init(params)
    fit = jax.jit(
        partial(fit_critic, loss=loss, learning_rate=1e-2, num_epochs=500, num_minibatches=1)
    )
    fitted, info = fit(jax.random.key(0), learner=learner, batch=batch)
    expected = np.linalg.lstsq(np.asarray(batch.observation), np.asarray(batch.value_target))[0]
    assert_allclose(fitted.params["value"], expected, atol=1e-3)
    chex.assert_trees_all_equal(fitted.params["policy"], params["policy"])
    assert np.isfinite(info["value_loss"])
