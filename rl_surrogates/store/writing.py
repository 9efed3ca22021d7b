"""How do finished work items reach the results folder, so that nothing finished is ever lost?

`Store.open` makes or continues `root/name`; `commit` adds the tables of one work item, the manifest
last; what a crash leaves is either the state before or the state after. One process writes at a
time: the caller sees to that.
"""

import json
import os
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rl_surrogates.store import files, manifest, parquet, provenance
from rl_surrogates.store.files import StoreError

PLAN, PROVENANCE, PARTS = "plan.json", "provenance.json", "parts"
FINISHED = ("done", "diverged")
CONFIG = "config_digest"  # column of a runs part: which config, whatever its index may be later


class StoreWarning(UserWarning):
    """Results that are sound, but not all that was there or not all of one making."""


class Store:
    """A results folder that is open for writing."""

    def __init__(self, path: Path, plan: dict[str, Any], versions: dict[str, str]) -> None:
        """Use `Store.open`."""
        self.path = path
        self.plan = plan
        self.versions = versions
        self.listed = manifest.Files()
        self.damaged: list[str] = []  # what was found damaged and will be run again, one line each
        self.status: dict[str, str] = {}  # run_id -> status of its last commit
        self._digests = {s["index"]: config_digest(s["config"]) for s in plan["settings"]}

    @classmethod
    def open(
        cls, root: str | os.PathLike, name: str, plan: dict[str, Any], made_by: dict[str, Any]
    ) -> "Store":
        """Makes the folder `root/name`, or continues what lies there.

        Parts stay whatever the new plan says; a reader shows the runs of the plan. A damaged part
        is dropped from the manifest, with a `StoreWarning`, so that its runs are run again. The
        provenance of the first session stands.

        Raises:
          StoreError: the folder cannot be written, is a symbolic link, or both manifests are
            damaged.
        """
        path = files.results_folder(root, name)
        store = cls(path, plan, provenance.versions_of(made_by))
        files.make_folder(path)
        files.make_folder(path / PARTS)
        files.remove_leftovers(path)
        files.remove_leftovers(path / PARTS)
        store._recover()
        if store.damaged:
            lines = "; ".join(store.damaged)
            warnings.warn(f"not all earlier results are sound, their runs are run again: {lines}",
                          StoreWarning, stacklevel=2)  # fmt: skip
        if PROVENANCE not in store.listed:
            store._write(PROVENANCE, files.canonical_json(made_by))
        store._write(PLAN, files.canonical_json(plan))
        return store

    def finished_runs(self) -> set[str]:
        """Runs of the plan that need not be run again: those that are done, or known to diverge."""
        planned = {run for item in self.plan["items"] for run in item["runs"]}
        return {run for run in planned if self.status.get(run) in FINISHED}

    def mixed_versions(self) -> dict[str, tuple[str, ...]]:
        """Package -> its versions, where the stored parts and this session do not all agree."""
        return differing([self.versions, *part_versions(self.listed)])

    def commit(
        self,
        item: str,
        runs: parquet.Content,
        curves: parquet.Content = None,
        evaluations: parquet.Content = None,
    ) -> None:
        """Stores the tables of one work item: its three parts, and then the manifest.

        Raises:
          StoreError: a write failed; the results are what they were.
          ValueError: tables that do not fit each other or the plan.
        """
        if not files.NAME.fullmatch(item):
            raise StoreError(f"{item[:120]!r}: not a name for a work item")
        tables = self._tables(item, runs, curves, evaluations)
        before = manifest.items(self.listed).get(item, {})
        after = {path: entry for path, entry in self.listed.items() if path not in before.values()}
        for table, content in tables.items():
            path, data = self._part(item, table), parquet.to_bytes(content)
            files.write_atomically(self.path / path, data)
            about = {"table": table, "item": item, "versions": self.versions}
            after[path] = manifest.entry_of(data, **about)
        manifest.write_manifest(self.path, after)
        self.listed = after
        self.status.update(_statuses(tables["runs"]))

    def _tables(self, item: str, runs, curves, evaluations) -> dict[str, pa.Table]:
        contents = zip(manifest.TABLES, (runs, curves, evaluations), strict=True)
        tables = {name: parquet.to_table(name, content) for name, content in contents}
        ids = tables["runs"]["run_id"]
        if pc.count_distinct(ids).as_py() != len(ids):
            raise ValueError("the table of runs names a run twice")
        if set(tables["runs"]["item"].to_pylist()) - {item}:
            raise ValueError(f"the table of runs has rows of another work item than {item}")
        for name in ("curves", "evaluations"):
            known = pc.is_in(tables[name]["run_id"], value_set=ids.combine_chunks())
            if not pc.all(known, min_count=0).as_py():
                raise ValueError(
                    f"the table of {name} has rows of a run that is not in the table of runs"
                )
        settings = tables["runs"]["setting"].to_pylist()
        unknown = sorted(set(settings) - set(self._digests))
        if unknown:
            raise ValueError(f"the table of runs has settings that the plan lacks: {unknown}")
        digests = pa.array([self._digests[setting] for setting in settings], pa.string())
        tables["runs"] = tables["runs"].append_column(CONFIG, digests)
        return tables

    def _part(self, item: str, table: str) -> str:
        """A path not in use: no listed part is overwritten, so any manifest finds what it lists."""
        path, generation = f"{PARTS}/{item}.{table}.parquet", 1
        while path in self.listed:
            generation += 1
            path = f"{PARTS}/{item}.{generation}.{table}.parquet"
        return path

    def _write(self, path: str, data: bytes) -> None:
        """Replaces a file and its entry; a crash in between leaves one of them, readable."""
        entry = manifest.entry_of(data)
        if self.listed.get(path) == entry:
            return
        if path in self.listed:
            self.listed[path] = {**self.listed[path], "next": entry}
            manifest.write_manifest(self.path, self.listed)
        files.write_atomically(self.path / path, data)
        self.listed[path] = entry
        manifest.write_manifest(self.path, self.listed)

    def _recover(self) -> None:
        """Takes over what is sound of the results that lie here, if any."""
        if (
            not (self.path / manifest.MANIFEST).exists()
            and not (self.path / manifest.PREVIOUS).exists()
        ):
            return
        found, self.damaged = manifest.recover_manifest(self.path)
        self.listed = dict(found)
        for path in (PLAN, PROVENANCE):
            self._read_or_drop([path])
        for parts in manifest.items(found).values():
            contents = self._read_or_drop(list(parts.values()))
            if contents and "runs" in parts:
                data = contents[list(parts).index("runs")]
                runs = parquet.from_bytes(self.path / parts["runs"], data, ["run_id", "status"])
                self.status.update(_statuses(runs))
        if self.listed != found or self.damaged:
            manifest.write_manifest(self.path, self.listed)

    def _read_or_drop(self, paths: list[str]) -> list[bytes]:
        """The bytes of files that belong together; where one is damaged, none stays listed."""
        try:
            return [manifest.read_listed(self.path, self.listed, path) for path in paths]
        except StoreError as error:
            self.damaged.append(str(error))
            for path in paths:
                self.listed.pop(path, None)
            return []


