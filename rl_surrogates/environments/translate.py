"""What an environment says about its actions and observations, in the words of `spaces`.

Spaces are recognised by what they hold (`n`, `low` and `high`, `spaces`), as gymnax's and a user's
own have no common base.
"""

from typing import Any

from rl_surrogates.environments.names import BINARY
from rl_surrogates.spaces import Box, Discrete, MultiBinary, MultiDiscrete, Space
from rl_surrogates.types import Environment

FITTING = "Discrete(n), MultiDiscrete(sizes) and Box(low, high, shape) have a policy"


def action_space(env: Environment, params: Any) -> Space:
    """The action space under these parameters; `num_actions` alone stands for Discrete.

    Raises:
      ValueError: a space that no policy fits, with those that one does.
    """
    if not hasattr(env, "action_space"):
        return Discrete(int(env.num_actions))
    described = env.action_space
    described = described(params) if callable(described) else described
    space = translated(described)
    if space is None:
        raise ValueError(
            f"env.name: the action space of {type(env).__name__} is {described}; {FITTING}"
        )
    return space


def observation_space(env: Environment, params: Any) -> Space | MultiBinary | None:
    """The observation space; None where the environment does not say, or has a structured one."""
    if not hasattr(env, "observation_space"):
        return None
    try:
        described = env.observation_space(params)
    except NotImplementedError:  # gymnax's base class, where a user's own did not override it
        return None
    # gymnax describes zeros and ones as a Box. A class derived from one of its own may show more.
    if type(env).__module__.startswith("gymnax.") and env.name in BINARY:
        return MultiBinary(tuple(described.shape))
    return described if isinstance(described, MultiBinary) else translated(described)


def translated(space: Any) -> Space | None:
    """One of our spaces for one of gymnax's, or None where there is no such; ours stay."""
    if isinstance(space, Space):
        return space
    if hasattr(space, "n"):
        return Discrete(int(space.n))
    if hasattr(space, "low") and hasattr(space, "high"):
        return Box(space.low, space.high, tuple(space.shape))
    factors = getattr(space, "spaces", None)  # of a tuple; those of a dictionary have names
    if isinstance(factors, tuple | list) and all(hasattr(one, "n") for one in factors):
        return MultiDiscrete(tuple(int(one.n) for one in factors))
    return None
