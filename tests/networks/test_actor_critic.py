"""Policy and value function: shapes, how they begin, what they share and what they remember."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import make_network, networks
from rl_surrogates.config import Config
from tests.jaxprs import shapes_of_products
from tests.probes import Probe


def network(
    observation=(4,), hidden=(16, 8), activation="tanh", num_actions=3, torso="mlp", **settings
):
    return networks.make(
        torso=torso,
        hidden=hidden,
        activation=activation,
        policy_head=networks.CategoricalHead(num_actions),
        observation=jax.ShapeDtypeStruct(observation, jnp.float32),
        **settings,
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


def test_initial_parameters_are_made_without_the_thread_pool_of_lapack():
    # Two of its kernels at a time wait for each other on two cores, for ever.
    made, keys = network(), jax.random.split(jax.random.key(0), 8)
    program = jax.jit(jax.vmap(lambda key: made.init(key, jnp.zeros(4)))).lower(keys)
    assert "while" in program.as_text() and "lapack" not in program.as_text().lower()


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
    with pytest.raises(ValueError, match="network.torso: 'cnm'.*mlp, cnn, gru"):
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


def random_params(made, observation):
    """Parameters of the right shapes, none of them 0."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(made.init, jax.random.key(0), observation)
    return jax.tree.map(lambda leaf: jnp.float32(rng.normal(size=leaf.shape)) / 2, shapes)


@pytest.fixture(scope="module", params=["mlp", "gru"])
def shared(request):
    """A network with one torso, its first parameters, and arguments for one step of `[B]`."""
    made = network(torso=request.param, hidden=(8,), shared=True)
    params = random_params(made, jnp.zeros(4))
    observation = jax.random.normal(jax.random.key(2), (5, 4))
    carry = jax.tree.map(lambda leaf: leaf + 0.5, made.initial_carry(5))
    return made, params, (observation, jnp.zeros(5, bool), carry)


def test_a_shared_torso_is_moved_by_both_and_the_heads_by_their_own(shared):
    made, params, inputs = shared
    of_policy = jax.grad(lambda p: made(p, *inputs)[0].logits[:, 0].sum())(params)
    of_value = jax.grad(lambda p: made(p, *inputs)[1].sum())(params)
    assert sorted(params) == ["policy", "torso", "value"] and list(params["value"]) == ["head"]
    for gradient, own, other in ((of_policy, "policy", "value"), (of_value, "value", "policy")):
        assert all(jnp.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient["torso"]))
        assert jnp.abs(gradient[own]["head"]["kernel"]).max() > 0
        assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient[other]))


def test_a_shared_torso_is_computed_once(shared):
    made, params, inputs = shared
    alone = network(torso="gru" if made.recurrent else "mlp", hidden=(8,))
    begun = jax.eval_shape(alone.init, jax.random.key(0), jnp.zeros(4))
    other = alone.initial_carry(5)
    both = str(jax.make_jaxpr(made)(params, *inputs)).count("tanh")
    apart = str(jax.make_jaxpr(alone)(begun, *inputs[:2], other)).count("tanh")
    assert 2 * both == apart


@pytest.fixture(scope="module")
def recurrent():
    """A GRU, its parameters, a sequence with a reset, and a carry that is not 0."""
    made = network(torso="gru", hidden=(8,))
    params = random_params(made, jnp.zeros(4))
    observation = jax.random.normal(jax.random.key(2), (6, 5, 4))
    reset = jnp.zeros((6, 5), bool).at[3, 1].set(True)
    return (
        made,
        params,
        observation,
        reset,
        jax.tree.map(lambda leaf: leaf + 0.5, made.initial_carry(5)),
    )


def test_policy_and_value_have_a_memory_each(recurrent):
    made, params, observation, reset, carry = recurrent
    assert made.recurrent and sorted(carry) == ["policy", "value"]
    _, _, after = made(params, observation[0], reset[0], carry)
    assert jnp.abs(after["policy"] - after["value"]).max() > 0.1


