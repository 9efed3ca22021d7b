"""Networks: shapes, how they begin, and that policy and value share nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import make_network, networks
from rl_surrogates.config import Config
from rl_surrogates.networks import initialisers
from tests.probes import Probe


def network(observation=(4,), hidden=(16, 8), activation="tanh", num_actions=3):
    return networks.make(
        torso="mlp",
        hidden=hidden,
        activation=activation,
        policy_head=networks.CategoricalHead(num_actions),
        observation=jax.ShapeDtypeStruct(observation, jnp.float32),
    )


@pytest.fixture(scope="module")
def begun():
    """A network and its first parameters."""
    made = network()
    return made, jax.jit(made.init)(jax.random.key(0), jnp.zeros(4))


@pytest.mark.parametrize("batch", [(), (5,), (7, 5)], ids=str)
def test_any_batch_of_observations_gives_as_many_policies_and_values(begun, batch):
    made, params = begun
    pi, value, carry = made(params, jnp.ones((*batch, 4)), jnp.zeros(batch, bool), ())
    assert pi.logits.shape == (*batch, 3) and value.shape == batch and carry == ()


@pytest.mark.parametrize("shape", [(), (4,), (3, 2), (2, 3, 2)], ids=str)
def test_an_observation_of_any_shape_is_flattened(shape):
    made = network(shape)
    params = jax.jit(made.init)(jax.random.key(0), jnp.zeros(shape))
    assert made.value(params, jnp.ones((5, *shape))).shape == (5,)


def kernels(params, module):
    layers = params[module]
    hidden = [layers[name]["kernel"] for name in sorted(layers) if name != networks.HEAD]
    return hidden, layers[networks.HEAD]["kernel"]


def test_hidden_layers_begin_orthogonal_with_gain_root_two(begun):
    for module in ("policy", "value"):
        for kernel in kernels(begun[1], module)[0]:
            small = kernel @ kernel.T if kernel.shape[0] < kernel.shape[1] else kernel.T @ kernel
            np.testing.assert_allclose(small, 2.0 * np.eye(len(small)), atol=1e-5)


@pytest.mark.parametrize("module, gain", [("policy", 0.01), ("value", 1.0)])
def test_the_last_layer_begins_with_its_own_gain(begun, module, gain):
    head = kernels(begun[1], module)[1]
    np.testing.assert_allclose(head.T @ head, gain**2 * np.eye(head.shape[1]), atol=1e-6 * gain)


def test_biases_begin_at_zero_and_no_two_kernels_are_alike(begun):
    leaves = jax.tree_util.tree_leaves_with_path(begun[1])
    biases = [leaf for path, leaf in leaves if path[-1].key == "bias"]
    assert len(biases) == 6 and all((bias == 0).all() for bias in biases)
    policy, value = kernels(begun[1], "policy")[0], kernels(begun[1], "value")[0]
    assert all(jnp.abs(p - v).max() > 0.1 for p, v in zip(policy, value, strict=True))


def test_the_first_policy_is_nearly_uniform(begun):
    made, params = begun
    pi = made.policy(params, 3.0 * jax.random.normal(jax.random.key(1), (100, 4)))
    np.testing.assert_allclose(jnp.exp(pi.log_probs), 1 / 3, atol=0.02)


def test_another_key_gives_other_parameters(begun):
    made, params = begun
    other = made.init(jax.random.key(1), jnp.zeros(4))
    assert jnp.abs(kernels(other, "policy")[0][0] - kernels(params, "policy")[0][0]).max() > 0.1


def test_policy_and_value_share_no_parameter(begun):
    made, params = begun
    observation = jnp.ones((5, 4))
    of_value = jax.grad(lambda p: made.value(p, observation).sum())(params)
    of_policy = jax.grad(lambda p: made.policy(p, observation).logits[:, 0].sum())(params)
    for leaf in jax.tree.leaves((of_value["policy"], of_policy["value"])):
        assert (leaf == 0).all()
    assert jnp.abs(of_value["value"][networks.HEAD]["bias"]).sum() > 0
    assert jnp.abs(of_policy["policy"][networks.HEAD]["bias"]).sum() > 0


def test_without_a_memory_a_reset_means_nothing(begun):
    made, params = begun
    observation = jnp.ones((7, 5, 4))
    one = made.unroll(params, observation, jnp.zeros((7, 5), bool), ())
    other = made.unroll(params, observation, jnp.ones((7, 5), bool), ())
    np.testing.assert_array_equal(one[0].logits, other[0].logits)
    np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("activation", networks.ACTIVATIONS)
def test_every_activation_is_used(activation):
    made, params = network(activation=activation), network().init(jax.random.key(0), jnp.zeros(4))
    kernel, bias = params["value"][networks.HEAD]["kernel"], params["value"][networks.HEAD]["bias"]
    hidden = jnp.linspace(-1, 1, 4)
    for layer in kernels(params, "value")[0]:
        hidden = networks.ACTIVATIONS[activation](hidden @ layer)
    expected = (hidden @ kernel + bias)[0]
    np.testing.assert_allclose(
        made.value(params, jnp.linspace(-1, 1, 4)), expected, rtol=1e-4, atol=1e-6
    )


def test_an_unknown_torso_is_refused_by_name():
    with pytest.raises(ValueError, match="network.torso: 'cnm'"):
        networks.make(
            torso="cnm",
            hidden=(4,),
            activation="tanh",
            policy_head=networks.CategoricalHead(2),
            observation=jnp.zeros(4),
        )


def test_a_network_is_made_from_a_config_for_its_environment_or_another():
    cartpole = make_network(Config(network={"hidden": [8]}))
    assert cartpole.init(jax.random.key(0), jnp.zeros(4))["policy"]["head"]["kernel"].shape == (
        8,
        2,
    )
    probe = make_network(Config(network={"hidden": [8]}), env=Probe(num_actions=5))
    params = probe.init(jax.random.key(0), jnp.zeros(1))
    assert probe.policy(params, jnp.zeros((3, 1))).logits.shape == (3, 5)


def test_initial_parameters_are_made_without_the_thread_pool_of_lapack():
    # Two of its kernels at a time wait for each other on two cores, for ever.
    made, keys = network(), jax.random.split(jax.random.key(0), 8)
    program = jax.jit(jax.vmap(lambda key: made.init(key, jnp.zeros(4)))).lower(keys)
    assert "while" in program.as_text() and "lapack" not in program.as_text().lower()


def test_a_nearly_singular_draw_begins_orthonormal_all_the_same():
    draw = jnp.diag(jnp.array([1.0, 1e-3, 1e-6])) + 1e-9
    made = np.asarray(jax.jit(initialisers.orthonormal)(draw))
    np.testing.assert_allclose(made.T @ made, np.eye(3), atol=1e-6)


def test_orthonormal_is_the_polar_factor():
    draw = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    left, _, right = np.linalg.svd(draw, full_matrices=False)
    np.testing.assert_allclose(jax.jit(initialisers.orthonormal)(draw), left @ right, atol=2e-6)
    np.testing.assert_allclose(
        jax.jit(initialisers.orthonormal)(draw.T), (left @ right).T, atol=2e-6
    )
