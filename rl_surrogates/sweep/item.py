"""How is one work item trained? Chunks of compiled updates from a Python loop, then tables.

`train` is a generator of events, so that the same loop serves a worker process, which sends them to
its parent, and a notebook, which consumes them where it stands:

    resumed     update, steps, damaged, dropped   where it goes on; checkpoints it cannot use
    chunk       update, steps, score, diverged    `score` is the IQM over the lanes
    checkpoint  path, entry                       written, to be listed
    finished    entries, status                   parts written, to be listed
    stopped                                       asked to; what was done is saved

The length of a chunk is a traced number: it follows the clock, so that progress moves and an
interruption is heard within about a second, and no length compiles anything or changes any bit.
The metrics of a chunk are fetched while the next one is computed.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from rl_surrogates import statistics, store
from rl_surrogates.store import StoreError, checkpoints, files, manifest
from rl_surrogates.sweep import carry, outcome
from rl_surrogates.sweep.carry import Carry
from rl_surrogates.sweep.job import Job
from rl_surrogates.sweep.lanes import ROWS, Lanes
from rl_surrogates.types import Info

Event = dict[str, Any]
CHUNK_SECONDS = 1.0


def train(job: Job, lanes: Lanes, stopping: Callable[[], bool] = lambda: False) -> Iterator[Event]:
    """Trains, evaluates and stores the runs of a job, from its last good checkpoint on.

    Args:
      job: the work item.
      lanes: its program.
      stopping: asked between chunks; once it says so, the training is saved and left.

    Raises:
      StoreError: a checkpoint or a part cannot be written.
    """
    training = Training(job, lanes)
    yield training.begin()
    for event in training.advance(stopping):
        yield event
        if event["event"] == "stopped":
            return
    trained = training.carry()
    written = store.write_parts(
        job.folder,
        job.parts,
        job.item.item,
        outcome.tables(job, trained),
        {n: store.config_digest(config.flat()) for n, config in job.configs.items()},
        training.versions,
    )
    if job.save_policies:
        entries = outcome.write_policies(job, trained.state.actor)
        written = written._replace(entries={**written.entries, **entries})
    yield {"event": "finished", **written._asdict()}


class Training:
    """A work item while it is trained."""

    def __init__(self, job: Job, lanes: Lanes) -> None:
        """Prepares seeds and hypers of the lanes; those beyond the runs repeat the last run."""
        self.job, self.lanes = job, lanes
        self.versions = job.versions
        runs = job.item.runs
        padded = runs + runs[-1:] * (job.item.width - len(runs))
        self.seeds = np.array([run.seed for run in padded], np.uint32)
        self.hypers = lanes.hypers([job.configs[run.setting] for run in padded])
        self.recorded: list[dict[str, np.ndarray]] = []  # metrics, chunk by chunk
        self.size, self.clock = 1, time.monotonic()  # of the next chunk; when the last one ended

    def begin(self) -> Event:
        """Takes over the newest sound checkpoint, or starts."""
        damaged, dropped, found = [], [], None
        for path, entry in self.job.checkpoints.items():
            try:
                found = self._load(path, entry)
                break
            except StoreError as error:
                damaged.append(str(error))
                dropped.append(path)
        self._take(found or Carry(self.lanes.init(self.seeds, self.hypers), {}, {}, 0, 0.0))
        if not self.done and self.lanes.config.evaluation.untrained:
            self._evaluate()
        event = {"event": "resumed", "update": self.done, "steps": self._steps(self.done)}
        return {**event, "damaged": damaged, "dropped": dropped}

    def carry(self) -> Carry:
        """All of it as it stands; no chunk may be under way."""
        if len(self.recorded) > 1:
            joined = {
                name: np.concatenate([chunk[name] for chunk in self.recorded], axis=1)
                for name in self.recorded[0]
            }
            self.recorded = [joined]
        metrics = self.recorded[0] if self.recorded else {}
        seconds = self.seconds + time.monotonic() - self.started
        return Carry(self.state, metrics, self.evaluations, self.done, seconds)

    def advance(self, stopping: Callable[[], bool]) -> Iterator[Event]:
        """Trains to the end, in chunks that meet every evaluation and every checkpoint."""
        config, pending = self.lanes.config, None
        every, interval = config.evaluation.every, self.job.checkpoint_every
        while self.done < config.num_updates:
            if stopping():
                if pending:
                    yield self._collect(*pending)
                if self.done > self.saved:
                    yield self._save()
                yield {"event": "stopped"}
                return
            meet = min(
                config.num_updates, *(next_multiple(self.done, n) for n in (every, interval))
            )
            count = min(self.size, meet - self.done, ROWS)
            self.state, rows = self.lanes.advance(self.state, self.hypers, count)
            self.done += count
            if pending:
                yield self._collect(*pending)
            pending = rows, count
            if self.done == meet:
                yield self._collect(*pending)
                pending = None
                last = self.done == config.num_updates
                if last or (every and self.done % every == 0):
                    self._evaluate()
                if not last and self.done % interval == 0:
                    yield self._save()

    def _take(self, carry: Carry) -> None:
        self.state, metrics, self.evaluations, self.done, self.seconds = carry
        self.recorded = [metrics] if metrics else []
        self.saved = self.done
        self.started = self.clock = time.monotonic()

    def _collect(self, rows: Info, count: int) -> Event:
        """Waits for a chunk, and fetches its metrics."""
        chunk = {name: np.asarray(leaf)[:, :count] for name, leaf in rows.items()}
        now = time.monotonic()
        self.size, self.clock = next_size(count, now - self.clock), now
        self.recorded.append(chunk)
        lanes = len(self.job.item.runs)
        return {
            "event": "chunk",
            "update": sum(part["finite"].shape[1] for part in self.recorded),
            "steps": self._steps(count),
            "score": latest_score(chunk["episode_return"][:lanes]),
            "diverged": int((~chunk["finite"][:lanes].astype(bool)).any(axis=1).sum()),
        }

    def _evaluate(self) -> None:
        scores = self.lanes.evaluate(self.seeds, self.done, self.state.actor, self.hypers)
        self.evaluations[self.done] = jax.tree.map(np.asarray, scores)
        self.clock = time.monotonic()

    def _steps(self, updates: int) -> int:
        """Environment steps of the item's runs in so many updates."""
        config = self.lanes.config
        return updates * config.num_envs * config.num_steps * len(self.job.item.runs)

    def _save(self) -> Event:
        about, arrays = carry.pack(self.carry())
        item = self.job.item
        tag = f".{self.job.tag}" if self.job.tag else ""
        path = f"{store.CHECKPOINTS}/{item.item}.{self.done}{tag}.ckpt"
        about |= {"runs": [run.run_id for run in item.runs], "versions": self.versions}
        data = checkpoints.to_bytes(about, arrays)
        files.make_folder((self.job.folder / path).parent)
        files.write_atomically(self.job.folder / path, data)
        self.saved, self.clock = self.done, time.monotonic()
        entry = manifest.entry_of(
            data,
            checkpoint=item.item,
            runs=about["runs"],
            width=item.width,
            devices=jax.local_device_count(),
            program=self.job.program.digest,
            versions=self.versions,
        )
        return {"event": "checkpoint", "path": path, "entry": entry}

    def _load(self, path: str, entry: dict[str, Any]) -> Carry:
        """The carry of a checkpoint that is whole, and of these runs in this program."""
        data = manifest.read_listed(self.job.folder, {path: entry}, path)
        where = self.job.folder / path
        about = checkpoints.read_about(where, data)
        if about["runs"] != [run.run_id for run in self.job.item.runs]:
            raise StoreError(f"{where}: is of other runs")
        tree = carry.expected(self.lanes, self.seeds, self.hypers, about)
        saved = checkpoints.from_bytes(where, data, carry.shapes(tree))
        found = carry.unpack(self.lanes, tree, saved)
        self.versions = store.mixed(about["versions"], self.versions)
        return found


def next_multiple(done: int, every: int) -> int:
    """The first multiple of `every` after `done`; never, where `every` is 0."""
    return (done // every + 1) * every if every else sys.maxsize


def next_size(count: int, seconds: float) -> int:
    """Updates for the next chunk: about `CHUNK_SECONDS`, at most four times as many as before."""
    return max(1, min(4 * count, int(count * CHUNK_SECONDS / max(seconds, 1e-6))))


def latest_score(episode_return: np.ndarray) -> float | None:
    """The IQM over lanes of their last update `[L, u]` in which an episode ended, if any did."""
    ended = ~np.isnan(episode_return)
    last = episode_return.shape[1] - 1 - np.argmax(ended[:, ::-1], axis=1)
    found = episode_return[np.arange(len(last)), last][ended.any(axis=1)]
    return float(statistics.iqm(found)) if found.size else None
