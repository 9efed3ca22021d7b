"""A policy leaves and comes back: the same actions, and nothing else than arrays and text."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl_surrogates import load_policy, make_program, normalisation, save_policy
from rl_surrogates.config import Config
from rl_surrogates.store import StoreError
from tests.probes import CLOCK, Probe, ProbeParams

PENDULUM = {
    "env": {"name": "Pendulum-v1", "params": {"max_torque": 1.5}},
    "network": {"hidden": [4], "head": "tanh_gaussian"},
    "normalise": {"observations": True, "rewards": True},
    "objective": {"name": "spo", "epsilon": 0.3},
    "num_envs": 2,
    "num_steps": 8,
    "total_timesteps": 16,
    "ascent": {"num_epochs": 1, "num_minibatches": 1, "learning_rate": 0.1},
}


@pytest.fixture(scope="module")
def trained():
    """A program and a state of it that has seen some observations."""
    program = make_program(Config(**PENDULUM))
    state = jax.jit(program.init)(jax.random.key(0), program.config.hypers())
    seen = 3.0 + 2.0 * jax.random.normal(jax.random.key(1), (50, 3))
    moments = normalisation.merge(state.normaliser.observation, seen)
    return program, state._replace(normaliser=state.normaliser._replace(observation=moments))


@pytest.fixture
def saved(trained, tmp_path):
    program, state = trained
    save_policy(tmp_path / "policy", program.config, state)
    return tmp_path / "policy"


def test_a_policy_acts_as_it_did_in_training(trained, saved):
    program, state = trained
    policy = load_policy(saved)
    assert policy.config == program.config
    observation = jnp.array([[1.0, 0.0, 7.0], [0.0, -1.0, -7.0]])
    network = program.acting_network(state.actor)
    pi, _, _ = network(state.learner.params, observation, jnp.zeros(2, bool), ())
    np.testing.assert_array_equal(policy(observation), 1.5 * jnp.tanh(pi.mean))
    key = jax.random.key(3)
    np.testing.assert_array_equal(policy(observation, key), 1.5 * jnp.tanh(pi.sample(key)))
    assert policy(observation[0]).shape == (1,)
    assert float(jnp.abs(policy(observation) - policy(observation, key)).max()) > 0.0


def test_a_policy_of_an_object_is_read_back_with_that_object(tmp_path):
    env = Probe(ProbeParams(kind=CLOCK, length=3))
    config = Config(network={"hidden": [4]}, num_envs=2)
    program = make_program(config, env=env)
    state = jax.jit(program.init)(jax.random.key(0), config.hypers())
    save_policy(tmp_path / "policy", config, state)
    action = load_policy(tmp_path / "policy", env=env)(jnp.ones((5, 1)), jax.random.key(0))
    assert action.shape == (5,) and action.dtype == jnp.int32
    with pytest.raises(StoreError, match=r"kernel.*is \(\(1, 4\).*not \(\(4, 4\)"):
        load_policy(tmp_path / "policy")  # CartPole-v1, which it was not trained on


def test_a_memory_is_handed_on(tmp_path):
    config = Config(network={"torso": "gru", "hidden": [4]}, num_envs=2, num_steps=4,
                    ascent={"num_minibatches": 1})  # fmt: skip
    program = make_program(config)
    state = jax.jit(program.init)(jax.random.key(0), config.hypers())
    save_policy(tmp_path / "policy", config, state)
    policy = load_policy(tmp_path / "policy")
    observation, reset = jnp.ones((3, 4)), jnp.ones(3, bool)
    action, carry = policy.step(observation, reset, policy.start(3))
    assert action.shape == (3,)
    assert any(float(jnp.abs(leaf).max()) > 0.0 for leaf in jax.tree.leaves(carry))
    with pytest.raises(ValueError, match="policy.step"):
        policy(observation)


def test_the_file_is_text_and_arrays(saved):
    data = saved.read_bytes()
    length = int.from_bytes(data[8:16], "little")
    header = json.loads(data[16 : 16 + length])
    assert header["about"]["config"]["env"]["name"] == "Pendulum-v1"
    names = [name for name, _, _ in header["arrays"]]
    assert any("log_std" in name for name in names) and any("variance" in name for name in names)
    assert not any("running" in name for name in names)  # what scales rewards has no use here


@pytest.mark.parametrize("harm", ["missing", "cut", "pickle", "text"])
def test_what_is_no_policy_is_refused_by_its_name(saved, harm):
    data = saved.read_bytes()
    if harm == "missing":
        saved.unlink()
    else:
        other = {"cut": data[:-1], "pickle": b"\x80\x04\x95" + data, "text": b"{}"}
        saved.write_bytes(other[harm])
    with pytest.raises(StoreError, match=str(saved)):
        load_policy(saved)


def test_a_config_that_is_none_is_refused_with_what_is_wrong(saved):
    data = saved.read_bytes()
    length = int.from_bytes(data[8:16], "little")
    text = data[16 : 16 + length].replace(b"Pendulum-v1", b"Pendulum-v9")
    saved.write_bytes(data[:16] + text + data[16 + length :])
    with pytest.raises(StoreError, match="Pendulum-v9"):
        load_policy(saved)
