"""Which network, ascent and objective does a config name? The parts of a `training.Program`."""

from typing import Any

import jax

from rl_surrogates import environments, networks, objectives, spaces
from rl_surrogates.ascent import ASCENTS
from rl_surrogates.config import CUSTOM, Config
from rl_surrogates.objectives import Objective
from rl_surrogates.spaces import Box, Space
from rl_surrogates.types import Ascent, Environment, Network


def make_environment(config: Config, env: Any = None) -> tuple[Environment, Any]:
    """A config's environment, or `env` in its place, with what is to stand around it; parameters.

    Raises:
      ValueError: an environment or a parameter of it that there is not, or that cannot be used so.
    """
    if env is None:
        env = environments.make(config.env.name, **config.env.kwargs)
    elif config.env.kwargs:
        raise ValueError("env.kwargs: only an environment by name is made with any; write {}")
    env = environments.resolve(env)
    env = environments.wrap(
        env,
        max_steps=config.env.max_steps,
        frame_stack=config.env.frame_stack,
        sticky=config.env.sticky is not None,
    )
    return env, environments.with_params(env, config.env.params, config.env.sticky)


def make_network(config: Config, env: Any = None) -> Network:
    """A config's network, with `policy(params, observation)` and `value(params, observation)`."""
    return network_for(config, *make_environment(config, env))


def network_for(config: Config, env: Environment, params: Any) -> Network:
    """The network for an environment with these parameters, as `make_environment` gave them."""
    space = environments.action_space(env, params)
    head = networks.make_policy_head(
        config.network.head,
        space,
        scale=config.network.scale,
        initial_std=config.network.initial_std,
    )
    shown, _ = jax.eval_shape(env.reset, jax.random.key(0), params)
    observation, mask = spaces.split_mask(shown)
    spaces.check_mask(mask, space)
    return networks.make(
        torso=config.network.torso,
        hidden=config.network.hidden,
        channels=config.network.channels,
        activation=config.network.activation,
        shared=config.network.shared,
        initialisation=config.network.initialisation,
        dtype=config.network.dtype,
        policy_head=head,
        observation=observation,
        observation_space=environments.observation_space(env, params),
    )


def make_ascent(config: Config) -> Ascent:
    """The ascent of a config."""
    static = config.static()["ascent"]
    name = static.pop("name")
    if "anneal" in static:
        static |= {"anneal": static["anneal"] == "linear", "num_updates": config.num_updates}
    return ASCENTS[name](**static)


def make_objective(config: Config, objective: Any = None) -> Objective:
    """The objective of a config, or a function that takes its place.

    Raises:
      ValueError: no such objective, or a coefficient set in the config that the function does not
      have.
    """
    if isinstance(objective, Objective):
        return objective
    if objective is None and config.objective.name == CUSTOM:
        raise ValueError(
            f"objective.name: {CUSTOM} stands for a function; "
            "pass make_train(config, objective=function)"
        )
    if objective is None:
        return objectives.find(config.objective.name)
    chosen = objectives.from_function(objective)
    for name in config.objective.given:
        if name not in chosen.coefficients:
            known = ", ".join(chosen.coefficients) or "none"
            raise ValueError(
                f"objective.{name}: {objective.__name__} has no such coefficient (it has {known}); "
                "remove it from the config, or add it to the function's keyword-only parameters"
            )
    return chosen


def check_actions(objective: Objective, space: Space) -> None:
    """Refuses an objective for discrete actions where actions are real numbers.

    Raises:
      ValueError: the two do not fit.
    """
    if objective.actions == "discrete" and isinstance(space, Box):
        held = objective.source
        raise ValueError(
            f"objective.name: an objective for discrete actions only ({held}) cannot be used with "
            f"the actions {space}; take one that `list objectives` does not mark as discrete"
        )
