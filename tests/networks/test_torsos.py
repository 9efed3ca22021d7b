"""Torsos against the same formulas in NumPy; what each sees of an observation."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates.networks import CNN, GRU, MLP, inputs
from rl_surrogates.networks.torsos import Conv
from rl_surrogates.spaces import Discrete

T, B, F, H = 5, 3, 4, 6


def random_like(shapes, seed=0):
    """Parameters of these shapes, every one of them different from 0."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: jnp.float32(rng.normal(size=leaf.shape)) / 2, shapes)


@pytest.fixture(scope="module")
def gru():
    """The torso, its parameters and a sequence with two resets."""
    torso = GRU(hidden=(H,), activation=jnp.tanh)
    key = jax.random.key(0)
    x, first = jnp.zeros(F), jnp.zeros((), bool)
    params = random_like(jax.eval_shape(torso.init, key, x, first, jnp.zeros(H)))
    observation = jax.random.normal(key, (T, B, F))
    reset = jnp.zeros((T, B), bool).at[0, 0].set(True).at[2, 1].set(True)
    carry = jax.random.normal(jax.random.key(1), (B, H))
    return torso, params, observation, reset, carry


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def test_a_gru_follows_its_equations(gru):
    torso, params, observation, reset, carry = gru
    held = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    w_r, w_z, w_n = np.split(held["gates_input"]["kernel"], 3, axis=1)
    b_r, b_z, b_n = np.split(held["gates_input"]["bias"], 3)
    u_r, u_z, u_n = np.split(held["gates_memory"], 3, axis=1)
    h, expected = np.asarray(carry, np.float64), []
    for x, first in zip(np.asarray(observation, np.float64), np.asarray(reset), strict=True):
        h = np.where(first[:, None], 0.0, h)
        r, z = sigmoid(x @ w_r + h @ u_r + b_r), sigmoid(x @ w_z + h @ u_z + b_z)
        n = np.tanh(x @ w_n + b_n + r * (h @ u_n + held["candidate_bias"]))
        h = (1 - z) * n + z * h
        expected.append(h)
    unroll = jax.jit(lambda *inputs: torso.apply(params, *inputs, method="unroll"))
    features, carries = unroll(observation, reset, carry)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(features, carries)


