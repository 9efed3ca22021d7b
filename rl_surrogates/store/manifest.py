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

Where many files are listed, those that were first lie in segments, and a new one costs no more than
the first:

    {"format": 2,
     "segments": {"000001.json": {"sha256": .., "bytes": ..}},
     "files": {what was listed since; null takes a file of a segment off the list},
     "sha256": of all that stands above}
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from rl_surrogates.store import segments
from rl_surrogates.store.files import (
    NAME,
    Seal,
    canonical_json,
    compact_json,
    read,
    read_sealed,
    refuse_link,
    seal_of,
    write_atomically,
)
from rl_surrogates.store.places import Place, StoreError

WHOLE, SEGMENTED = FORMATS = 1, 2
MANIFEST, PREVIOUS = "manifest.json", "manifest.previous.json"
LISTED = re.compile(rf"((parts|checkpoints)/)?{NAME.pattern}", re.ASCII)
TABLES = ("runs", "curves", "evaluations")

Files = dict[
    str, dict[str, Any]
]  # path inside the folder -> its entry, in the order in which they were listed


class Head(NamedTuple):
    """What the manifest itself holds."""

    files: dict[str, Any]  # listed since the last segment; None where no longer
    segments: segments.Seals


class Listing(NamedTuple):
    """The files of a results folder, and what was found wrong on the way to them."""

    files: Files
    damaged: list[str]  # one line each
    head: Head


def read_manifest(folder: Place) -> Files:
    """The files listed; StoreError if the manifest is missing or one byte of it has changed."""
    head = parse(folder / MANIFEST, read(folder / MANIFEST))
    listed: Files = {}
    for name, seal in head.segments.items():
        lay_over(listed, segments.read(folder, name, seal))
    return lay_over(listed, head.files)


def recover_manifest(folder: Place) -> Listing:
    """The files listed, by the manifest before the last one where the last one is damaged."""
    damaged = []
    try:
        head = parse(folder / MANIFEST, read(folder / MANIFEST))
    except StoreError as error:
        try:
            head = parse(folder / PREVIOUS, read(folder / PREVIOUS))
        except StoreError:
            raise error from None
        damaged = [str(error)]
    listed: Files = {}
    for name, seal in head.segments.items():
        found, wrong = segments.recover(folder, name, seal)
        damaged += [str(wrong)] if wrong else []
        lay_over(listed, found)
    return Listing(lay_over(listed, head.files), damaged, head)


def sound_bytes(folder: Place) -> bytes | None:
    """The manifest that lies there; None where there is none yet, or it is damaged."""
    try:
        data = read(folder / MANIFEST)
        parse(folder / MANIFEST, data)
    except StoreError:
        return None
    return data


def write_manifest(folder: Place, files: Files) -> None:
    """Lists `files` and no others, keeping the list before under another name."""
    replace_manifest(folder, Head(files, {}), sound_bytes(folder))


def replace_manifest(folder: Place, head: Head, before: bytes | None) -> bytes:
    """Writes a manifest and gives its bytes; those `before` it are kept under another name.

    Where there are none, as the last manifest is damaged, the good one before that stays.
    """
    if before is not None:
        write_atomically(folder / PREVIOUS, before)
    data = render(head)
    write_atomically(folder / MANIFEST, data)
    return data


def lay_over(listed: Files, later: dict[str, Any]) -> Files:
    """Lists what came `later`, behind all that is `listed`; None takes a file off the list."""
    for path, entry in later.items():
        listed.pop(path, None)
        if entry is not None:
            listed[path] = entry
    return listed


def read_listed(folder: Place, files: Mapping[str, dict[str, Any]], path: str) -> bytes:
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


def items(files: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
    """Item -> table -> path of its part, in the order in which the items were committed."""
    found: dict[str, dict[str, str]] = {}
    for path, entry in files.items():
        if "item" in entry:
            found.setdefault(entry["item"], {})[entry["table"]] = path
    return found


def render(head: Head) -> bytes:
    """The bytes of a manifest."""
    if not head.segments:
        content = {"format": WHOLE, "files": head.files}
        return canonical_json({**content, "sha256": seal_of(canonical_json(content)).sha256})
    content = {"format": SEGMENTED, "segments": head.segments, "files": head.files}
    return compact_json({**content, "sha256": seal_of(compact_json(content)).sha256})


def parse(path: Place, data: bytes) -> Head:
    """Reads the manifest and writes it again: any byte that differs is damage."""
    try:
        content = json.loads(data)
        version = content["format"]
        head = Head(content["files"], content.get("segments", {}))
        sound = render(head) == data
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StoreError(f"{path}: damaged: not a manifest") from None
    if version not in FORMATS:
        raise StoreError(f"{path}: has format {version!r:.20}; this version reads formats 1 and 2")
    if not sound:
        raise StoreError(f"{path}: damaged: its content is not what was written")
    return head
