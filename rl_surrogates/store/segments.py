"""Where does the longest part of a long manifest lie? In segments that are written once.

A segment lists some hundred files and is never changed; the manifest seals it. Of each there are
two copies: one damaged file costs no more than one work item, as everywhere in the results.

    {"versions": [{..}], "files": {"parts/<item>.runs.parquet": {.., "versions": 0}, "old": null}}

The versions of the packages, equal in nearly all entries, stand there once; null says that a file
of an earlier segment is no longer listed.
"""

import json
from collections.abc import Mapping
from typing import Any

from rl_surrogates.store import files
from rl_surrogates.store.files import Seal
from rl_surrogates.store.places import Place, StoreError

SEGMENTS = "segments"  # the folder
SUFFIX = ".json"
VERSIONS = "versions"
Seals = dict[str, dict[str, Any]]  # name of a segment -> {"sha256": .., "bytes": ..}


def write(folder: Place, at: int, listed: Mapping[str, Any]) -> Seals:
    """Writes segment number `at` of the results in `folder`; its name and its seal."""
    data = _render(listed)
    name = f"{at:06d}{SUFFIX}"
    files.make_folder(folder / SEGMENTS)
    for path in _copies(folder, name):
        files.write_atomically(path, data)
    return {name: files.seal_of(data)._asdict()}


def number(name: str) -> int:
    """The number of the segment with this name."""
    return int(name.removesuffix(SUFFIX))


def read(folder: Place, name: str, seal: Mapping[str, Any]) -> dict[str, Any]:
    """What a segment lists; StoreError if it is damaged, whatever its copy is."""
    return _parse(*_sealed(folder, name, seal, 0))


def recover(
    folder: Place, name: str, seal: Mapping[str, Any]
) -> tuple[dict[str, Any], StoreError | None]:
    """What a segment lists, by its copy where it is damaged; empty where both are."""
    try:
        return read(folder, name, seal), None
    except StoreError as error:
        try:
            return _parse(*_sealed(folder, name, seal, 1)), error
        except StoreError:
            return {}, error


def mend(folder: Place, name: str, seal: Mapping[str, Any]) -> bool:
    """Writes a damaged segment again from its copy; False where both are damaged."""
    try:
        data = _sealed(folder, name, seal, 1)[1]
    except StoreError:
        return False
    files.write_atomically(_copies(folder, name)[0], data)
    return True


def remove_strays(folder: Place, known: Mapping[str, Any]) -> None:
    """Removes segments that no manifest lists."""
    kept = {path for name in known for path in _copies(folder, name)}
    files.remove_leftovers(folder / SEGMENTS)
    for name in files.names(folder / SEGMENTS):
        if folder / SEGMENTS / name not in kept:
            files.remove(folder / SEGMENTS / name)


def _copies(folder: Place, name: str) -> tuple[Place, Place]:
    if not files.NAME.fullmatch(name):
        raise StoreError(f"{folder}: lists a segment outside the results: {name[:120]!r}")
    return folder / SEGMENTS / name, folder / SEGMENTS / f"{name.removesuffix(SUFFIX)}.copy{SUFFIX}"


def _sealed(folder: Place, name: str, seal: Mapping[str, Any], copy: int) -> tuple[Place, bytes]:
    path = _copies(folder, name)[copy]
    files.refuse_link(path.parent)
    return path, files.read_sealed(path, [Seal(seal["sha256"], seal["bytes"])])


def _render(listed: Mapping[str, Any]) -> bytes:
    versions: dict[str, int] = {}  # as JSON -> where it stands
    short = {}
    for path, entry in listed.items():
        if entry and VERSIONS in entry:
            at = versions.setdefault(json.dumps(entry[VERSIONS]), len(versions))
            entry = {**entry, VERSIONS: at}
        short[path] = entry
    return files.compact_json({VERSIONS: [json.loads(one) for one in versions], "files": short})


def _parse(path: Place, data: bytes) -> dict[str, Any]:
    try:
        content = json.loads(data)
        versions, listed = content[VERSIONS], content["files"]
        for entry in listed.values():
            if entry and VERSIONS in entry:
                entry[VERSIONS] = versions[entry[VERSIONS]]  # shared, not copied
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise StoreError(f"{path}: damaged: not a segment of a manifest") from None
    return listed
