"""Shapes in are shapes out, data have no gradient, coefficients are arguments like any other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.objectives import OBJECTIVES

DATA = ("log_prob_old", "advantage", "log_prob_prox")
WITH_COEFFICIENTS = [name for name, entry in OBJECTIVES.items() if entry.coefficients]


def ask(name, at, **coefficients):
    entry = OBJECTIVES[name]
    return entry.fn(**{key: at[key] for key in entry.inputs}, **coefficients)


@pytest.mark.parametrize("shape", ((), (8,), (4, 2), (2, 2, 2)))
@pytest.mark.parametrize("name", OBJECTIVES)
def test_shape_and_dtype_in_are_shape_and_dtype_out(name, shape, samples):
    at = {key: x.reshape(shape) if shape else x[3] for key, x in samples.items()}
    for dtype in (jnp.float32, jnp.bfloat16):
        out = jax.eval_shape(lambda at: ask(name, at), {k: x.astype(dtype) for k, x in at.items()})
        assert (out.shape, out.dtype) == (shape, dtype)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_sample_counts_for_itself(name, samples, whole_table):
    alone = [
        whole_table({key: x[i] for key, x in samples.items()})[name]["value"] for i in range(8)
    ]
    together = whole_table(samples)[name]["value"]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_data_have_no_gradient_and_the_policy_has(name, samples, whole_table):
    table = whole_table(samples)[name]
    for key in set(DATA) & set(table):
        np.testing.assert_array_equal(table[key], np.zeros(8))
    assert np.abs(table["log_prob"]).max() > 0.0


@pytest.mark.parametrize("name", OBJECTIVES)
def test_compiling_changes_nothing(name, samples, whole_table):
    compiled = whole_table(samples)[name]
    plain = jax.value_and_grad(lambda x: ask(name, {**samples, "log_prob": x}).sum())
    value, slope = plain(samples["log_prob"])
    np.testing.assert_allclose(compiled["value"].sum(), value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(compiled["log_prob"], slope, rtol=1e-5, atol=1e-6)


FACTORS = (1.0, 1.1, 1.3)


def scaled(name, factor):
    return {key: factor * value for key, value in OBJECTIVES[name].coefficients.items()}


@jax.jit
def whole_table_at_scaled_coefficients(samples, coefficients):
    return {
        name: jax.vmap(lambda c, name=name: ask(name, samples, **c))(c)
        for name, c in coefficients.items()
    }


@pytest.mark.parametrize("name", WITH_COEFFICIENTS)
def test_every_coefficient_may_be_traced_and_vmapped(name, samples):
    lists = {row: [scaled(row, factor) for factor in FACTORS] for row in WITH_COEFFICIENTS}
    stacked = {row: jax.tree.map(lambda *c: jnp.array(c), *three) for row, three in lists.items()}
    together = whole_table_at_scaled_coefficients(samples, stacked)[name]
    assert together.dtype == jnp.float32
    for row, factor in zip(together, FACTORS, strict=True):
        one = ask(name, samples, **scaled(name, factor))
        np.testing.assert_allclose(row, one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", WITH_COEFFICIENTS)
def test_every_coefficient_matters(name, samples):
    for key, value in OBJECTIVES[name].coefficients.items():
        changed = [ask(name, samples, **{key: factor * value}) for factor in (0.05, 20.0)]
        assert not np.allclose(*changed, rtol=1e-3), f"{key} does nothing"


@pytest.mark.parametrize("name", OBJECTIVES)
def test_shapes_that_do_not_broadcast_are_named_before_anything_is_compiled(name, samples):
    for key in OBJECTIVES[name].inputs:
        with pytest.raises(ValueError, match=r"\(5,\)") as caught:
            jax.eval_shape(lambda at: ask(name, at), {**samples, key: jnp.zeros(5)})
        assert "(8,)" in str(caught.value) and "broadcast" in str(caught.value)
