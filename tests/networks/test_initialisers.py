"""How parameters begin: one draw, made orthogonal, or scaled by the number of inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.networks import INITIALISERS, lecun, orthogonal, orthonormal


def struct(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


@pytest.fixture(scope="module")
def recurrent():
    """Orthogonal parameters of a convolution, a recurrent unit and a head."""
    shapes = {
        "torso": {
            "Conv_0": {"kernel": struct(3, 3, 2, 4), "bias": struct(4)},
            "gates_input": {"kernel": struct(8, 12), "bias": struct(12)},
            "gates_memory": struct(4, 12),
        },
        "policy": {"head": {"kernel": struct(4, 2), "bias": struct(2)}, "log_std": struct(2)},
    }
    return jax.jit(orthogonal)(jax.random.key(0), _as_arrays(shapes))


def _as_arrays(shapes):
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)


def test_every_gate_begins_orthogonal_by_itself(recurrent):
    for kernel in (recurrent["torso"]["gates_input"]["kernel"], recurrent["torso"]["gates_memory"]):
        gates = jnp.split(kernel, 3, axis=1)
        for gate in gates:
            np.testing.assert_allclose(gate.T @ gate, np.eye(4), atol=1e-5)
        assert jnp.abs(gates[0] - gates[1]).max() > 0.1


def test_a_convolution_begins_orthogonal_in_its_outputs(recurrent):
    kernel = recurrent["torso"]["Conv_0"]["kernel"].reshape(18, 4)
    np.testing.assert_allclose(kernel.T @ kernel, 2.0 * np.eye(4), atol=1e-5)


def test_what_has_one_axis_begins_at_zero(recurrent):
    vectors = [leaf for leaf in jax.tree.leaves(recurrent) if leaf.ndim == 1]
    assert len(vectors) == 4 and not any(leaf.any() for leaf in vectors)


def test_lecun_kernels_have_a_variance_of_one_over_their_inputs():
    shapes = {"policy": {"Conv_0": {"kernel": struct(3, 3, 4, 512)}, "head": struct(900, 20)}}
    begun = lecun(jax.random.key(0), shapes)["policy"]
    for kernel, inputs in ((begun["Conv_0"]["kernel"], 36), (begun["head"], 900)):
        np.testing.assert_allclose(inputs * jnp.var(kernel), 1.0, rtol=0.03)
        limit = 2.0 / 0.8796 / np.sqrt(inputs)  # two deviations of the normal that was cut
        assert 0.98 * limit < jnp.abs(kernel).max() < 1.001 * limit


@pytest.mark.parametrize("name", INITIALISERS)
def test_all_kernels_come_from_one_draw(name):
    """A draw is compiled anew; a network of seven layers would be slow to begin."""
    shapes = {"value": {f"Dense_{k}": {"kernel": struct(4, 4)} for k in range(7)}}
    traced = jax.make_jaxpr(INITIALISERS[name])(jax.random.key(0), _as_arrays(shapes))
    assert str(traced).count("random_bits") == 1


def test_a_nearly_singular_draw_begins_orthonormal_all_the_same():
    draw = jnp.diag(jnp.array([1.0, 1e-3, 1e-6])) + 1e-9
    made = np.asarray(jax.jit(orthonormal.orthonormal)(draw))
    np.testing.assert_allclose(made.T @ made, np.eye(3), atol=1e-6)


def test_orthonormal_is_the_polar_factor_of_each_matrix_whatever_lies_beside_it():
    shapes = {"tall": (7, 4), "wide": (3, 5), "square": (6, 6), "column": (7, 1), "one": (1, 1)}
    random = np.random.default_rng(0)
    draws = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    made = jax.jit(orthonormal.orthonormal)(draws)
    for name, draw in draws.items():
        left, _, right = np.linalg.svd(draw, full_matrices=False)
        np.testing.assert_allclose(made[name], left @ right, atol=2e-6)


@pytest.mark.parametrize("shape, steps", [((64, 64), 18), ((400, 64), 7), ((64, 4), 4)])
def test_an_orthonormal_kernel_takes_few_steps(shape, steps, monkeypatch):
    """Of 64 draws that take them together; unscaled it takes 27, 9 and 5."""
    monkeypatch.setattr(orthonormal, "MAX_STEPS", steps)
    draws = jax.random.normal(jax.random.key(0), (64, *shape))
    made = np.asarray(jax.jit(jax.vmap(orthonormal.orthonormal))(draws))
    gram = made.swapaxes(1, 2) @ made
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(shape[1]), gram.shape), atol=2e-6)


def test_thin_kernels_as_long_as_each_other_are_made_orthonormal_in_one_loop():
    shapes = {"value": {f"Dense_{k}": {"kernel": struct(1 + k, 14)} for k in range(7)}}
    traced = jax.make_jaxpr(orthogonal)(jax.random.key(0), _as_arrays(shapes))
    assert str(traced).count(" while[") == 1
