"""The whole catalogue as one program: 39 rows compile in the time of a dozen."""

import jax
import jax.numpy as jnp
import pytest

from rl_surrogates.objectives import OBJECTIVES


def value_and_slopes(entry, at):
    """`{"value": ..., input: slope in it}` of one row at its default coefficients."""
    at = {key: at[key] for key in entry.inputs}
    value, pull_back = jax.vjp(lambda at: entry.fn(**at), at)
    return {"value": value, **pull_back(jnp.ones_like(value))[0]}


@pytest.fixture(scope="session")
def whole_table():
    """Maps inputs to values and slopes of all rows; compiled once per shape and dtype."""
    return jax.jit(lambda at: {name: value_and_slopes(row, at) for name, row in OBJECTIVES.items()})
