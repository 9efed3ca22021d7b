"""Several objectives in one program: the chosen one, to its value and its slope."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.objectives import OBJECTIVES
from rl_surrogates.objectives.choice import choose, held_names, one_of

NAMES = ("policy_gradient", "importance_sampled", "ppo_clip", "spo", "kl_penalty")
ENTRIES = {name: OBJECTIVES[name] for name in NAMES}
DIFFERENT = {"ppo_clip": {"epsilon": 0.1}, "spo": {"epsilon": 0.4}, "kl_penalty": {"beta": 3.0}}


@pytest.fixture(scope="module")
def together():
    """`together(inputs, coefficients)`: value and slope in log_prob of the one chosen."""
    held = one_of(ENTRIES)

    @jax.jit
    def together(inputs, coefficients):
        def total(log_prob):
            at = {**inputs, "log_prob": log_prob}
            value = held.fn(**{name: at[name] for name in held.inputs}, **coefficients)
            return value.sum(), value

        slope, value = jax.grad(total, has_aux=True)(inputs["log_prob"])
        return value, slope

    return together


@pytest.mark.parametrize("given", [{}, DIFFERENT], ids=["defaults", "given"])
@pytest.mark.parametrize("name", NAMES)
def test_the_chosen_objective_is_that_objective(together, samples, name, given):
    own = given.get(name, {})
    entry = ENTRIES[name]

    def total(log_prob):
        at = {**samples, "log_prob": log_prob}
        return entry.fn(**{i: at[i] for i in entry.inputs}, **own).sum()

    chosen = jax.tree.map(jnp.float32, choose(ENTRIES, name, own))
    value, slope = together(samples, chosen)
    np.testing.assert_allclose(value.sum(), total(samples["log_prob"]), rtol=1e-5)
    np.testing.assert_allclose(slope, jax.grad(total)(samples["log_prob"]), rtol=1e-5, atol=1e-6)


def test_one_compilation_serves_every_choice_and_every_coefficient(together, samples):
    for name in NAMES:
        together(samples, jax.tree.map(jnp.float32, choose(ENTRIES, name, DIFFERENT.get(name, {}))))
    assert together._cache_size() == 1


def test_lanes_may_choose_differently(samples):
    held = one_of(ENTRIES)
    chosen = [jax.tree.map(jnp.float32, choose(ENTRIES, name, {})) for name in NAMES]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *chosen)
    inputs = {name: samples[name] for name in held.inputs}
    values = jax.jit(jax.vmap(lambda c: held.fn(**inputs, **c)))(stacked)
    for lane, name in enumerate(NAMES):
        entry = ENTRIES[name]
        alone = entry.fn(**{i: samples[i] for i in entry.inputs})
        np.testing.assert_allclose(values[lane], alone, rtol=1e-5)


def test_it_asks_for_what_any_entry_asks_for_and_declares_what_all_declare():
    held = one_of(ENTRIES)
    assert set(held.inputs) == {i for entry in ENTRIES.values() for i in entry.inputs}
    assert held.scale_free == all(entry.scale_free for entry in ENTRIES.values())
    assert held.coefficients["ppo_clip__epsilon"] == ENTRIES["ppo_clip"].coefficients["epsilon"]


def test_a_coefficient_is_found_under_the_name_of_every_entry_that_has_it():
    held = one_of(ENTRIES).coefficients
    assert set(held_names("epsilon", held)) == {"ppo_clip__epsilon", "spo__epsilon"}
    assert held_names("beta", ["beta", "alpha"]) == ["beta"]
    assert held_names("silon", held) == []


def test_an_objective_that_overflows_does_not_harm_the_chosen_one(together, samples):
    far = {**samples, "log_prob": samples["log_prob_old"] + 200.0}
    value, slope = together(far, jax.tree.map(jnp.float32, choose(ENTRIES, "policy_gradient", {})))
    assert bool(jnp.isfinite(value).all())
    np.testing.assert_allclose(slope, samples["advantage"], rtol=1e-6)
