"""What can be drawn before a step is taken? The episode that follows, should this one end.

gymnax's step starts a fresh episode at every step and keeps it where the old one ended. What it
starts depends on the key alone, so a rollout may draw the fresh episodes of all its steps at once,
outside its loop: the same bits, and most of the random numbers gone from the one place in a
training where little is computed at a time.
"""

import sys
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rl_surrogates.types import Array, Environment

LARGEST_FRESH = 256  # bytes of an observation and state that are worth keeping for every step


class Chance(NamedTuple):
    """What one step of one environment leaves to chance."""

    key: Array  # [] of the step
    fresh: Any  # (observation, state) of the next episode; None: the step draws it


def draw(env: Environment, key: Array, key_reset: Array, params: Any) -> Chance:
    """What a step leaves to chance, drawn before it where it can be; consumes both keys.

    Args:
      env: whose step it is.
      key: of the step.
      key_reset: of the episode that follows; not used where the step draws that as well.
      params: of the environment.
    """
    if not _resets_as_gymnax(env) or _fresh_bytes(env, params) > LARGEST_FRESH:
        return Chance(key, None)
    return Chance(key, env.reset_env(key_reset, params))


def step(env: Environment, chance: Chance, state: Any, action: Array, params: Any) -> tuple:
    """`env.step` with the key from which `chance` was drawn; rewards float32, ends bool."""
    own = env.step if chance.fresh is None else partial(_step_into, env, chance.fresh)
    *begun, reward, terminated, truncated, info = own(chance.key, state, action, params)
    reward = reward.astype(jnp.float32)
    return *begun, reward, terminated.astype(bool), truncated.astype(bool), info


def _step_into(
    env: Environment, fresh: Any, key: Array, state: Any, action: Array, params: Any
) -> tuple:
    """The step of gymnax's base class, with the fresh episode given."""
    observation, state, reward, terminated, info = env.step_env(key, state, action, params)
    truncated = env.is_truncated(state, params)
    begun = jax.tree.map(
        partial(jax.lax.select, terminated | truncated), fresh, (observation, state)
    )
    return *begun, reward, terminated, truncated, {**info, "final_observation": observation}


def _resets_as_gymnax(env: Environment) -> bool:
    """Whether `env.step` is that of gymnax's base class: step, then a fresh episode where done."""
    base = sys.modules.get("gymnax.environments.environment")  # not imported: not one of its
    return base is not None and getattr(type(env), "step", None) is base.Environment.step


def _fresh_bytes(env: Environment, params: Any) -> int:
    shapes = jax.tree.leaves(jax.eval_shape(env.reset_env, jax.random.key(0), params))
    return sum(leaf.size * leaf.dtype.itemsize for leaf in shapes)
