"""How does a trained policy leave, and come back to act?

`save_policy` writes parameters, the statistics behind which the network sees observations, and the
config that says what network it is: plain arrays and JSON in one file. `load_policy` builds that
network anew and takes the arrays only if they are exactly those that it has. Nothing in the file
can run, and names in it are looked up in the tables where a YAML file's names are.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rl_surrogates import assembly, environments, normalisation, spaces
from rl_surrogates.config import Config, ConfigError
from rl_surrogates.store import StoreError, checkpoints, files
from rl_surrogates.types import Actor, Array, Environment, Network, State

KIND = "policy"


@dataclasses.dataclass(frozen=True)
class Policy:
    """Acts as a training does; a call maps an observation to an action of the environment."""

    config: Config
    network: Network  # for observations as the environment gives them
    params: Any
    space: spaces.Space

    def __call__(self, observation: Any, key: Array | None = None) -> Array:
        """The action for one observation, or for a batch of them.

        Args:
          observation: `[..., *event]` as the environment gives it.
          key: to draw from the policy; consumed. Without one the action is the greedy one.

        Raises:
          ValueError: a policy with memory; `step` hands its memory on.
        """
        if self.network.recurrent:
            raise ValueError("this policy has a memory: use policy.step, from policy.start(B)")
        return self.step(observation, None, (), key)[0]

    def start(self, num_envs: int) -> Any:
        """The memory before an episode of `B` environments; `()` where there is none."""
        return self.network.initial_carry(num_envs)

    def step(
        self, observation: Any, reset: Array | None, carry: Any, key: Array | None = None
    ) -> tuple[Array, Any]:
        """Actions for `[B, *event]`, and the memory after them.

        Args:
          observation: `[B, *event]` as the environment gives it.
          reset: `[B]` bool, True where an episode begins; without memory it is not read.
          carry: of the last step, or of `start`.
          key: to draw from the policy; consumed. Without one the actions are the greedy ones.
        """
        distribution, _, carry = self.network(self.params, observation, reset, carry)
        sample = distribution.mode() if key is None else distribution.sample(key)
        return spaces.to_environment(self.space, distribution.action(sample)), carry


def save_policy(path: str | os.PathLike, config: Config, state: State) -> None:
    """Writes the policy of a training's state: one lane, without an axis of lanes.

    Raises:
      StoreError: a place that cannot be written.
    """
    about = {"kind": KIND, "config": config.model_dump(mode="json")}
    actor = Actor(state.learner.params, state.normaliser._replace(reward=normalisation.OFF))
    arrays = {name: np.asarray(leaf) for name, leaf in _named(actor).items()}
    files.write_atomically(path, checkpoints.to_bytes(about, arrays))


def load_policy(path: str | os.PathLike, env: Any = None) -> Policy:
    """Reads a policy.

    Args:
      path: what `save_policy` wrote.
      env: the environment that it was trained in, where that was an object and not a name.

    Raises:
      StoreError: no policy, a damaged one, or one whose arrays are not those of its network.
    """
    path = Path(path)
    data = files.read(path)
    about = checkpoints.read_about(path, data)
    try:
        if about["kind"] != KIND:
            raise KeyError(KIND)
        config = Config(**about["config"])
    except (ConfigError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: not a policy that this version can act with: {error}") from None
    env, params = assembly.make_environment(config, env)
    network = assembly.network_for(config, env, params)
    expected = _expected(config, network, env, params)
    shapes = {n: (tuple(leaf.shape), str(leaf.dtype)) for n, leaf in _named(expected).items()}
    arrays = checkpoints.from_bytes(path, data, shapes).arrays
    leaves = [jnp.asarray(array) for array in arrays.values()]
    actor = jax.tree.unflatten(jax.tree.structure(expected), leaves)
    return Policy(
        config,
        normalisation.acting_network(network, actor.normaliser),
        actor.params,
        environments.action_space(env, params),
    )


def _expected(config: Config, network: Network, env: Environment, params: Any) -> Actor:
    """The shapes and types that the file must hold, found by tracing, not by trusting it."""

    def begin(key: Array) -> Actor:
        observation, _ = env.reset(key, params)
        statistics = normalisation.start(
            observation, 1, observations=config.normalise.observations, rewards=False
        )
        return Actor(network.init(key, observation), statistics)

    return jax.eval_shape(begin, jax.random.key(0))


def _named(tree: Any) -> dict[str, Any]:
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in paths}
