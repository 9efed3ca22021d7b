"""How does a file come to be whole or not there at all, and how is a damaged one noticed?

Results lie in a folder or below a URL (`places`): each operation here is done by `disk` or by
`remote`, and nothing else in the package reads or writes them. A reader hashes the very bytes that
it then parses.
"""

import hashlib
import io
import json
import os
import re
from types import ModuleType
from typing import Any, NamedTuple

from rl_surrogates.store import disk, remote
from rl_surrogates.store.places import Place, StoreError, Url, place

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", re.ASCII)
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.ASCII | re.IGNORECASE)  # Windows
ASIDE = re.compile(r"\..*\.aside", re.DOTALL)  # what a killed writer leaves in a folder


class Seal(NamedTuple):
    """What a file must be: its size and its hash."""

    sha256: str
    bytes: int


def seal_of(data: bytes) -> Seal:
    """The seal of these bytes."""
    return Seal(hashlib.sha256(data).hexdigest(), len(data))


def canonical_json(content: Any) -> bytes:
    """The one way in which the store writes JSON: keys as they come, ASCII, a line per value."""
    text = io.StringIO()  # piece by piece: a list of the pieces would be much larger than the text
    json.dump(content, text, indent=1)
    return f"{text.getvalue()}\n".encode("ascii")


def compact_json(content: Any) -> bytes:
    """The same on one line, for what has many thousands of values and no reader."""
    return (json.dumps(content, separators=(",", ":")) + "\n").encode("ascii")


def results_folder(root: str | os.PathLike | Url, name: str) -> Place:
    """`root/name`, if the name is a plain one and does not lead out of `root`.

    Raises:
      StoreError: a name outside `[A-Za-z0-9._-]{1,100}`, with a leading dot, or reserved; a
        symbolic link; a URL that names no place.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name) or DEVICE.fullmatch(name):
        raise StoreError(
            f"{str(name)[:120]!r}: not a name for results; take 1 to 100 of A-Z a-z 0-9 . _ -,"
            " with no leading dot"
        )
    folder = place(root) / name
    refuse_link(folder)
    return folder


def check_writable(root: str | os.PathLike | Url, name: str) -> None:
    """Raises StoreError unless results called `name` can be written below `root`; leaves nothing
    behind.
    """
    folder = results_folder(root, name)
    _at(folder).check_writable(folder)


def make_folder(folder: Place) -> None:
    """Makes `folder` and its parents where they are missing."""
    _at(folder).make_folder(folder)


def write_atomically(path: str | os.PathLike | Url, data: bytes) -> None:
    """Replaces `path` by `data`, or leaves it exactly as it was.

    Raises:
      StoreError: the write, the sync or the rename failed; `path` or its folder is a symbolic link.
    """
    path = place(path)
    _at(path).write_atomically(path, data)


def write_lightly(path: Place, data: bytes) -> None:
    """The same for what need not outlive its host: not synced."""
    _at(path).write_lightly(path, data)


def write_if_changed(path: Place, data: bytes) -> None:
    """`write_atomically`, the folder made first; no change where `path` already holds `data`."""
    make_folder(path.parent)
    if not exists(path) or read(path) != data:
        write_atomically(path, data)


def create(path: Place, data: bytes) -> bool:
    """Makes a file of that name, whole, unless there is one; True for one of any number of callers.

    Raises:
      StoreError: it cannot be made, for another reason.
    """
    return _at(path).create(path, data)


def read_sealed(path: Place, seals: list[Seal]) -> bytes:
    """The bytes of `path`, which must be what one of `seals` says."""
    data = read(path)
    if seal_of(data) not in seals:
        raise StoreError(f"{path}: damaged: its SHA-256 is not the one in the manifest")
    return data


def read(path: Place) -> bytes:
    """The bytes of `path`, unchecked."""
    return _at(path).read(path)


def exists(path: Place) -> bool:
    """Whether the name is taken."""
    return _at(path).exists(path)


def is_folder(path: Place) -> bool:
    """Whether it is a folder; below a URL, whether there is anything."""
    return _at(path).is_folder(path)


def names(folder: Place) -> list[str]:
    """What lies in `folder`, in any order; nothing where there is no folder."""
    return _at(folder).names(folder)


def written(path: Place) -> float | None:
    """When `path` was written last, in seconds since 1970; None where it is not there."""
    return _at(path).written(path)


def remove(path: Place) -> None:
    """Removes a file that no manifest lists any more, if it can be removed."""
    _at(path).remove(path)


def remove_leftovers(folder: Place) -> None:
    """Removes what a killed writer left aside in `folder`."""
    for name in names(folder):
        if ASIDE.fullmatch(name):
            remove(folder / name)


def refuse_link(path: Place) -> None:
    """Raises StoreError if `path` is a symbolic link."""
    _at(path).refuse_link(path)


def _at(path: Place) -> ModuleType:
    return remote if isinstance(path, Url) else disk
