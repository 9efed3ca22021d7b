"""How does a results folder become tables again, without ever trusting a damaged byte?

The plan says which runs are shown; of a run that was stored twice, the last one counts. Rows come
in the order of settings, seeds and updates, however the runs were spread over lanes and work items.
"""

import difflib
import json
import os
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rl_surrogates.store import files, manifest, parquet
from rl_surrogates.store.parts import CONFIG, config_digest
from rl_surrogates.store.places import Place, StoreError, Url, place
from rl_surrogates.store.writing import PLAN, PROVENANCE, differing

OUTCOME = ("wall_s", "device")  # the last columns of a runs table
FINAL_SHARE = 0.05  # of the updates: what a score from the training curve averages over


def open_results(path: str | os.PathLike | Url, partial: bool = False) -> "Results":
    """Opens the results folder `path`, having verified every file in it.

    Args:
      path: the folder of one sweep, or its URL, as `s3://bucket/results/why_the_ratio`.
      partial: take what is sound; `Results.missing` then also names what is damaged.

    Raises:
      StoreError: no results there, or (unless `partial`) a damaged file, by name.
    """
    folder = place(path)
    files.refuse_link(folder)
    if not files.is_folder(folder):
        raise StoreError(f"{folder}: no results here")
    if not partial:
        listed, damaged = manifest.read_manifest(folder), []
    else:
        listed, damaged, _ = manifest.recover_manifest(folder)
    sound = dict(listed)
    for name in (PLAN, PROVENANCE, *listed):
        if "checkpoint" in listed.get(name, {}) and not files.exists(folder / name):
            sound.pop(name)  # superseded since the manifest was read: a sweep is running there
            continue
        try:
            manifest.read_listed(folder, listed, name)
        except StoreError as error:
            if not partial:
                raise
            damaged = [*damaged, str(error)]
            sound.pop(name, None)
    return Results(folder, sound, damaged)


def read_plan(path: str | os.PathLike | Url) -> dict[str, Any]:
    """The plan in the results folder `path`, which need not hold any result yet.

    Raises:
      StoreError: no results there, a damaged plan, or a folder that is not called as its plan is.
    """
    folder = place(path)
    files.refuse_link(folder)
    if not files.is_folder(folder):
        raise StoreError(f"{folder}: no results here")
    plan = json.loads(manifest.read_listed(folder, manifest.recover_manifest(folder).files, PLAN))
    if plan["name"] != folder.resolve().name:
        raise StoreError(
            f"{folder}: holds the results of {plan['name']!r}; give it that name again"
        )
    return plan


