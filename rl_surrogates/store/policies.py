"""How does a trained policy leave, and come back to act?

Parameters, the statistics behind which the network sees observations, and the config that says what
network it is: plain arrays and JSON in one file, of one policy (`save_policy`) or of all lanes of a
work item (`write`). Reading builds that network anew and takes the arrays only if they are exactly
those that it has. Nothing in a file can run, and names in it are looked up in the tables where a
YAML file's names are.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rl_surrogates import assembly, normalisation
from rl_surrogates.config import Config, ConfigError
from rl_surrogates.policy import Policy, expected_actor, make_policy
from rl_surrogates.store import checkpoints, files, manifest
from rl_surrogates.store.places import Place, StoreError, place
from rl_surrogates.types import Actor, State

ONE, SEVERAL = "policy", "policies"  # what a file says that it holds


def save_policy(path: str | os.PathLike, config: Config, state: State | Policy) -> None:
    """Writes the policy of a training's state: one lane, without an axis of lanes.

    Raises:
      StoreError: a place that cannot be written.
    """
    about = {"kind": ONE, "config": config.model_dump(mode="json")}
    files.write_atomically(path, checkpoints.to_bytes(about, _arrays(state.actor)))


def load_policy(path: str | os.PathLike, env: Any = None) -> Policy:
    """Reads a policy.

    Args:
      path: what `save_policy` wrote.
      env: the environment that it was trained in, where that was an object and not a name.

    Raises:
      StoreError: no policy, a damaged one, or one whose arrays are not those of its network.
    """
    path = place(path)
    data = files.read(path)
    return _policy(path, data, _about(path, data, ONE)["config"], env)


def write(
    folder: Place,
    path: str,
    item: str,
    configs: Mapping[str, Config],
    actor: Actor,
) -> manifest.Files:
    """Writes the policies of a work item; they count once their entry is listed.

    Args:
      folder: of the results. path: of the file in it. item: the name of the work item.
      configs: run -> its config, in the order of the lanes.
      actor: of all lanes `[L, ...]`; those beyond the runs are padding, and dropped.
    """
    runs = list(configs)
    arrays = {name: array[: len(runs)] for name, array in _arrays(actor).items()}
    values = [config.model_dump(mode="json") for config in configs.values()]
    data = checkpoints.to_bytes({"kind": SEVERAL, "runs": runs, "configs": values}, arrays)
    files.write_atomically(folder / path, data)
    return {path: manifest.entry_of(data, table=SEVERAL, item=item, runs=runs)}


def of_run(path: Place, data: bytes, run_id: str) -> Policy:
    """The policy of one run out of what `write` wrote."""
    about = _about(path, data, SEVERAL)
    runs: Sequence[str] = about["runs"]
    lane = runs.index(run_id)
    return _policy(path, data, about["configs"][lane], lane=lane, lanes=(len(runs),))


def _policy(
    path: Place,
    data: bytes,
    values: Any,
    env: Any = None,
    *,
    lane: int | None = None,
    lanes: tuple[int, ...] = (),
) -> Policy:
    try:
        config = Config(**values)
    except (ConfigError, TypeError) as error:
        raise _strange(path, error) from None
    env, params = assembly.make_environment(config, env)
    expected = expected_actor(config, env, params)
    shapes = {n: ((*lanes, *leaf.shape), str(leaf.dtype)) for n, leaf in _named(expected).items()}
    arrays = checkpoints.from_bytes(path, data, shapes).arrays.values()
    leaves = [jnp.asarray(array if lane is None else array[lane]) for array in arrays]
    actor = jax.tree.unflatten(jax.tree.structure(expected), leaves)
    return make_policy(config, actor, env, params)


def _about(path: Place, data: bytes, kind: str) -> dict[str, Any]:
    about = checkpoints.read_about(path, data)
    if about.get("kind") != kind:
        raise _strange(path, f"it is no {kind}")
    return about


def _strange(path: Place, error: Any) -> StoreError:
    return StoreError(f"{path}: not a policy that this version can act with: {error}")


def _arrays(actor: Actor) -> dict[str, np.ndarray]:
    """What acting needs; what scales rewards it does not."""
    actor = actor._replace(normaliser=actor.normaliser._replace(reward=normalisation.OFF))
    return {name: np.asarray(leaf) for name, leaf in _named(actor).items()}


def _named(tree: Any) -> dict[str, Any]:
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in paths}
