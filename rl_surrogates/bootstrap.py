"""From which values are returns bootstrapped? V of the true successor s' of every step.

Inside an episode s' is the observation of the next step, whose value is known. A value of its own
is needed only where a time limit cut the episode, and after the last step of the rollout: a few in
a hundred, so that a second pass of the value function over a whole rollout is saved.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from rl_surrogates import loop
from rl_surrogates.types import Array, Network, Params, Transition


def values(
    network: Network, params: Params, transitions: Transition, carry: Any
) -> tuple[Array, Array]:
    """`[T, B]` V(s_t) and V(s_{t+1}) before any reset, units of return.

    The second is of no meaning where s_{t+1} is absorbing.

    Args:
      network: whose V.
      params: of the network.
      transitions: `[T, B, ...]` a rollout.
      carry: `[B, ...]` of a recurrent network before the first step; () otherwise.
    """
    seen = transitions.observation, transitions.reset
    _, value, carries = loop.unroll(network, params, *seen, carry)
    return value, next_values(network, params, transitions, value, carries)


def next_values(
    network: Network, params: Params, transitions: Transition, value: Array, carries: Any
) -> Array:
    """`[T, B]` V(s_{t+1}) before any reset, units of return; of no meaning where s_{t+1} is
    absorbing.

    Args:
      network: whose V.
      params: of the network.
      transitions: `[T, B, ...]` a rollout.
      value: `[T, B]` V(s_t).
      carries: `[T, B, ...]` of a recurrent network after each step; () otherwise.
    """
    num_steps, num_envs = value.shape
    size, together = value.size, math.ceil(num_steps / loop.PARTS) * num_envs
    own = transitions.truncated.at[-1].set(True).ravel()
    # The numbers of these steps, smallest first; after them one that no step has.
    steps = jnp.sort(jnp.where(own, jnp.arange(size), size))
    steps = jnp.pad(steps, (0, -size % together), constant_values=size)
    seen = transitions.next_observation, jnp.zeros_like(transitions.reset), carries
    seen = jax.tree.map(lambda leaf: leaf.reshape(size, *leaf.shape[2:]), seen)

    def of_part(part: Array, values: Array) -> Array:
        chosen = jax.lax.dynamic_slice_in_dim(steps, part * together, together)
        # With the carry that led there: nothing is reset yet.
        after = jax.tree.map(lambda leaf: leaf.at[chosen].get(mode="clip"), seen)
        _, found, _ = network(params, *after)
        return values.at[chosen].set(found, mode="drop")

    known = jnp.roll(value, -1, axis=0).ravel()
    parts = -(-jnp.sum(own) // together)
    return jax.lax.fori_loop(0, parts, of_part, known).reshape(value.shape)
