"""How do finished work items reach the results folder, so that nothing finished is ever lost?

`Store.open` makes or continues `root/name`; `commit` adds the tables of one work item, the manifest
last; what a crash leaves is either the state before or the state after. One process writes at a
time: the caller sees to that.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rl_surrogates.store import files, manifest, parquet, provenance
from rl_surrogates.store.leases import Leases
from rl_surrogates.store.leftovers import remove_strays
from rl_surrogates.store.listed import Listed
from rl_surrogates.store.parts import FINISHED, Parts, config_digest, statuses, write_parts
from rl_surrogates.store.places import Place, StoreError, Url

PLAN, PROVENANCE, PARTS, CHECKPOINTS = "plan.json", "provenance.json", "parts", "checkpoints"
KEPT = 2  # checkpoints of an unfinished work item: the last one, and one should it be damaged


class StoreWarning(UserWarning):
    """Results that are sound, but not all that was there or not all of one making."""


class Store:
    """A results folder that is open for writing."""

    def __init__(
        self,
        path: Place,
        plan: dict[str, Any],
        versions: dict[str, str],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Use `Store.open`."""
        self.path = path
        self.plan = plan
        self.versions = versions
        self.listed = Listed(path, check)
        self.damaged: list[str] = []  # what was found damaged and will be run again, one line each
        self.status: dict[str, str] = {}  # run_id -> status of its last commit
        self._digests = {s["index"]: config_digest(s["config"]) for s in plan["settings"]}

    @classmethod
    def open(
        cls,
        root: str | os.PathLike | Url,
        name: str,
        plan: dict[str, Any],
        made_by: dict[str, Any],
        check: Callable[[], None] = lambda: None,
    ) -> "Store":
        """Makes the folder `root/name`, or continues what lies there.

        Parts stay whatever the new plan says; a reader shows the runs of the plan. A damaged part
        is dropped from the manifest, with a `StoreWarning`, so that its runs are run again. The
        provenance of the first session stands. `check` is asked before each change of what is
        listed, and raises StoreError where another process writes there now.

        Raises:
          StoreError: the folder cannot be written, is a symbolic link, or both manifests are
            damaged.
        """
        path = files.results_folder(root, name)
        store = cls(path, plan, provenance.versions_of(made_by), check)
        files.make_folder(path)
        files.make_folder(path / PARTS)
        files.remove_leftovers(path)
        store._recover()
        remove_strays(store.listed, path)
        if store.damaged:
            lines = "; ".join(store.damaged)
            warnings.warn(f"not all earlier results are sound, their runs are run again: {lines}",
                          StoreWarning, stacklevel=2)  # fmt: skip
        if PROVENANCE not in store.listed:
            store._write(PROVENANCE, files.canonical_json(made_by))
        store._write(PLAN, files.canonical_json(plan))
        return store

    def tidy(self) -> None:
        """Removes what workers left of a sweep that is over."""
        self.listed.check()
        leases = Leases(self.path)
        leases.forget([lease.item for lease in leases.all() if leases.expired(lease)])
        remove_strays(self.listed, self.path)

    def finished_runs(self) -> set[str]:
        """Runs of the plan that need not be run again: those that are done, or known to diverge.

        Where the plan keeps policies, a run that is done without one is to be run again.
        """
        planned = {run for item in self.plan["items"] for run in item["runs"]}
        finished = {run for run in planned if self.status.get(run) in FINISHED}
        if not self.plan.get("execution", {}).get("save_policies"):
            return finished
        kept = {
            run for e in self.listed.values() if e.get("table") == "policies" for run in e["runs"]
        }
        return {run for run in finished if run in kept or self.status[run] == "diverged"}

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
        contents = runs, curves, evaluations
        paths = self.part_paths(item)
        written = write_parts(self.path, paths, item, contents, self._digests, self.versions)
        self.enlist(item, written)

    def quarantine(self, item: str, runs: parquet.Content, traceback: str) -> str:
        """Stores that the runs of a work item failed, and why; the path of the traceback."""
        self.listed.check()
        paths = self.part_paths(item)
        written = write_parts(
            self.path, paths, item, (runs, None, None), self._digests, self.versions
        )
        path = paths["runs"].replace(".runs.parquet", ".traceback.txt")
        data = traceback.encode("utf-8", "replace")
        files.write_atomically(self.path / path, data)
        entry = manifest.entry_of(data, table="traceback", item=item)
        self.enlist(item, written._replace(entries={**written.entries, path: entry}))
        return path

    def enlist(self, item: str, written: Parts) -> None:
        """Lists the parts of a work item, instead of those it had, and drops its checkpoints."""
        self._list([*self.listed.parts(item), *self.checkpoints(item)], written.entries)
        self.status.update(written.status)

    def part_paths(self, item: str) -> dict[str, str]:
        """Table -> the path that the item's part is to have."""
        if not files.NAME.fullmatch(item):
            raise StoreError(f"{item[:120]!r}: not a name for a work item")
        return {table: self._part(item, table) for table in manifest.TABLES}

    def checkpoints(self, item: str) -> dict[str, dict[str, Any]]:
        """Path -> entry of the item's checkpoints, the newest first."""
        return {path: self.listed[path] for path in reversed(self.listed.checkpoints(item))}

    def begun(self) -> list[dict[str, Any]]:
        """What the newest checkpoint of each unfinished work item says of it."""
        return [self.listed[self.listed.checkpoints(item)[-1]] for item in self.listed.begun()]

    def enlist_checkpoint(self, item: str, path: str, entry: dict[str, Any]) -> None:
        """Lists a checkpoint; the item's last ones stay, older ones are removed."""
        older = [other for other in self.checkpoints(item) if other != path]
        self._list({path, *older[KEPT - 1 :]}, {path: entry})

    def drop_checkpoints(self, paths: Iterable[str]) -> None:
        """Forgets checkpoints that are damaged, or of items that there are no longer."""
        if gone := [path for path in paths if path in self.listed]:
            self._list(gone, {})

    def _list(self, gone: Iterable[str], entries: manifest.Files) -> None:
        """One new manifest; checkpoints that are `gone` leave the disk after it."""
        self.listed.update(gone, entries)
        for path in gone:
            if path.startswith(f"{CHECKPOINTS}/") and path not in self.listed:
                files.remove(self.path / path)

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
            self.listed.update([], {path: {**self.listed[path], "next": entry}})
        files.write_atomically(self.path / path, data)
        self.listed.update([], {path: entry})

    def _recover(self) -> None:
        """Takes over what is sound of the results that lie here, if any."""
        if not any(files.exists(self.path / n) for n in (manifest.MANIFEST, manifest.PREVIOUS)):
            return
        self.damaged = self.listed.recover()
        gone = []
        for path in {PLAN, PROVENANCE} & set(
            self.listed
        ):  # neither, if the first start was cut off
            gone += self._damaged([path])[1]
        for parts in manifest.items(self.listed).values():
            contents, bad = self._damaged(list(parts.values()))
            gone += bad
            if contents and "runs" in parts:
                data = contents[list(parts).index("runs")]
                runs = parquet.from_bytes(self.path / parts["runs"], data, ["run_id", "status"])
                self.status.update(statuses(runs))
        if self.damaged:
            self.listed.update(gone, {})

    def _damaged(self, paths: list[str]) -> tuple[list[bytes], list[str]]:
        """The bytes of files that belong together; where one is damaged, the paths of all."""
        try:
            return [manifest.read_listed(self.path, self.listed, path) for path in paths], []
        except StoreError as error:
            self.damaged.append(str(error))
            return [], paths


def mixed(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """The versions of what one session began and another finished: both, where they differ."""
    names = dict.fromkeys([*one, *other])
    pairs = {
        name: dict.fromkeys([one.get(name, "none"), other.get(name, "none")]) for name in names
    }
    return {name: "+".join(pair) for name, pair in pairs.items()}


def part_versions(listed: Mapping[str, dict[str, Any]]) -> list[dict[str, str]]:
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
