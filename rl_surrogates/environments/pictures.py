"""How does an episode become something to look at? Through gymnax's visualizer, as a GIF."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl_surrogates.environments.names import DRAWN
from rl_surrogates.environments.wrappers import Around, StickyParams
from rl_surrogates.types import Environment

EXTRA = "pip install 'rl-surrogates[render]'"


def check_drawable(env: Environment) -> None:
    """Refuses, before an episode is played, an environment of which gymnax has no picture.

    Raises:
      ValueError: with those of which it has one.
    """
    name = getattr(_innermost(env), "name", type(_innermost(env)).__name__)
    if name not in DRAWN:
        raise ValueError(f"env.name: gymnax draws no {name}; it draws {', '.join(DRAWN)}")


def save_gif(
    path: str | os.PathLike,
    env: Environment,
    params: Any,
    states: Sequence[Any],
    returns: Sequence[float],
) -> None:
    """Draws one frame per state, with the return so far above it.

    Args:
      path: ends in .gif.
      env: as `make`, `resolve` or `wrap` gave it. params: its parameters.
      states: of `env`, one per step, no batch axis.
      returns: sum of the rewards until after that step, raw.

    Raises:
      ValueError: no GIF, no picture of this environment, or a package that is not installed.
    """
    if Path(path).suffix != ".gif":
        raise ValueError(f"{path}: an episode is drawn as a GIF; let its name end in .gif")
    check_drawable(env)
    while isinstance(env, Around):  # each wrapper keeps the state inside as its first part
        env, states = env.env, [state[0] for state in states]
    inner = params.inner if isinstance(params, StickyParams) else params
    import gymnasium
    from gymnax.visualize import Visualizer, vis_gym

    try:
        if env.name in vis_gym.SUPPORTED_GYM_ENVS:  # a frame ahead: the writer hides why one fails
            vis_gym.render_gym_frame(env.name, states[0], inner)
        Visualizer(env, inner, states, returns).animate(str(path))
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{env.name} cannot be drawn: {reason}; {EXTRA}") from None


def _innermost(env: Environment) -> Environment:
    return _innermost(env.env) if isinstance(env, Around) else env
