"""Something to remember and nothing to see: shuffled sequences, or a leaking carry, fail here."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from rl_surrogates import make_program
from rl_surrogates.config import Config

SEQUENCE = (7, 2, 9, 0, 4)


@dataclasses.dataclass(frozen=True)
class FixedSequence:
    """Pays 1 for each of five actions out of ten, in a fixed order; the observation is always 0.

    Source: the test environment of OpenAI Baselines.
    """

    num_actions: int = 10
    default_params: Any = None

    def reset(self, key, params):
        return jnp.zeros(1), jnp.int32(0)

    def step(self, key, state, action, params):
        reward = (action == jnp.array(SEQUENCE)[state]).astype(jnp.float32)
        terminated = state + 1 == len(SEQUENCE)
        info = {"final_observation": jnp.zeros(1)}
        after = jnp.where(terminated, 0, state + 1)
        return jnp.zeros(1), after, reward, terminated, jnp.zeros((), bool), info


def shares(torso):
    """The share of right actions in the last updates of 50 000 steps, for three seeds."""
    config = Config(
        network={"torso": torso, "hidden": [32]},
        num_envs=16,
        num_steps=20,
        total_timesteps=50_000,
        ascent={"learning_rate": 5e-3, "num_minibatches": 4},
    )
    program = make_program(config, env=FixedSequence())
    train = jax.jit(jax.vmap(program.train, in_axes=(0, None)))
    _, metrics = train(jax.random.split(jax.random.key(0), 3), config.hypers())
    return metrics["episode_return"][:, -10:].mean(axis=1) / len(SEQUENCE)


@pytest.mark.slow
def test_a_gru_learns_a_sequence_by_heart():
    assert shares("gru").min() >= 0.7


@pytest.mark.slow
def test_without_a_memory_one_action_is_right_once():
    assert shares("mlp").max() <= 0.25
