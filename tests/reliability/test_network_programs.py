"""Whole trainings, all torsos and observations: the ratio begins at 1, and the policy moves."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from rl_surrogates import make_program
from rl_surrogates.config import Config
from tests.probes import MATCH, Probe, ProbeParams


@dataclasses.dataclass(frozen=True)
class Picture(Probe):
    """A probe whose one number is seen as an image of one colour."""

    default_params: ProbeParams = ProbeParams(kind=MATCH, length=1)

    def observe(self, state, params):
        return jnp.broadcast_to(super().observe(state, params), (3, 3, 1))


@dataclasses.dataclass(frozen=True)
class Parts(Probe):
    """A probe that shows its number in one of several parts, of other shapes and types."""

    default_params: ProbeParams = ProbeParams(kind=MATCH, length=1)

    def observe(self, state, params):
        number = super().observe(state, params)
        return {"blank": jnp.ones((2, 2), bool), "shown": (number, jnp.int32(state.time))}


KINDS = {
    "cnn shared": {"torso": "cnn", "channels": [4], "hidden": [8], "shared": True},
    "cnn bfloat16": {"torso": "cnn", "channels": [4], "hidden": [8], "dtype": "bfloat16"},
    "mlp bfloat16": {"hidden": [8], "dtype": "bfloat16"},
    "gru bfloat16": {"torso": "gru", "hidden": [8], "dtype": "bfloat16"},
    "seven layers": {"hidden": [8] * 7},
    "no layer, lecun": {"hidden": [], "initialisation": "lecun"},
    "parts": {"hidden": [8]},
    "parts, gru": {"torso": "gru", "hidden": [8]},
}
QUICK = ("cnn shared", "parts")


@pytest.mark.parametrize(
    "kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_the_ratio_begins_at_one_and_the_policy_moves(kind):
    config = Config(
        network=KINDS[kind],
        num_envs=16,
        num_steps=8,
        total_timesteps=16 * 8 * 20,
        ascent={"num_epochs": 2, "num_minibatches": 2, "learning_rate": 0.02},
    )
    program = make_program(config, env=Parts() if kind.startswith("parts") else Picture())
    _, metrics = jax.jit(program.train)(jax.random.key(0), config.hypers())
    assert bool(metrics["finite"].all()) and metrics["approx_kl"].max() > 1e-5
    # A torso that rounds to 8 bits rounds the same way where one kernel computes both.
    assert metrics["first_ratio_error"].max() <= (1e-2 if "bfloat16" in kind else 1e-5)
    assert metrics["episode_return"][-5:].mean() > -0.3  # the best is 0, a coin has -1
