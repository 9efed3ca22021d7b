"""Which files make up the results, and what must each of them be?

    {"format": 1,
     "files": {"plan.json": {"sha256": .., "bytes": ..},
               "parts/<item>.runs.parquet": {"sha256": .., "bytes": .., "table": "runs", "item": ..,
               "versions": {..}}},
     "sha256": of all that stands above}

It is written last: a part that it does not list does not exist. `next` beside a seal announces the
content that is about to replace a file, so that a crash between the two writes leaves both
readable. The manifest before the last one is kept: should the last one be damaged, one work item is
lost and not all of them.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

from rl_surrogates.store.files import (
    NAME,
    Seal,
    StoreError,
    canonical_json,
    read,
    read_sealed,
    refuse_link,
    seal_of,
    write_atomically,
)

FORMAT = 1
MANIFEST, PREVIOUS = "manifest.json", "manifest.previous.json"
LISTED = re.compile(rf"((parts|checkpoints)/)?{NAME.pattern}", re.ASCII)
TABLES = ("runs", "curves", "evaluations")

Files = dict[
    str, dict[str, Any]
]  # path inside the folder -> its entry, in the order in which they were listed


class Listing(NamedTuple):
    """The files of a results folder, and what was found wrong on the way to them."""

    files: Files
    damaged: list[str]  # one line each


def read_manifest(folder: Path) -> Files:
    """The files listed; StoreError if the manifest is missing or one byte of it has changed."""
    return _parse(folder / MANIFEST, read(folder / MANIFEST))


def recover_manifest(folder: Path) -> Listing:
    """The files listed, by the manifest before the last one where the last one is damaged."""
    try:
        return Listing(read_manifest(folder), [])
    except StoreError as error:
        try:
            return Listing(_parse(folder / PREVIOUS, read(folder / PREVIOUS)), [str(error)])
        except StoreError:
            raise error from None


def write_manifest(folder: Path, files: Files) -> None:
    """Lists `files`, keeping the list before under another name."""
    try:
        before = _render(read_manifest(folder))
    except StoreError:
        before = None  # there is none yet, or it is damaged: an older good one stays
    if before is not None:
        write_atomically(folder / PREVIOUS, before)
    write_atomically(folder / MANIFEST, _render(files))


def read_listed(folder: Path, files: Files, path: str) -> bytes:
    """The bytes of a listed file, which must be what the manifest says."""
    if path not in files:
        raise StoreError(f"{folder / path}: missing from {MANIFEST}")
    if not LISTED.fullmatch(path):
        raise StoreError(f"{folder / MANIFEST}: lists a file outside the results: {path[:120]!r}")
    refuse_link((folder / path).parent)
    entry = files[path]
    seals = [entry, entry["next"]] if "next" in entry else [entry]
    return read_sealed(folder / path, [Seal(seal["sha256"], seal["bytes"]) for seal in seals])


def entry_of(data: bytes, **about: Any) -> dict[str, Any]:
    """The entry for a file with these bytes."""
    return {**seal_of(data)._asdict(), **about}


def items(files: Files) -> dict[str, dict[str, str]]:
    """Item -> table -> path of its part, in the order in which the items were committed."""
    found: dict[str, dict[str, str]] = {}
    for path, entry in files.items():
        if "item" in entry:
            found.setdefault(entry["item"], {})[entry["table"]] = path
    return found


def _render(files: Files) -> bytes:
    content = {"format": FORMAT, "files": files}
    return canonical_json({**content, "sha256": seal_of(canonical_json(content)).sha256})


def _parse(path: Path, data: bytes) -> Files:
    """Reads the manifest and writes it again: any byte that differs is damage."""
    try:
        content = json.loads(data)
        files, version = content["files"], content["format"]
        sound = _render(files) == data
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StoreError(f"{path}: damaged: not a manifest") from None
    if version != FORMAT:
        raise StoreError(f"{path}: has format {version!r:.20}; this version reads format {FORMAT}")
    if not sound:
        raise StoreError(f"{path}: damaged: its content is not what was written")
    return files
