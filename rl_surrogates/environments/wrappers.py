"""What may stand between a policy and an environment? A time limit, several frames, sticky actions.

Each is a `types.Environment` around another, and keeps the promise that `info["final_observation"]`
is the true successor. None of them is there unless a config asks for it, so a plain environment
draws the keys that it always drew. The order is fixed: time limit innermost, sticky actions
outermost.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from rl_surrogates import spaces
from rl_surrogates.environments import translate
from rl_surrogates.spaces import Box, MultiBinary, MultiDiscrete, Space
from rl_surrogates.types import Array, Environment

Step = tuple[Any, Any, Array, Array, Array, dict[str, Any]]


class StickyParams(NamedTuple):
    """The parameters of sticky actions around those of an environment."""

    inner: Any
    probability: Any  # [] of repeating the last action, in [0, 1]; may be traced


def wrap(env: Environment, *, max_steps: int | None, frame_stack: int, sticky: bool) -> Environment:
    """The environment with what is asked for around it; itself, if that is nothing."""
    if max_steps is not None:
        env = TimeLimit(env, max_steps)
    if frame_stack > 1:
        env = FrameStack(env, frame_stack)
    return Sticky(env) if sticky else env


@dataclasses.dataclass(frozen=True)
class Around:
    """What every wrapper takes from the environment inside."""

    env: Environment

    @property
    def default_params(self) -> Any:
        """Those of the environment inside."""
        return getattr(self.env, "default_params", None)

    @property
    def max_steps_in_episode(self) -> int | None:
        """The time limit of the environment inside, where that is no parameter of it."""
        return getattr(self.env, "max_steps_in_episode", None)


@dataclasses.dataclass(frozen=True)
class TimeLimit(Around):
    """Truncates an episode after `limit` steps, if it has not ended by itself before."""

    limit: int

    @property
    def max_steps_in_episode(self) -> int:
        """The limit."""
        return self.limit

    def action_space(self, params: Any) -> Space:
        """That of the environment inside."""
        return translate.action_space(self.env, params)

    def observation_space(self, params: Any) -> Space | None:
        """That of the environment inside."""
        return translate.observation_space(self.env, params)

    def reset(self, key: Array, params: Any) -> tuple[Any, Any]:
        """Starts an episode, and the count of its steps."""
        observation, state = self.env.reset(key, params)
        return observation, (state, jnp.zeros((), jnp.int32))

    def step(self, key: Array, state: Any, action: Array, params: Any) -> Step:
        """Acts once; starts the next episode where this one ended, or had its time."""
        key_step, key_reset = jax.random.split(key)
        inner, steps = state
        observation, inner, reward, terminated, truncated, info = self.env.step(
            key_step, inner, action, params
        )
        over = steps + 1 >= self.limit
        mine = over & ~(terminated | truncated)  # otherwise a new episode has begun already
        fresh = self.env.reset(key_reset, params)
        observation, inner = _where(mine, fresh, (observation, inner))
        steps = jnp.where(over | terminated | truncated, 0, steps + 1)
        return observation, (inner, steps), reward, terminated, truncated | mine, info


@dataclasses.dataclass(frozen=True)
class FrameStack(Around):
    """Shows the last `frames` observations of an episode, joined along their last axis.

    An episode begins with its first observation repeated. An action mask is not stacked: the last
    one counts.
    """

    frames: int

    def __post_init__(self) -> None:
        """Refuses observations that are one of n: several of them side by side are not."""
        shown = jax.eval_shape(self.env.reset, jax.random.key(0), self.default_params)[0]
        observation, _ = spaces.split_mask(shown)
        if any(leaf.ndim == 0 for leaf in jax.tree.leaves(observation)):
            raise ValueError(
                "env.frame_stack: an observation without an axis cannot be stacked; use 1, or "
                "network.torso: gru for a memory"
            )

    def action_space(self, params: Any) -> Space:
        """That of the environment inside."""
        return translate.action_space(self.env, params)

    def observation_space(self, params: Any) -> Box | MultiBinary | None:
        """That of the environment inside, side by side for every frame."""
        space = translate.observation_space(self.env, params)
        if not isinstance(space, Box | MultiBinary):
            return None
        shape = (*space.shape[:-1], self.frames * space.shape[-1])
        if isinstance(space, MultiBinary):
            return MultiBinary(shape)
        low, high = (
            jnp.concatenate([jnp.broadcast_to(bound, space.shape)] * self.frames, axis=-1)
            for bound in (space.low, space.high)
        )
        return Box(low, high, shape)

    def reset(self, key: Array, params: Any) -> tuple[Any, Any]:
        """Starts an episode."""
        shown, state = self.env.reset(key, params)
        observation, mask = spaces.split_mask(shown)
        frames = self._repeated(observation)
        return spaces.join_mask(_joined(frames), mask), (state, frames)

    def step(self, key: Array, state: Any, action: Array, params: Any) -> Step:
        """Acts once; the frames of an episode that ended are forgotten."""
        inner, frames = state
        shown, inner, reward, terminated, truncated, info = self.env.step(
            key, inner, action, params
        )
        observation, mask = spaces.split_mask(shown)
        final, final_mask = spaces.split_mask(info["final_observation"])
        after = jax.tree.map(lambda old, new: jnp.concatenate([old[1:], new[None]]), frames, final)
        info = {**info, "final_observation": spaces.join_mask(_joined(after), final_mask)}
        frames = _where(terminated | truncated, self._repeated(observation), after)
        shown = spaces.join_mask(_joined(frames), mask)
        return shown, (inner, frames), reward, terminated, truncated, info

    def _repeated(self, observation: Any) -> Any:
        """`[...]` -> `[frames, ...]`."""
        return jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (self.frames, *leaf.shape)), observation
        )


@dataclasses.dataclass(frozen=True)
class Sticky(Around):
    """Repeats the action that was last done, with a probability; never the first of an episode.

    Source: Machado et al. 2018, arXiv:1709.06009, section 5.2.
    """

    def __post_init__(self) -> None:
        """Refuses action masks: what was legal once need not be legal when it is repeated."""
        shown = jax.eval_shape(self.env.reset, jax.random.key(0), self.default_params)[0]
        if spaces.split_mask(shown)[1] is not None:
            raise ValueError(
                f"env.sticky: {type(self.env).__name__} masks actions, and a repeated one may be "
                "forbidden; use null"
            )

    def action_space(self, params: StickyParams) -> Space:
        """That of the environment inside."""
        return translate.action_space(self.env, params.inner)

    def observation_space(self, params: StickyParams) -> Space | None:
        """That of the environment inside."""
        return translate.observation_space(self.env, params.inner)

    def reset(self, key: Array, params: StickyParams) -> tuple[Any, Any]:
        """Starts an episode; there is nothing to repeat yet."""
        observation, inner = self.env.reset(key, params.inner)
        nothing = _any_action(self.action_space(params))
        return observation, (inner, nothing, jnp.zeros((), bool))

    def step(self, key: Array, state: Any, action: Array, params: StickyParams) -> Step:
        """Acts once, or once more as before."""
        key_step, key_repeat = jax.random.split(key)
        inner, last, begun = state
        repeat = begun & jax.random.bernoulli(key_repeat, params.probability)
        done = jnp.where(repeat, last, action).astype(last.dtype)
        observation, inner, *rest = self.env.step(key_step, inner, done, params.inner)
        ended = rest[1] | rest[2]
        return observation, (inner, done, ~ended), *rest


def _where(condition: Array, yes: Any, no: Any) -> Any:
    return jax.tree.map(lambda y, n: jnp.where(condition, y, n), yes, no)


def _joined(frames: Any) -> Any:
    """`[frames, ..., A]` -> `[..., frames * A]`, oldest first."""
    return jax.tree.map(lambda leaf: jnp.concatenate(list(leaf), axis=-1), frames)


def _any_action(space: Space) -> Array:
    if isinstance(space, Box):
        return jnp.zeros(space.shape, jnp.float32)
    shape = (len(space.sizes),) if isinstance(space, MultiDiscrete) else ()
    return jnp.zeros(shape, jnp.int32)