class Results:
    """The tables of one sweep; read when asked for."""

    def __init__(self, path: Place, listed: manifest.Files, damaged: list[str]) -> None:
        """Use `open_results`."""
        self.path = path
        self._listed = listed
        self._damaged = damaged
        self.plan: dict[str, Any] = self._json(PLAN)
        self.provenance: dict[str, Any] = self._json(PROVENANCE)

    def runs(self) -> pd.DataFrame:
        """One row per run that was stored."""
        return self._runs.copy()

    def curves(self, columns: Iterable[str] | None = None) -> pd.DataFrame:
        """One row per run and update.

        Args:
          columns: those to read; `run_id` and `update` come with them. All by default.
        """
        return self._table("curves", columns, ["run_id", "update"])

    @property
    def metrics(self) -> list[str]:
        """The columns of `curves` that are metrics, in the order in which they were recorded."""
        paths = self._parts("curves").values()
        schemas = [parquet.columns_of(self.path / path, self._read(path)) for path in paths]
        names = dict.fromkeys(name for schema in schemas for name in schema)
        return [name for name in names if name not in parquet.CURVES]

    def evaluations(self) -> pd.DataFrame:
        """One row per evaluation episode."""
        return self._table("evaluations", None, ["run_id", "env_steps", "mode", "episode"])

    def scores(
        self, metric: str | None = None, mode: str = "greedy", env_steps: int | None = None
    ) -> pd.DataFrame:
        """One row per run: `run_id, setting, seed, status, score`.

        The score is the mean over the episodes of the run's last evaluation; a run that did not end
        well, or was not evaluated then, has NaN.

        Args:
          metric: `evaluation/return`, `evaluation/length`, or a column of the curves, whose mean
            over the last 5 % of the updates is taken, leaving out updates without a value. By
            default the metric of the plan.
          mode: of the evaluation, greedy or sampled.
          env_steps: after how many steps the run was evaluated, instead of at last.
        """
        metric = metric or self.plan.get("metric", {}).get("name", "evaluation/return")
        family, _, column = metric.rpartition("/")
        evaluated = family == "evaluation"
        values = self._evaluated(column, mode, env_steps) if evaluated else self._final(column)
        runs = self._runs[["run_id", "setting", "seed", "status"]].copy()
        scores = runs["run_id"].map(values).astype(np.float64)
        runs["score"] = scores.where(runs["status"] == "done")
        return runs

    def policy(self, run_id: str) -> Any:
        """The policy of a run at its end, as `load_policy` gives one.

        Raises:
          StoreError: no such run, one that did not end well, or policies that were not kept.
        """
        from rl_surrogates.store import policies  # which needs networks; tables do not

        found = self._runs[self._runs["run_id"] == run_id]
        if found.empty:
            there = ", ".join(difflib.get_close_matches(run_id, self._runs["run_id"])) or "none"
            raise StoreError(
                f"{self.path}: no run {run_id!r:.40} is stored; nearest: {there}; "
                "the column run_id of the runs names them all"
            )
        run = found.iloc[0]
        if run["status"] == "diverged":
            update = int(run["diverged_at"])
            raise StoreError(f"{self.path}: run {run_id} diverged at update {update}: no policy")
        if run["status"] != "done":
            raise StoreError(f"{self.path}: run {run_id} failed: no policy")
        path = self._parts("policies").get(run["item"])
        if path is None:
            raise StoreError(
                f"{self.path}: policies were not kept; ask again with "
                "execution.save_policies=true, which trains these runs again"
            )
        return policies.of_run(self.path / path, self._read(path), run_id)

    @property
    def missing(self) -> list[str]:
        """What is damaged or not there yet, one line each; empty for whole results."""
        there = set(self._runs["run_id"])
        planned = [run for item in self.plan.get("items", []) for run in item["runs"]]
        absent = sum(run not in there for run in planned)
        failed = int((self._runs["status"] == "failed").sum())
        lines = list(self._damaged)
        if absent:
            lines.append(f"{absent} of {len(planned)} planned runs are not there")
        if failed:
            lines.append(f"{failed} runs failed and have no results")
        return lines

    @property
    def versions(self) -> dict[str, tuple[str, ...]]:
        """Package -> its versions, where the parts of these results do not all agree."""
        return differing([self._listed[path]["versions"] for path in self._parts("runs").values()])

    def _evaluated(self, column: str, mode: str, env_steps: int | None) -> pd.Series:
        rows = self.evaluations()
        if column not in rows:
            raise KeyError(f"evaluation/{column}: not recorded; there are {list(rows)}")
        rows = rows[rows["mode"] == mode]
        last = rows.groupby("run_id")["env_steps"]
        when = last.transform("max") if env_steps is None else env_steps
        return rows[rows["env_steps"] == when].groupby("run_id")[column].mean()

    def _final(self, column: str) -> pd.Series:
        rows = self.curves([column])
        last = rows.groupby("run_id")["update"].transform("max")
        return rows[rows["update"] > (1.0 - FINAL_SHARE) * last].groupby("run_id")[column].mean()

    @cached_property
    def _runs(self) -> pd.DataFrame:
        parts = [self._part(path) for path in self._parts("runs").values()]
        table = parquet.join(parts) if parts else parquet.to_table("runs", None)
        frame = parquet.to_pandas(table)
        frame = frame.drop_duplicates(
            "run_id", keep="last"
        )  # parts come in the order of their commits
        configs = frame.pop(CONFIG) if parts else frame["run_id"]
        if self.plan:
            frame["setting"] = configs.map(self._settings)
            planned = [run in self._planned for run in frame["run_id"]]
            frame = frame[frame["setting"].notna() & np.array(planned, bool)]
            frame["setting"] = frame["setting"].astype(np.int32)
        frame = frame[self._columns(list(frame))]
        return frame.sort_values(["setting", "seed"], kind="stable", ignore_index=True)

    def _columns(self, names: list[str]) -> list[str]:
        """The config columns in the order of the plan, whichever item was committed first."""
        settings = self.plan.get("settings", [])
        paths = dict.fromkeys(path for setting in settings for path in setting["config"])
        fixed = [name for name in names if name not in paths and name not in OUTCOME]
        return [*fixed, *(p for p in paths if p in names), *(n for n in OUTCOME if n in names)]

    @cached_property
    def _planned(self) -> set[str]:
        return {run for item in self.plan["items"] for run in item["runs"]}

    @cached_property
    def _settings(self) -> dict[str, int]:
        """Digest of a config -> its index in the plan as it is now."""
        return {config_digest(s["config"]): s["index"] for s in reversed(self.plan["settings"])}

    def _parts(self, table: str) -> dict[str, str]:
        """Item -> part of this table, for the items whose table of runs is sound."""
        found = manifest.items(self._listed)
        return {i: parts[table] for i, parts in found.items() if table in parts and "runs" in parts}

    def _table(self, table: str, columns: Iterable[str] | None, order: list[str]) -> pd.DataFrame:
        wanted = None if columns is None else list(dict.fromkeys([*order, *columns]))
        owned: dict[str, list[str]] = {}
        for item, run in zip(self._runs["item"], self._runs["run_id"], strict=True):
            owned.setdefault(item, []).append(run)
        tables = []
        for item, path in self._parts(table).items():
            if item in owned:
                rows = self._part(path, wanted)
                tables.append(_only(rows, owned[item]))
        joined = parquet.join(tables) if tables else parquet.to_table(table, None)
        unknown = [name for name in wanted or () if name not in joined.column_names]
        if unknown and tables:
            raise KeyError(
                f"{unknown[0]}: not a column of {table}; there are {joined.column_names}"
            )
        return parquet.to_pandas(self._ordered(joined, order))

    def _ordered(self, table: pa.Table, order: list[str]) -> pa.Table:
        """Rows by run, in the order of the runs table, and then by the other columns of `order`."""
        runs = pa.array(self._runs["run_id"].tolist(), pa.string())
        keys = {"run_id": pc.index_in(table["run_id"], value_set=runs).to_numpy()}
        keys |= {name: table[name].to_numpy() for name in order[1:] if name != "mode"}
        if "mode" in order:
            keys["mode"] = pc.equal(table["mode"], "greedy").to_numpy() == 0
        ranks = [keys[name] for name in reversed(order)]
        return table.take(np.lexsort(ranks)) if not _sorted(ranks[::-1]) else table

    def _part(self, path: str, columns: Iterable[str] | None = None) -> pa.Table:
        return parquet.from_bytes(self.path / path, self._read(path), columns)

    def _read(self, path: str) -> bytes:
        return manifest.read_listed(self.path, self._listed, path)

    def _json(self, path: str) -> dict[str, Any]:
        return json.loads(self._read(path)) if path in self._listed else {}


def _only(rows: pa.Table, runs: list[str]) -> pa.Table:
    """The rows of these runs."""
    mine = pc.is_in(rows["run_id"], value_set=pa.array(runs, pa.string()))
    return rows if pc.all(mine, min_count=0).as_py() else rows.filter(mine)


def _sorted(keys: list[np.ndarray]) -> bool:
    """Whether rows with these keys, the most important first, already stand in order."""
    undecided = np.ones(max(len(keys[0]) - 1, 0), bool)
    for key in keys:
        if np.any(undecided & (key[1:] < key[:-1])):
            return False
        undecided &= key[1:] == key[:-1]
    return True
