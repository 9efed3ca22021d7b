"""Environments whose optimum is known in closed form: what tests train on instead of a benchmark.

`Probe` is a whole family in one compiled program: which probe it is, how long an episode lasts and
whether its end is death or a time limit are traced parameters, so that all probes train side by
side as lanes. The seven kinds are those of Andy Jones, "Debugging reinforcement learning systems",
and two about time limits; each fails for one reason.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rl_surrogates.distributions import Categorical

CONSTANT, UNIFORM, TWO_STEPS, ARM, MATCH, ENDLESS, CLOCK = range(7)
DEATH, LIMIT = 0, 1
LANES = {  # kind, steps of an episode, how it ends
    "constant": (CONSTANT, 1, DEATH),
    "uniform": (UNIFORM, 1, DEATH),
    "two_steps": (TWO_STEPS, 2, DEATH),
    "arm": (ARM, 1, DEATH),
    "match": (MATCH, 1, DEATH),
    "endless": (ENDLESS, 8, LIMIT),
    "clock": (CLOCK, 8, DEATH),
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class ProbeParams:
    kind: Any = ENDLESS
    length: Any = 8  # steps of an episode
    limit: Any = 1  # 1: its end is a time limit; 0: death
    scale: Any = 1.0  # multiplies the reward


class ProbeState(NamedTuple):
    time: Any  # [] int32 steps done in this episode
    first: Any  # [] float32 uniform in [-1, 1], drawn when it began


@dataclasses.dataclass(frozen=True)
class Probe:
    """`types.Environment` without gymnax."""

    default_params: ProbeParams = ProbeParams()
    num_actions: int = 2
    max_steps_in_episode: int = 64

    def reset(self, key, params):
        state = ProbeState(jnp.int32(0), jax.random.uniform(key, (), minval=-1.0, maxval=1.0))
        return self.observe(state, params), state

    def observe(self, state, params):
        time, first = state.time.astype(jnp.float32), state.first
        shown = [0.0, first, 2.0 * time - 1.0, 0.0, jnp.sign(first), 0.0, time]
        return jnp.stack([jnp.asarray(one) for one in shown])[params.kind][None]

    def reward(self, state, action, params):
        chosen = 2.0 * action - 1.0
        end = (state.time == 1).astype(jnp.float32)
        paid = [1.0, state.first, end, action, -jnp.abs(chosen - jnp.sign(state.first)), 1.0, 1.0]
        return params.scale * jnp.stack([jnp.asarray(p, jnp.float32) for p in paid])[params.kind]

    def step(self, key, state, action, params):
        after = ProbeState(state.time + 1, state.first)
        ended = after.time >= params.length
        truncated = ended & (jnp.asarray(params.limit) == 1)
        final = self.observe(after, params)
        observation, fresh = self.reset(key, params)
        begun = jax.tree.map(
            lambda new, old: jnp.where(ended, new, old), (observation, fresh), (final, after)
        )
        return (
            *begun,
            self.reward(state, action, params),
            ended & ~truncated,
            truncated,
            {"final_observation": final},
        )


@dataclasses.dataclass(frozen=True)
class FixedNetwork:
    """A `types.Network` that learns nothing: logits and values are given functions."""

    logits: Any  # observation -> [..., A]
    values: Any = None  # observation -> [...]; 0 where not given
    recurrent: bool = False

    def init(self, key, observation):
        return {"policy": {}, "value": {"unused": jnp.zeros(())}}

    def initial_carry(self, num_envs):
        return ()

    def __call__(self, params, observation, reset, carry):
        value = jnp.zeros(reset.shape) if self.values is None else self.values(observation)
        return Categorical(self.logits(observation)), value, carry

    unroll = __call__


@dataclasses.dataclass(frozen=True)
class Accumulator:
    """A recurrent `types.Network` whose memory `[B]` is the sum of an episode's observations."""

    num_actions: int = 2
    recurrent: bool = True

    def init(self, key, observation):
        key_policy, key_value = jax.random.split(key)
        return {
            "policy": {"kernel": 0.1 * jax.random.normal(key_policy, (2, self.num_actions))},
            "value": {"kernel": 0.1 * jax.random.normal(key_value, (2,))},
        }

    def initial_carry(self, num_envs):
        return jnp.zeros(num_envs)

    def __call__(self, params, observation, reset, carry):
        carry = jnp.where(reset, 0.0, carry) + observation[..., 0]
        features = jnp.stack([observation[..., 0], carry], axis=-1)
        logits = features @ params["policy"]["kernel"]
        return Categorical(logits), features @ params["value"]["kernel"], carry

    def unroll(self, params, observation, reset, carry):
        """The carries returned are those after each step, as `judge` asks for."""

        def step(carry, inputs):
            distribution, value, carry = self(params, *inputs, carry)
            return carry, (distribution, value, carry)

        return jax.lax.scan(step, carry, (observation, reset))[1]
