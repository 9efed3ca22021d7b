"""Systems and step lengths with answers that a textbook, numpy or a few lines by hand give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rl_surrogates.solvers import backtracking, conjugate_gradient, hessian_vector_product


def solve(matrix, b, **options):
    matrix, b = jnp.asarray(matrix, jnp.float32), jnp.asarray(b, jnp.float32)
    return jax.jit(lambda: conjugate_gradient(lambda v: matrix @ v, b, **options))()


def positive_definite(rng, size, rank=None):
    factor = rng.normal(size=(size, size if rank is None else rank))
    return factor @ factor.T / size + (0.1 * np.eye(size) if rank is None else 0.0)


def test_two_unknowns_are_solved_in_two_iterations_by_hand():
    matrix, b = [[4.0, 1.0], [1.0, 3.0]], [1.0, 2.0]
    assert_allclose(
        solve(matrix, b, num_iterations=1)[0], [0.25, 0.5], rtol=1e-6
    )  # |b|^2/b'Ab = 1/4
    x, info = solve(matrix, b, num_iterations=2)
    assert_allclose(x, [1 / 11, 7 / 11], rtol=1e-6)
    assert int(info["iterations"]) == 2
    assert bool(info["positive_curvature"])


@pytest.mark.parametrize("size", [1, 5, 30])
def test_it_agrees_with_a_dense_solver(size):
    rng = np.random.default_rng(size)
    matrix, b = positive_definite(rng, size), rng.normal(size=size)
    x, info = solve(matrix, b, num_iterations=3 * size, residual_tol=1e-13)
    expected = np.linalg.solve(matrix, b)
    assert np.linalg.norm(x - expected) <= 1e-5 * np.linalg.norm(expected)
    assert float(info["residual"]) <= 1e-12


def test_it_works_on_trees():
    def matvec(v):  # [[4, 1], [1, 3]] on two leaves
        return {"a": 4.0 * v["a"] + v["b"][0], "b": v["a"][None] + 3.0 * v["b"]}

    x, _ = jax.jit(lambda b: conjugate_gradient(matvec, b))(
        {"a": jnp.ones(()), "b": 2 * jnp.ones(1)}
    )
    assert_allclose([x["a"], x["b"][0]], [1 / 11, 7 / 11], rtol=1e-6)


def test_nothing_is_asked_of_a_zero_right_hand_side():
    x, info = solve(np.eye(3), np.zeros(3))
    assert np.array_equal(x, np.zeros(3))
    assert int(info["iterations"]) == 0 and float(info["residual"]) == 0.0


def test_it_stops_at_the_relative_residual_and_never_divides_by_it():
    for scale in (1e-6, 1.0, 1e6):
        x, info = solve(np.eye(3), scale * np.arange(1.0, 4.0), num_iterations=50)
        assert int(info["iterations"]) == 1
        assert_allclose(x, scale * np.arange(1.0, 4.0), rtol=1e-6)


def test_a_singular_matrix_is_solved_where_the_right_hand_side_is_in_its_range():
    rng = np.random.default_rng(0)
    matrix = positive_definite(rng, 8, rank=3)
    b = matrix @ rng.normal(size=8)
    x, info = solve(matrix, b, num_iterations=50)
    assert np.isfinite(x).all()
    assert_allclose(matrix @ x, b, atol=1e-4 * np.linalg.norm(b))
    assert float(info["residual"]) <= 1e-10


def test_outside_the_range_of_a_singular_matrix_the_last_good_iterate_is_flagged():
    for perturbed in (0.0, 1e-9, -1e-9):
        x, info = solve([[1.0, 0.0], [0.0, perturbed]], [1.0, 1.0], num_iterations=50)
        assert np.abs(x).max() <= 2.0 + 1e-5  # the first step, |b|^2 / b'Ab = 2, and no further
        assert not bool(info["positive_curvature"])


@pytest.mark.parametrize("diagonal", [[1.0, -1.0, 3.0], [-1.0, -2.0, -3.0], [0.0, 0.0, 0.0]])
def test_without_positive_curvature_the_answer_is_finite_and_flagged(diagonal):
    x, info = solve(np.diag(diagonal), [1.0, 2.0, 0.5], num_iterations=20)
    assert np.isfinite(x).all() and np.isfinite(info["residual"])
    assert not bool(info["positive_curvature"])


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_no_nan_leaves_the_solver(bad):
    for matrix, b in (([[1.0, 0.0], [0.0, bad]], [1.0, 2.0]), (np.eye(2), [1.0, bad])):
        x, info = solve(matrix, b)
        assert np.isfinite(x).all()
        assert np.isfinite(info["residual"])


def test_each_lane_is_solved_as_if_alone():
    rng = np.random.default_rng(1)
    matrices = np.stack(
        [np.eye(6), positive_definite(rng, 6), -np.eye(6), positive_definite(rng, 6)]
    )
    b = rng.normal(size=(4, 6))
    b[3] = 0.0

    def lane(matrix, b):
        return conjugate_gradient(lambda v: matrix @ v, b, num_iterations=12)

    xs, infos = jax.jit(jax.vmap(lane))(jnp.float32(matrices), jnp.float32(b))
    for i, (matrix, right) in enumerate(zip(matrices, b, strict=True)):
        x, info = solve(matrix, right, num_iterations=12)
        assert_allclose(xs[i], x, rtol=1e-3, atol=1e-5)
        assert bool(infos["positive_curvature"][i]) == bool(info["positive_curvature"])
    assert infos["iterations"][0] == 1 and infos["iterations"][3] == 0
    assert infos["iterations"][1] > 3


@pytest.mark.parametrize(
    "at, v, expected",  # f = 5 x^2 + 2 y^2 has H = diag(10, 4), whatever the point
    [((1.0, 1.0), (10.0, 20.0), (100.0, 80.0)), ((-2.2, -1.5), (0.0, -1.0), (0.0, -4.0))],
)
def test_the_hessian_of_a_quadratic_is_constant(at, v, expected):
    product = jax.jit(
        lambda p, v: hessian_vector_product(lambda p: 5 * p[0] ** 2 + 2 * p[1] ** 2, p, v)
    )(jnp.array(at), jnp.array(v))
    assert_allclose(product, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "at, v, expected",  # f = x^3 y has H = [[6 x y, 3 x^2], [3 x^2, 0]]
    [((1.0, 2.0), (1.0, 0.0), (12.0, 3.0)), ((2.0, 1.0), (1.0, -1.0), (0.0, 12.0))],
)
def test_the_hessian_is_that_at_the_point(at, v, expected):
    tree = {"x": jnp.float32(at[0]), "y": jnp.float32(at[1])}
    along = {"x": jnp.float32(v[0]), "y": jnp.float32(v[1])}
    product = jax.jit(lambda p, v: hessian_vector_product(lambda p: p["x"] ** 3 * p["y"], p, v))(
        tree, along
    )
    assert_allclose([product["x"], product["y"]], expected, rtol=1e-6)


def search(limit, shrink=0.5, num_tries=4):
    """Lengths are measured as themselves; accepted up to `limit`."""
    return backtracking(
        lambda length: {"length": length},
        lambda measured: measured["length"] <= limit,
        {"length": jnp.float32(-1.0)},
        shrink=shrink,
        num_tries=num_tries,
    )


@pytest.mark.parametrize(
    "limit, length, backtracks", [(1.0, 1.0, 0), (0.6, 0.5, 1), (0.13, 0.125, 3)]
)
def test_the_first_length_that_is_accepted_is_taken(limit, length, backtracks):
    found, measured, info = jax.jit(search)(limit)
    assert float(found) == float(measured["length"]) == length
    assert bool(info["accepted"]) and int(info["backtracks"]) == backtracks


@pytest.mark.parametrize("limit", [0.1, np.nan])
def test_where_no_length_is_accepted_nothing_is_taken(limit):
    found, measured, info = jax.jit(search)(limit)
    assert float(found) == 0.0 and float(measured["length"]) == -1.0
    assert not bool(info["accepted"]) and int(info["backtracks"]) == 4


def test_every_lane_searches_as_if_alone():
    limits = jnp.array([1.0, 0.13, 0.0, 0.6])
    found, measured, info = jax.jit(jax.vmap(search))(limits)
    assert found.tolist() == [1.0, 0.125, 0.0, 0.5]
    assert measured["length"].tolist() == [1.0, 0.125, -1.0, 0.5]
    assert info["backtracks"].tolist() == [0, 3, 4, 1]
    assert info["accepted"].tolist() == [True, True, False, True]