def test_steps_one_by_one_are_the_sequence(gru):
    torso, params, observation, reset, carry = gru
    step = jax.jit(lambda *inputs: torso.apply(params, *inputs))
    whole, _ = torso.apply(params, observation, reset, carry, method="unroll")
    for t in range(T):
        features, carry = step(observation[t], reset[t], carry)
        np.testing.assert_allclose(features, whole[t], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(features, carry)


def test_a_memory_is_float32_in_any_type(gru):
    _, params, observation, reset, carry = gru
    torso = GRU(hidden=(H,), activation=jnp.tanh, dtype=jnp.bfloat16)
    assert torso.initial_carry(B).dtype == jnp.float32 and torso.initial_carry(B).shape == (B, H)
    features, carries = torso.apply(params, observation, reset, carry, method="unroll")
    exact, _ = gru[0].apply(params, observation, reset, carry, method="unroll")
    assert features.dtype == carries.dtype == jnp.float32
    assert 1e-4 < jnp.abs(features - exact).max() < 0.1  # rounded products, not a rounded memory


def test_dense_layers_come_before_the_memory():
    torso = GRU(hidden=(7, H), activation=jnp.tanh)
    x, first = jnp.zeros(F), jnp.zeros((), bool)
    shapes = jax.eval_shape(torso.init, jax.random.key(0), x, first, jnp.zeros(H))["params"]
    assert shapes["Dense_0"]["kernel"].shape == (F, 7)
    assert shapes["gates_input"]["kernel"].shape == (7, 3 * H)
    assert shapes["gates_memory"].shape == (H, 3 * H)


@pytest.mark.parametrize("dtype, tolerance", [(jnp.float32, 1e-5), (jnp.bfloat16, 0.05)])
@pytest.mark.parametrize("hidden", [(), (3,), (3, 2), (9, 2)], ids=str)  # 4 inputs: wide or narrow
def test_torsos_of_the_same_inputs_give_what_each_gives(hidden, dtype, tolerance):
    torso = MLP(hidden=hidden, activation=jnp.tanh, dtype=dtype)
    inputs = jax.random.normal(jax.random.key(0), (T, B, F))
    shapes = jax.eval_shape(torso.init, jax.random.key(0), inputs).get("params", {})
    params = [random_like(shapes, seed) for seed in range(3)]

    def apart(params, inputs):
        return [torso.apply({"params": one}, inputs) for one in params]

    def slopes(of_each):
        def total(*arguments):
            return sum((k + 1) * jnp.sum(x**2) for k, x in enumerate(of_each(*arguments)))

        return jax.grad(total, argnums=(0, 1))(params, inputs)

    for found, each in zip(torso.of_each(params, inputs), apart(params, inputs), strict=True):
        np.testing.assert_array_equal(found, each)
    close = partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    jax.tree.map(close, slopes(torso.of_each), slopes(apart))


def test_a_cnn_correlates_flattens_and_goes_on_dense():
    torso = CNN(channels=(2,), hidden=(3,), activation=jnp.tanh)
    image = jax.random.normal(jax.random.key(0), (B, 4, 5, 2))
    params = random_like(jax.eval_shape(torso.init, jax.random.key(0), image[0]))
    held = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params["params"])
    pixels, kernel = np.asarray(image, np.float64), held["Conv_0"]["kernel"]
    seen = np.zeros((B, 2, 3, 2))
    for i in range(2):
        for j in range(3):
            window = pixels[:, i : i + 3, j : j + 3]
            seen[:, i, j] = np.einsum("bhwc,hwcd->bd", window, kernel) + held["Conv_0"]["bias"]
    dense = held["Dense_0"]
    expected = np.tanh(np.tanh(seen).reshape(B, -1) @ dense["kernel"] + dense["bias"])
    apply = jax.jit(torso.apply)
    np.testing.assert_allclose(apply(params, image), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(torso.apply(params, image[0]), expected[0], rtol=1e-5, atol=1e-6)
    sequence = jnp.stack([image, image])
    np.testing.assert_allclose(torso.apply(params, sequence)[1], expected, rtol=1e-5, atol=1e-6)


def test_the_largest_layer_is_that_of_most_patches_and_outputs():
    # 8 x 8 places see 9 x 4 numbers and give 16; then 6 x 6 see 9 x 16 and give 2.
    assert CNN.largest_layer((10, 10, 4), (16,)) == 64 * (36 + 16)
    assert CNN.largest_layer((10, 10, 4), (16, 2)) == 36 * (144 + 2)
    assert CNN.largest_layer((3, 4), (5,)) == 2 * (9 + 5)


@pytest.mark.parametrize("dtype, places", [(jnp.float32, 1e-5), (jnp.bfloat16, 2e-2)], ids=str)
def test_a_product_with_patches_is_the_convolution_of_flax_and_has_its_slopes(dtype, places):
    image = jax.random.normal(jax.random.key(0), (B, 4, 6, 2))
    convolutions = Conv(5, dtype=dtype), nn.Conv(5, (3, 3), padding="VALID", dtype=dtype)
    shapes = [jax.eval_shape(one.init, jax.random.key(0), image) for one in convolutions]
    assert shapes[0] == shapes[1]
    direction = jax.random.normal(jax.random.key(1), (B, 2, 4, 5))

    def followed(one):
        return lambda params, image: (one.apply(params, image) * direction).sum()

    @jax.jit
    def both(params, image):
        seen = [one.apply(params, image) for one in convolutions]
        return seen, [
            jax.grad(followed(one), argnums=(0, 1))(params, image) for one in convolutions
        ]

    (seen, known), slopes = both(random_like(shapes[0]), image)
    assert seen.dtype == known.dtype == dtype
    np.testing.assert_allclose(seen.astype(float), known.astype(float), rtol=places, atol=places)
    for slope, expected in zip(*map(jax.tree.leaves, slopes), strict=True):
        np.testing.assert_allclose(slope, expected, rtol=places, atol=10 * places)


@pytest.mark.parametrize("depth", [0, 7])
def test_an_mlp_is_as_deep_as_it_is_told(depth):
    torso = MLP(hidden=(F,) * depth, activation=jax.nn.relu)
    x = jnp.linspace(0.1, 1.0, F)
    shapes = jax.eval_shape(torso.init, jax.random.key(0), x)
    assert len(shapes.get("params", {})) == depth
    identity = jax.tree.map(
        lambda leaf: jnp.eye(F) if leaf.ndim == 2 else jnp.full(leaf.shape, 0.5), shapes
    )
    np.testing.assert_allclose(torso.apply(identity, x), x + 0.5 * depth, rtol=1e-6)


def struct(shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def test_the_parts_of_an_observation_are_flattened_side_by_side():
    parts = {"a": struct((2, 2)), "b": struct((), jnp.int32), "c": struct((1,), bool)}
    read = inputs.flat(parts)
    shown = {
        "a": jnp.arange(8.0).reshape(2, 2, 2),
        "b": jnp.array([7, 9]),
        "c": jnp.array([[True], [False]]),
    }
    found = read(shown)
    np.testing.assert_array_equal(found, [[0, 1, 2, 3, 7, 1], [4, 5, 6, 7, 9, 0]])
    assert found.dtype == jnp.float32


def test_one_of_a_known_few_is_one_hot():
    read = inputs.flat(struct((), jnp.int32), Discrete(3))
    np.testing.assert_array_equal(read(jnp.array([[2, 0]])), [[[0, 0, 1], [1, 0, 0]]])
    assert read(jnp.array(1)).dtype == jnp.float32


def test_an_image_may_lack_its_channels():
    assert inputs.image(struct((10, 5)))(jnp.zeros((2, 10, 5), bool)).shape == (2, 10, 5, 1)
    found = inputs.image(struct((10, 10, 4), bool))(jnp.ones((10, 10, 4), bool))
    assert found.shape == (10, 10, 4) and found.dtype == jnp.float32


@pytest.mark.parametrize(
    "observation, shown",
    [
        (struct((4,)), r"\(4,\); use mlp or gru"),
        (struct((), jnp.int32), r"shape \(\)"),
        ([struct((5, 5)), struct((3,))], r"\(5, 5\) and \(3,\)"),
        (struct((10, 4, 1)), r"at least 5 x 5.*\(10, 4, 1\)"),
    ],
    ids=["vector", "number", "parts", "too small"],
)
def test_what_is_no_image_is_refused_by_a_cnn(observation, shown):
    with pytest.raises(ValueError, match=f"network.torso: .*{shown}"):
        inputs.image(observation, smallest=CNN.smallest_image((16, 16)))
