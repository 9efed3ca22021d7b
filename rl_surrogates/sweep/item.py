"""How is one work item trained? Chunks of compiled updates from a Python loop, then tables.

The length of a chunk is a traced number: it follows the clock, so that progress moves and an
interruption is heard within about a second, and no length compiles anything or changes any bit.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from rl_surrogates.evaluation import Episodes
from rl_surrogates.sweep.lanes import ROWS, Lanes
from rl_surrogates.sweep.plan import Plan, WorkItem

CHUNK_SECONDS = 1.0


class Tables(NamedTuple):
    """What a work item leaves behind, tidy; the columns are those of the store."""

    runs: pd.DataFrame
    curves: pd.DataFrame
    evaluations: pd.DataFrame


def run_item(plan: Plan, item: WorkItem, lanes: Lanes, on_steps: Callable[[int], None]) -> Tables:
    """Trains and evaluates the runs of `item`; tells `on_steps` the steps of each chunk."""
    started = time.monotonic()
    padded = item.runs + item.runs[-1:] * (item.width - len(item.runs))
    seeds = np.array([run.seed for run in padded], np.uint32)
    hypers = lanes.hypers([plan.settings[run.setting].config for run in padded])
    state = lanes.init(seeds, hypers)
    num_updates, every = lanes.config.num_updates, lanes.config.evaluation.every
    metrics, evaluations, done, size = [], {}, 0, 1
    while done < num_updates:
        stop = min(num_updates, (done // every + 1) * every) if every else num_updates
        count = min(size, stop - done, ROWS)
        chunk_started = time.monotonic()
        state, rows = lanes.advance(state, hypers, count)
        metrics.append(jax.tree.map(lambda leaf, n=count: np.asarray(leaf)[:, :n], rows))
        size = next_size(count, time.monotonic() - chunk_started)
        done += count
        on_steps(count * lanes.config.num_envs * lanes.config.num_steps * len(item.runs))
        if done == stop:
            scores = lanes.evaluate(seeds, done, state.learner.params, hypers)
            evaluations[done] = jax.tree.map(np.asarray, scores)
    metrics = jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *metrics)
    wall = (time.monotonic() - started) / len(item.runs)
    return tables(plan, item, metrics, evaluations, wall)


def next_size(count: int, seconds: float) -> int:
    """Updates for the next chunk: about `CHUNK_SECONDS`, at most four times as many as before."""
    return max(1, min(4 * count, int(count * CHUNK_SECONDS / max(seconds, 1e-6))))


def tables(
    plan: Plan,
    item: WorkItem,
    metrics: dict[str, np.ndarray],
    evaluations: dict[int, dict[str, Episodes]],
    wall: float,
) -> Tables:
    """Tidy rows for the runs of `item`; lanes that only pad it are dropped."""
    lanes = len(item.runs)
    config = plan.settings[item.runs[0].setting].config
    steps = config.num_envs * config.num_steps
    run_ids = np.array([run.run_id for run in item.runs], object)
    runs = [_run_row(plan, item, lane, metrics["finite"][lane], wall) for lane in range(lanes)]
    num_updates = metrics["finite"].shape[1]
    update = np.tile(np.arange(1, num_updates + 1, dtype=np.int64), lanes)
    curves = {
        "run_id": np.repeat(run_ids, num_updates),
        "update": update,
        "env_steps": update * steps,
    }
    for name in sorted(set(metrics) - {"env_steps"}):
        curves[name] = metrics[name][:lanes].reshape(-1).astype(np.float32)
    scored = [
        _episode_rows(run_ids, steps * done, mode, episodes)
        for done, modes in evaluations.items()
        for mode, episodes in modes.items()
    ]
    return Tables(pd.DataFrame(runs), pd.DataFrame(curves), pd.concat(scored, ignore_index=True))


def _run_row(
    plan: Plan, item: WorkItem, lane: int, finite: np.ndarray, wall: float
) -> dict[str, Any]:
    run = item.runs[lane]
    diverged_at = None if finite.all() else int(np.argmin(finite)) + 1
    return {
        "run_id": run.run_id,
        "item": item.item,
        "lane": lane,
        "width": item.width,
        "seed": run.seed,
        "setting": run.setting,
        **plan.settings[run.setting].config.flat(),
        "status": "done" if diverged_at is None else "diverged",
        "diverged_at": diverged_at,
        "wall_s": wall,
        "device": f"{jax.local_device_count()} x {jax.devices()[0].device_kind}",
    }


def _episode_rows(
    run_ids: np.ndarray, env_steps: int, mode: str, episodes: Episodes
) -> pd.DataFrame:
    lanes, count = len(run_ids), episodes.episode_return.shape[1]
    return pd.DataFrame(
        {
            "run_id": np.repeat(run_ids, count),
            "env_steps": np.int64(env_steps),
            "mode": mode,
            "episode": np.tile(np.arange(count, dtype=np.int32), lanes),
            "return": episodes.episode_return[:lanes].reshape(-1),
            "length": episodes.episode_length[:lanes].reshape(-1).astype(np.int32),
        }
    )
