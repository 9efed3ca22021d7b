"""What does a training need to go on as if it had never stopped?

A carry is the state of all lanes, the metrics and evaluations so far, and two counts. As a
checkpoint its arrays have the names of their places in the tree, and keys are stored as numbers
beside the name of their generator. What is read back must have exactly the shapes and types that
the program is going to compute with: those are found by tracing it, not by trusting the file.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from rl_surrogates.evaluation import Episodes
from rl_surrogates.store import StoreError
from rl_surrogates.store.checkpoints import Checkpoint
from rl_surrogates.sweep.lanes import Lanes
from rl_surrogates.types import State

KEY = jax.dtypes.prng_key


class Carry(NamedTuple):
    """Where the training of a work item stands; `L` lanes, `u` updates done."""

    state: State  # [L, ...]
    metrics: dict[str, np.ndarray]  # [L, u, ...]; empty where u = 0
    evaluations: dict[int, dict[str, Episodes]]  # update -> mode -> [L, episodes]
    done: int  # u
    seconds: float  # spent so far, all sessions together


def pack(carry: Carry) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A carry as what JSON can hold and named arrays on the host."""
    named = _named(_tree(carry.state, carry.metrics, carry.evaluations))
    keys = {name: str(jax.random.key_impl(leaf)) for name, leaf in named.items() if _is_key(leaf)}
    arrays = {name: np.asarray(_numbers(leaf)) for name, leaf in named.items()}
    return {
        "update": carry.done,
        "seconds": carry.seconds,
        "evaluated": list(carry.evaluations),
        "keys": keys,
    }, arrays


def expected(lanes: Lanes, seeds: Any, hypers: Any, about: Mapping[str, Any]) -> Any:
    """The tree that a checkpoint which says `about` of itself must hold, as shapes and types."""
    state, metrics, scores = lanes.shapes(seeds, hypers)
    done = int(about["update"])
    metrics = {
        name: jax.ShapeDtypeStruct((leaf.shape[0], done, *leaf.shape[2:]), leaf.dtype)
        for name, leaf in metrics.items()
    }
    return _tree(state, metrics if done else {}, dict.fromkeys(about["evaluated"], scores))


def shapes(tree: Any) -> dict[str, tuple[tuple[int, ...], str]]:
    """Name -> shape and type as stored, keys as numbers."""
    named = _named(tree)
    leaves = jax.eval_shape(lambda leaves: [_numbers(leaf) for leaf in leaves], [*named.values()])
    numbers = dict(zip(named, leaves, strict=True))
    return {name: (tuple(leaf.shape), str(leaf.dtype)) for name, leaf in numbers.items()}


def unpack(lanes: Lanes, tree: Any, saved: Checkpoint) -> Carry:
    """The carry of a checkpoint whose arrays have the `shapes` of `tree`, on the devices."""
    generators = saved.about["keys"]
    leaves = []
    for (name, like), array in zip(_named(tree).items(), saved.arrays.values(), strict=True):
        if _is_key(like):
            if generators.get(name) != str(jax.random.key_impl(jax.random.key(0))):
                raise StoreError(f"keys of another generator, {generators.get(name)}")
            array = jax.random.wrap_key_data(array, impl=generators[name])
        leaves.append(array)
    held = jax.tree.unflatten(jax.tree.structure(tree), leaves)
    return Carry(
        lanes.place(held["state"]),
        held["metrics"],
        {int(update): scores for update, scores in held["evaluations"].items()},
        saved.about["update"],
        saved.about["seconds"],
    )


def _tree(state: Any, metrics: Any, evaluations: Any) -> dict[str, Any]:
    # Updates as text of one length: trees sort their keys.
    scored = {f"{update:012d}": scores for update, scores in evaluations.items()}
    return {"state": state, "metrics": metrics, "evaluations": scored}


def _named(tree: Any) -> dict[str, Any]:
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in paths}


def _is_key(leaf: Any) -> bool:
    return jax.dtypes.issubdtype(leaf.dtype, KEY)


def _numbers(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf
