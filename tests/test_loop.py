"""A batch in parts is the batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import loop


@pytest.mark.parametrize(
    "rows, num_samples, parts",
    [
        (128, 512, 1),  # a small batch
        (128, 4 * 2048, 8),  # 1024 samples each
        (128, 10**6, 16),
        (100, 10**6, 10),  # the most that divide the rows
        (7, 8 * 1024, 7),
        (1, 10**6, 1),
    ],
)
def test_parts_are_as_many_as_samples_and_rows_allow_and_change_nothing(rows, num_samples, parts):
    seen, batch = [], {"a": jnp.arange(2.0 * rows).reshape(rows, 2), "b": jnp.arange(rows)}

    def function(batch):
        seen.append(batch["b"].size)
        return batch["a"] * batch["b"][:, None], -batch["b"]

    found = jax.jit(lambda batch: loop.in_parts(function, batch, num_samples))(batch)
    assert set(seen) == {rows // parts}
    jax.tree.map(np.testing.assert_array_equal, found, function(batch))


def test_parts_of_many_lanes_are_cut_out_of_the_batch_without_moving_it():
    def function(batch):
        return jnp.sum(batch, axis=1)

    def of_lane(batch):
        return loop.in_parts(function, batch, 10**6)

    lanes = jnp.arange(3.0 * 32 * 2).reshape(3, 32, 2)
    np.testing.assert_array_equal(jax.vmap(of_lane)(lanes), jax.vmap(function)(lanes))
    of_all = jax.make_jaxpr(jax.vmap(of_lane))(lanes).jaxpr
    assert not [e for e in of_all.eqns if lanes.size in [out.aval.size for out in e.outvars]]
