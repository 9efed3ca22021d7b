"""Which actions does an environment take, and how does a policy's action become one of them?

`Discrete(n)`, `MultiDiscrete(sizes)` and `Box(low, high, shape)` describe an action; networks read
from them which head fits. A policy acts in its own units, in which [-1, 1] is the whole range of a
bounded component: its log-probability is that of the sample that it drew. `to_environment`
translates the sample on its way out, so scaling and clipping never touch a log-probability.

An environment says which actions a state allows by a part `action_mask` of its observation: so the
mask reaches whatever the observation reaches, and what a network sees is the rest.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from rl_surrogates.types import Array, Scalar


class Discrete(NamedTuple):
    """One of the whole numbers 0 to n - 1."""

    n: int

    def __str__(self) -> str:
        """As a reader would write it."""
        return f"Discrete({self.n})"


class MultiDiscrete(NamedTuple):
    """One whole number per factor: 0 to sizes[k] - 1 for factor k."""

    sizes: tuple[int, ...]

    def __str__(self) -> str:
        """As a reader would write it."""
        return f"MultiDiscrete({self.sizes})"


class Box(NamedTuple):
    """Real numbers between `low` and `high`, which may be infinite, and traced."""

    low: Array | Scalar  # broadcastable to shape, in units of the environment
    high: Array | Scalar  # the same, > low
    shape: tuple[int, ...] = (1,)

    @property
    def size(self) -> int:
        """How many numbers an action has."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        """As a reader would write it: one number for equal bounds."""
        ends = [sorted(set(np.ravel(end).tolist())) for end in (self.low, self.high)]
        low, high = (f"{end[0]:.4g}" if len(end) == 1 else f"{end}" for end in ends)
        return f"Box({low} to {high}, shape {self.shape})"


class MultiBinary(NamedTuple):
    """Zeros and ones; a space of observations, which no policy acts in."""

    shape: tuple[int, ...]


Space = Discrete | MultiDiscrete | Box
ACTION_MASK = "action_mask"


def to_environment(space: Space, action: Array) -> Array:
    """What the environment is handed for the policy's action.

        clip(centre + half_range action, low, high)        in a bounded component of a Box

    with centre 0 and half_range 1 where a bound is infinite. Whole numbers stay as they are.

    Args:
      space: the environment's, with the bounds of its present parameters.
      action: `[..., A]` of the policy, A = `space.size`; whole numbers where the space is discrete.

    Returns:
      `[..., *space.shape]` in units of the environment, inside the bounds.
    """
    if not isinstance(space, Box):
        return action
    low, high = (jnp.asarray(bound, jnp.float32) for bound in (space.low, space.high))
    bounded = jnp.isfinite(low) & jnp.isfinite(high)
    # Infinite bounds are replaced before the arithmetic: inf - inf would be NaN.
    half_range = jnp.where(bounded, 0.5 * (jnp.where(bounded, high - low, 2.0)), 1.0)
    centre = jnp.where(bounded, 0.5 * (jnp.where(bounded, high + low, 0.0)), 0.0)
    action = action.reshape(*action.shape[:-1], *space.shape)
    return jnp.clip(centre + half_range * action, low, high)


def to_storage(space: Space | MultiBinary | None, observation: Any) -> Any:
    """What a rollout keeps of an observation: zeros and ones as bool, a quarter of their size.

    The conversion is exact: whoever reads them back as float32 reads the same numbers. Everything
    else is kept as it is.
    """
    if not isinstance(space, MultiBinary):
        return observation
    return jax.tree.map(
        lambda leaf: leaf != 0 if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, observation
    )


def split_mask(observation: Any) -> tuple[Any, Any]:
    """An observation without its action mask, and the mask; as it is, and None, where it has none.

    Args:
      observation: a mapping or a NamedTuple with a part `action_mask`, or anything else. The mask
        is bool, True = allowed: `[..., n]` for `Discrete(n)`, for `MultiDiscrete` a tuple of those.

    Returns:
      The other parts, as a dictionary by name, and the mask.
    """
    named = observation._asdict() if hasattr(observation, "_asdict") else observation
    if not isinstance(named, Mapping) or ACTION_MASK not in named:
        return observation, None
    return {name: part for name, part in named.items() if name != ACTION_MASK}, named[ACTION_MASK]


def join_mask(observation: Any, mask: Any) -> Any:
    """What `split_mask` took apart."""
    return observation if mask is None else {**observation, ACTION_MASK: mask}


def check_mask(mask: Any, space: Space) -> None:
    """Refuses, before anything is compiled, a mask that is none for these actions.

    Args:
      mask: shapes and types of one observation's mask, without batch axes; None: there is none.
      space: the actions.

    Raises:
      ValueError: with the shapes that fit.
    """
    if mask is None:
        return
    sizes = {Discrete: lambda: [space.n], MultiDiscrete: lambda: space.sizes}
    if type(space) not in sizes:
        raise ValueError(f"env.name: {ACTION_MASK} allows some of n actions; {space} has no n")
    leaves, expected = jax.tree.leaves(mask), [(n,) for n in sizes[type(space)]()]
    is_tuple = isinstance(mask, tuple) == isinstance(space, MultiDiscrete)
    if is_tuple and [(tuple(m.shape), m.dtype) for m in leaves] == [(s, bool) for s in expected]:
        return
    found = ", ".join(f"{tuple(leaf.shape)} {leaf.dtype}" for leaf in leaves)
    fitting = expected[0] if isinstance(space, Discrete) else f"a tuple of {expected}"
    raise ValueError(f"env.name: {ACTION_MASK} is {found}; for {space} it is {fitting} bool")
