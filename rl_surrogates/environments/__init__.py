"""Where does experience come from?

`make(name)` gives a `types.Environment`: gymnax's environments by name, installed ones by entry
point (group `rl_surrogates.environments`). `resolve` takes a user's own object as it is. gymnax is
imported here and nowhere else, and only when an environment is made.

A time limit is not death: `truncated` ends the episode, `terminated` says that nothing follows.
gymnax 1.0 tells the two apart and gives the true successor in `info["final_observation"]`; older
versions did neither, so figures measured with them are not comparable.
"""

import dataclasses
import difflib
import inspect
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import jax

from rl_surrogates.environments.chance import Chance, draw, step
from rl_surrogates.environments.deferral import deferred
from rl_surrogates.environments.names import (
    ENVIRONMENT_NAMES,
    GROUP,
    PREFIX,
    PURPOSES,
    known,
    names,
)
from rl_surrogates.environments.pictures import check_drawable, save_gif
from rl_surrogates.environments.translate import action_space, observation_space
from rl_surrogates.environments.wrappers import Sticky, StickyParams, wrap
from rl_surrogates.spaces import Discrete
from rl_surrogates.types import Environment

__all__ = [
    "ENVIRONMENT_NAMES",
    "Chance",
    "action_space",
    "check_drawable",
    "describe",
    "draw",
    "known",
    "make",
    "max_episode_steps",
    "names",
    "observation_space",
    "resolve",
    "save_gif",
    "step",
    "with_params",
    "wrap",
]

MAX_EPISODE_STEPS = 10_000  # where neither the environment nor its parameters know a limit


def make(name: str, **kwargs: Any) -> Environment:
    """The environment of that name, made with these arguments of its constructor.

    Raises:
      ValueError: no such name (the nearest ones are given), arguments that it cannot be made with,
        or no data where it reads some.
    """
    bare = name.removeprefix(PREFIX)
    if bare in ENVIRONMENT_NAMES:
        return resolve(_from_gymnax(bare, kwargs))
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return resolve(_made(name, entry.load(), kwargs))
    near = difflib.get_close_matches(name, names(), n=3)
    raise ValueError(
        f"env.name: {name!r} is not an environment; nearest: {', '.join(near) or 'none'}"
    )


def resolve(env: Any) -> Environment:
    """The environment itself, a gymnax one or a user's own, if it can be one.

    Raises:
      ValueError: an object that lacks a part of `types.Environment`, which is named.
    """
    kind = type(env).__name__
    for name in ("reset", "step"):
        if not callable(getattr(env, name, None)):
            raise ValueError(f"{kind} has no {name}: an environment has reset and step")
    if not (hasattr(env, "action_space") or hasattr(env, "num_actions")):
        raise ValueError(
            f"{kind} has no action_space and no num_actions: an environment says what actions it "
            "takes, by num_actions = n, or by action_space(params), which gives one of `spaces`"
        )
    return env


def with_params(env: Environment, numbers: dict[str, Any], sticky: Any = None) -> Any:
    """The environment's default parameters with some numbers replaced; the numbers may be traced.

    Args:
      env: as `make`, `resolve` or `wrap` gave it.
      numbers: by the names of its parameters.
      sticky: the probability of repeating an action, where `env` has sticky actions.

    Raises:
      ValueError: a parameter that the environment does not have.
    """
    params = getattr(env, "default_params", None)
    for name in numbers:
        if not hasattr(params, name):
            fields = getattr(params, "_fields", None) or vars(params) if params else ()
            there = ", ".join(sorted(fields)) or "none"
            raise ValueError(f"env.params.{name}: no such parameter; there are {there}")
    typed = {
        k: v if isinstance(getattr(params, k), float) else _as_int(v) for k, v in numbers.items()
    }
    if numbers:
        is_tuple = hasattr(params, "_replace")
        params = params._replace(**typed) if is_tuple else dataclasses.replace(params, **typed)
    return StickyParams(params, sticky) if isinstance(env, Sticky) else params


def max_episode_steps(env: Environment, params: Any) -> Any:
    """Steps after which an evaluation gives up waiting for the end of an episode."""
    holders = (params.inner if isinstance(params, StickyParams) else params, env)
    limits = [getattr(holder, "max_steps_in_episode", None) for holder in holders]
    return next((limit for limit in limits if limit is not None), MAX_EPISODE_STEPS)


class Description(NamedTuple):
    """What one may want to know of an environment before choosing it."""

    name: str
    actions: str
    observations: str
    limit: str  # steps of an episode at most
    purpose: str


def describe(name: str) -> Description:
    """Spaces, time limit and purpose of an environment; blank where it cannot be made."""
    purpose = PURPOSES.get(name.removeprefix(PREFIX), "installed")
    try:
        env = make(name)
    except ValueError:
        return Description(name, "", "", "", purpose)
    params = getattr(env, "default_params", None)
    observation, _ = jax.eval_shape(env.reset, jax.random.key(0), params)
    space = observation_space(env, params)
    shown = str(space) if isinstance(space, Discrete) else _shapes(observation)
    limit = str(int(max_episode_steps(env, params)))
    return Description(name, str(action_space(env, params)), shown, limit, purpose)


def _shapes(observation: Any) -> str:
    leaves = jax.tree.leaves(observation)
    return ", ".join(f"{tuple(leaf.shape)} {leaf.dtype}" for leaf in leaves)


def _as_int(number: Any) -> Any:
    return number.astype("int32") if hasattr(number, "astype") else int(number)


def _made(name: str, constructor: Callable, kwargs: dict[str, Any]) -> Any:
    if not kwargs:
        return constructor()
    there = inspect.signature(constructor).parameters
    for key in set(kwargs) - set(there):
        raise ValueError(f"env.kwargs.{key}: {name} is made with {', '.join(there) or 'nothing'}")
    try:
        env = constructor(**kwargs)
        jax.eval_shape(env.reset, jax.random.key(0), getattr(env, "default_params", None))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"env.kwargs: {name} cannot be made with {kwargs}: {reason}") from error
    return env


def _from_gymnax(name: str, kwargs: dict[str, Any]) -> Any:
    # gymnax imports what it draws with, which takes longer than the rest of it; nothing is drawn.
    with deferred("matplotlib", "matplotlib.pyplot", "matplotlib.colors", "seaborn"):
        import gymnax

    if name == "MNISTBandit-bsuite":
        _check_mnist()
    env = gymnax.make(name)[0]
    return _made(name, type(env), kwargs) if kwargs else env


def _check_mnist() -> None:
    """gymnax would fetch the images from the network, silently and without a timeout."""
    from gymnax.utils import load_mnist

    folder = Path(inspect.signature(load_mnist.load_mnist).parameters["directory"].default)
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        raise ValueError(
            f"env.name: MNISTBandit-bsuite reads the images of MNIST in {folder}, and they are not "
            "there; nothing is downloaded here, gymnax.utils.load_mnist.load_mnist() does so once"
        )
