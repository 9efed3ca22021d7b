"""How do the tables of one work item become three files that count only once they are listed?

A worker writes them, the process that owns the manifest lists them (`Store.enlist`): what a worker
that died left behind does not exist.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from rl_surrogates.store import files, manifest, parquet
from rl_surrogates.store.places import Place

FINISHED = ("done", "diverged")  # a run that ended so need not be run again
CONFIG = "config_digest"  # column of a runs part: which config, whatever its index may be later


class Parts(NamedTuple):
    """The parts of a work item, written and not yet listed."""

    entries: manifest.Files
    status: dict[str, str]  # run_id -> how it ended


def checked_tables(
    item: str,
    digests: Mapping[int, str],
    runs: parquet.Content,
    curves: parquet.Content,
    evaluations: parquet.Content,
) -> dict[str, pa.Table]:
    """The tables of a work item, which must fit each other; `digests` are of the settings."""
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
    unknown = sorted(set(settings) - set(digests))
    if unknown:
        raise ValueError(f"the table of runs has settings that the plan lacks: {unknown}")
    column = pa.array([digests[setting] for setting in settings], pa.string())
    tables["runs"] = tables["runs"].append_column(CONFIG, column)
    return tables


def write_parts(
    folder: Place,
    paths: Mapping[str, str],
    item: str,
    contents: Iterable[parquet.Content],
    digests: Mapping[int, str],
    versions: Mapping[str, str],
) -> Parts:
    """Writes the parts of a work item; they count once they are listed (`Store.enlist`).

    Args:
      folder: of the results. paths: table -> path of its part. item: the name of the work item.
      contents: of the tables of runs, curves and evaluations.
      digests: setting -> digest of its config.
      versions: of the packages that made them.

    Raises:
      StoreError: a write failed.
      ValueError: tables that do not fit each other; nothing is written.
    """
    tables, entries = checked_tables(item, digests, *contents), {}
    for table, content in tables.items():
        data = parquet.to_bytes(content)
        files.write_atomically(folder / paths[table], data)
        entries[paths[table]] = manifest.entry_of(data, table=table, item=item, versions=versions)
    return Parts(entries, statuses(tables["runs"]))


def config_digest(config: dict[str, Any]) -> str:
    """Names a flat config by its content."""
    return files.seal_of(json.dumps(config, sort_keys=True).encode()).sha256[:16]


def statuses(runs: pa.Table) -> dict[str, str]:
    """Run -> how it ended."""
    return dict(zip(runs["run_id"].to_pylist(), runs["status"].to_pylist(), strict=True))


def stored_runs(folder: Place, listed: manifest.Files, items: Iterable[str]) -> set[str]:
    """The runs of these work items that are done, or known to diverge."""
    found: set[str] = set()
    stored = manifest.items(listed)
    for path in (stored[item]["runs"] for item in items):
        data = manifest.read_listed(folder, listed, path)
        ended = statuses(parquet.from_bytes(folder / path, data, ["run_id", "status"]))
        found |= {run for run, status in ended.items() if status in FINISHED}
    return found