def config_digest(config: dict[str, Any]) -> str:
    """Names a flat config by its content."""
    return files.seal_of(json.dumps(config, sort_keys=True).encode()).sha256[:16]


def part_versions(listed: manifest.Files) -> list[dict[str, str]]:
    """The versions that made each part."""
    return [entry["versions"] for entry in listed.values() if "versions" in entry]


def differing(records: list[dict[str, str]]) -> dict[str, tuple[str, ...]]:
    """Package -> sorted versions, for the packages in which the records do not all agree."""
    names = sorted({name for record in records for name in record})
    values = {
        name: tuple(sorted({record.get(name, "none") for record in records})) for name in names
    }
    return {name: versions for name, versions in values.items() if len(versions) > 1}


def check_versions(store: Store, *, strict: bool = False) -> None:
    """Warns where other versions of the packages made the stored parts than would add to them now.

    Raises:
      StoreError: they differ, and `strict`.
    """
    mixed = store.mixed_versions()
    if not mixed:
        return
    text = "; ".join(f"{name} {' and '.join(versions)}" for name, versions in mixed.items())
    line = f"{store.path}: results of different versions: {text}"
    if strict:
        raise StoreError(f"{line}; refused because of --strict")
    warnings.warn(line, StoreWarning, stacklevel=2)


def _statuses(runs: pa.Table) -> dict[str, str]:
    return dict(zip(runs["run_id"].to_pylist(), runs["status"].to_pylist(), strict=True))
