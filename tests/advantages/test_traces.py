"""The recursion behind all advantages, as a CPU solves it and as an accelerator does."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates.advantages.traces import accumulate


def by_hand(term, keep):
    found, later = np.zeros_like(term), np.zeros_like(term[0])
    for t in reversed(range(len(term))):
        later = found[t] = term[t] + keep[t] * later
    return found


@pytest.fixture(params=["cpu", "gpu"])
def backend(request, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)
    return request.param


@pytest.mark.parametrize("shape", [(1, 3), (2,), (123, 7), (128, 4)])
def test_every_row_is_its_term_and_what_it_keeps_of_the_next(shape, backend):
    rng = np.random.default_rng(0)
    term = rng.normal(size=shape).astype(np.float32)
    keep = (0.97 * (rng.random(shape) > 0.1)).astype(np.float32)  # some rows keep nothing
    assert_allclose(jax.jit(accumulate)(term, keep), by_hand(term, keep), rtol=1e-5, atol=1e-5)


def test_a_number_is_kept_alike_everywhere(backend):
    term = np.ones((5, 2), np.float32)
    found = accumulate(term, 0.5)
    assert_allclose(found, np.tile([[1.9375], [1.875], [1.75], [1.5], [1.0]], 2))


def test_an_accelerator_does_not_go_row_by_row(backend):
    traced = str(jax.make_jaxpr(lambda term: accumulate(term, 0.9))(np.ones((64, 2))))
    assert ("scan[" in traced) == (backend == "cpu")