def test_policy_and_value_take_reset_and_carry(recurrent):
    made, params, observation, reset, carry = recurrent
    pi, value, _ = made(params, observation[3], reset[3], carry)
    alone = made.policy(params, observation[3], reset[3], carry)
    np.testing.assert_array_equal(alone.logits, pi.logits)
    np.testing.assert_array_equal(made.value(params, observation[3], reset[3], carry), value)
    fresh = made.value(params, observation[3], reset[3], made.initial_carry(5))
    np.testing.assert_array_equal(fresh == value, reset[3])  # only a reset forgets the carry


def test_a_memory_is_needed_where_there_is_one(recurrent):
    made, params, observation, _, _ = recurrent
    with pytest.raises(ValueError, match="reset and carry"):
        made.policy(params, observation[0])


def test_a_carry_may_have_any_batch(recurrent):
    """The true successors of a whole rollout are valued at once, each with its own carry."""
    made, params, observation, reset, carry = recurrent
    _, _, carries = made.unroll(params, observation, reset, carry)
    at_once = made.value(params, observation, jnp.zeros_like(reset), carries)
    third = jax.tree.map(lambda leaf: leaf[3], carries)
    alone = made.value(params, observation[3], jnp.zeros(5, bool), third)
    np.testing.assert_allclose(at_once[3], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("torso, shape", [("mlp", (4,)), ("cnn", (5, 5, 2)), ("gru", (4,))])
def test_log_probabilities_and_values_are_float32_whatever_the_torso_computes_in(torso, shape):
    made = network(shape, torso=torso, hidden=(8,), dtype="bfloat16", channels=(2,))
    params = jax.eval_shape(made.init, jax.random.key(0), jnp.zeros(shape))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    inputs = jnp.zeros((3, *shape)), jnp.zeros(3, bool), made.initial_carry(3)
    pi, value, carry = jax.eval_shape(made, params, *inputs)
    assert {leaf.dtype for leaf in jax.tree.leaves((pi, value, carry))} == {jnp.dtype("float32")}
    assert "bf16" in str(jax.make_jaxpr(made)(params, *inputs))


@pytest.mark.parametrize("initialisation", networks.INITIALISERS)
def test_seven_hidden_layers_keep_the_size_of_what_they_see(initialisation):
    made = network(hidden=(32,) * 7, initialisation=initialisation, activation="relu")
    params = jax.jit(made.init)(jax.random.key(0), jnp.zeros(4))
    values = made.value(params, jax.random.normal(jax.random.key(1), (200, 4)))
    assert 0.01 < jnp.std(values) < 10.0


def test_wide_inputs_of_both_torsos_are_multiplied_once_in_the_gradient():
    made = network((400,), hidden=(16,))
    observation, reset = jax.random.normal(jax.random.key(1), (5, 400)), jnp.zeros(5, bool)
    params = jax.jit(made.init)(jax.random.key(0), observation[0])

    def loss(params, of_value=1.0):
        pi, value, _ = made.unroll(params, observation, reset, ())
        return jnp.sum(pi.logits**2) + of_value * jnp.sum(value)

    def of_policy(policy):
        return loss({**params, "policy": policy}, of_value=0.0)

    both = shapes_of_products(jax.grad(loss), params)
    alone = shapes_of_products(jax.grad(of_policy), params["policy"])
    assert (32, 400) in both and (16, 400) not in both
    assert (16, 400) in alone and (32, 400) not in alone  # the value function is not in it


def test_a_number_out_of_a_few_is_seen_as_one_hot():
    lake = make_network(Config(env={"name": "FrozenLake-misc"}, network={"hidden": [8]}))
    kernel = jax.eval_shape(lake.init, jax.random.key(0), jnp.int32(0))["policy"]["Dense_0"][
        "kernel"
    ]
    assert kernel.shape == (16, 8)


def test_a_cnn_is_made_for_an_image_and_refused_for_a_vector():
    made = make_network(Config(env={"name": "Breakout-MinAtar"}, network={"torso": "cnn"}))
    params = jax.eval_shape(made.init, jax.random.key(0), jnp.zeros((10, 10, 4)))
    assert params["policy"]["Conv_0"]["kernel"].shape == (3, 3, 4, 16)
    with pytest.raises(ValueError, match="network.torso: .*use mlp or gru"):
        make_network(Config(network={"torso": "cnn"}))
