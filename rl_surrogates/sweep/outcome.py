"""What does a work item leave behind? Three tidy tables, whose columns are those of the store."""

import hashlib
from typing import Any, NamedTuple

import jax
import numpy as np
import pandas as pd

from rl_surrogates.evaluation import Episodes
from rl_surrogates.store import policies
from rl_surrogates.sweep.carry import Carry
from rl_surrogates.sweep.job import Job
from rl_surrogates.types import Actor, Params


class Tables(NamedTuple):
    """Rows for the runs of a work item; lanes that only pad it are dropped."""

    runs: pd.DataFrame
    curves: pd.DataFrame | None = None
    evaluations: pd.DataFrame | None = None


def tables(job: Job, carry: Carry) -> Tables:
    """The tables of a job that is trained to the end."""
    runs, config = job.item.runs, job.program.config
    finite = carry.metrics["finite"][: len(runs)].astype(bool)
    hashes = params_sha256(carry.state.learner.params, len(runs))
    device = f"{jax.local_device_count()} x {jax.devices()[0].device_kind}"
    rows = [
        {
            **run_row(job, lane),
            "status": "done" if finite[lane].all() else "diverged",
            "diverged_at": None if finite[lane].all() else int(np.argmin(finite[lane])) + 1,
            "params_sha256": hashes[lane],
            "wall_s": carry.seconds / len(runs),
            "device": device,
        }
        for lane in range(len(runs))
    ]
    steps = config.num_envs * config.num_steps
    run_ids = np.array([run.run_id for run in runs], object)
    scored = [
        _episode_rows(run_ids, steps * done, mode, episodes)
        for done, modes in carry.evaluations.items()
        for mode, episodes in modes.items()
    ]
    curves = _curves(run_ids, steps, carry.metrics)
    return Tables(pd.DataFrame(rows), curves, pd.concat(scored, ignore_index=True))


def failed(job: Job) -> Tables:
    """The table of a job that was given up: its runs, and that they failed."""
    ended = {"status": "failed", "diverged_at": None, "params_sha256": None}
    rows = [
        {**run_row(job, lane), **ended, "wall_s": 0.0, "device": ""}
        for lane in range(len(job.item.runs))
    ]
    return Tables(pd.DataFrame(rows))


def write_policies(job: Job, actor: Actor) -> dict[str, dict[str, Any]]:
    """Writes the last policies of a job's runs beside its parts; their entry, to be listed."""
    path = job.parts["runs"].replace(".runs.parquet", ".policies")
    configs = {run.run_id: job.configs[run.setting] for run in job.item.runs}
    return policies.write(job.folder, path, job.item.item, configs, actor)


def run_row(job: Job, lane: int) -> dict[str, Any]:
    """What a run is, before it is known how it ends."""
    run = job.item.runs[lane]
    return {
        "run_id": run.run_id,
        "item": job.item.item,
        "lane": lane,
        "width": job.item.width,
        "seed": run.seed,
        "setting": run.setting,
        **job.configs[run.setting].flat(),
    }


def params_sha256(params: Params, lanes: int) -> list[str]:
    """A hash of the parameters of each of the first lanes: names, types, shapes and bytes."""
    leaves = jax.tree_util.tree_flatten_with_path(jax.tree.map(np.asarray, params))[0]
    hashes = [hashlib.sha256() for _ in range(lanes)]
    for path, leaf in leaves:
        about = f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape[1:]} ".encode()
        for lane in range(lanes):
            hashes[lane].update(about + leaf[lane].tobytes())
    return [one.hexdigest() for one in hashes]


def _curves(run_ids: np.ndarray, steps: int, metrics: dict[str, np.ndarray]) -> pd.DataFrame:
    lanes, num_updates = len(run_ids), metrics["finite"].shape[1]
    update = np.tile(np.arange(1, num_updates + 1, dtype=np.int64), lanes)
    columns = {
        "run_id": np.repeat(run_ids, num_updates),
        "update": update,
        "env_steps": update * steps,
    }
    for name in sorted(set(metrics) - {"env_steps"}):
        values = metrics[name][:lanes].astype(np.float32)
        for place in np.ndindex(values.shape[2:]):  # of an epoch, or of an epoch and a minibatch
            column = "_".join([name, *(str(i + 1) for i in place)])
            columns[column] = values[:, :, *place].reshape(-1)
    return pd.DataFrame(columns)


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
