"""How does a file come to be whole or not there at all, and how is a damaged one noticed?

A write goes aside in the same folder, is synced, renamed over its name, and the folder is synced. A
reader hashes the very bytes that it then parses. Nothing is written through a symbolic link, nor
read through one.
"""

import contextlib
import hashlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", re.ASCII)
DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.ASCII | re.IGNORECASE)  # Windows
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_DIRECTORY", 0)


class StoreError(Exception):
    """A place that cannot be written, or a file not to be trusted; one line that names it."""


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


def results_folder(root: str | os.PathLike, name: str) -> Path:
    """`root/name`, if the name is a plain one and does not lead out of `root`.

    Raises:
      StoreError: a name outside `[A-Za-z0-9._-]{1,100}`, with a leading dot, or reserved; a
        symbolic link.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name) or DEVICE.fullmatch(name):
        raise StoreError(
            f"{str(name)[:120]!r}: not a name for results; take 1 to 100 of A-Z a-z 0-9 . _ -,"
            " with no leading dot"
        )
    folder = Path(root) / name
    refuse_link(folder)
    return folder


def check_writable(root: str | os.PathLike, name: str) -> None:
    """Raises StoreError unless results called `name` can be written below `root`; leaves nothing
    behind.

    It really writes a file, and removes it: permission bits do not tell everything.
    """
    folder = results_folder(root, name)
    place = folder
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise StoreError(f"{place}: not a folder, so {folder} cannot be made")
    for inside in (place, *(child for child in folder.glob("*") if child.is_dir())):
        trial = _aside(inside / "writable")
        try:
            _write_new(trial, b"a trial")
        except OSError as error:
            raise StoreError(f"{inside}: cannot be written: {_reason(error)}") from error
        finally:
            with contextlib.suppress(OSError):
                trial.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Makes `folder` and its parents where they are missing."""
    refuse_link(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {_reason(error)}") from error


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Replaces `path` by `data`, or leaves it exactly as it was.

    Raises:
      StoreError: the write, the sync or the rename failed; `path` or its folder is a symbolic link.
    """
    path = Path(path)
    refuse_link(path.parent)
    refuse_link(path)
    aside = _aside(path)
    try:
        _write_new(aside, data)
        os.replace(aside, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {_reason(error)}") from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def write_if_changed(path: Path, data: bytes) -> None:
    """`write_atomically`, the folder made first; no change where `path` already holds `data`."""
    make_folder(path.parent)
    refuse_link(path)
    if not path.is_file() or path.read_bytes() != data:
        write_atomically(path, data)


def read_sealed(path: Path, seals: list[Seal]) -> bytes:
    """The bytes of `path`, which must be what one of `seals` says."""
    data = read(path)
    if seal_of(data) not in seals:
        raise StoreError(f"{path}: damaged: its SHA-256 is not the one in the manifest")
    return data


def read(path: Path) -> bytes:
    """The bytes of `path`, unchecked."""
    refuse_link(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{path}: missing") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {_reason(error)}") from error


def remove_leftovers(folder: Path) -> None:
    """Removes what a killed writer left aside in `folder`."""
    for aside in folder.glob(".*.aside"):
        with contextlib.suppress(OSError):
            aside.unlink()


def remove(path: Path) -> None:
    """Removes a file that no manifest lists any more, if it can be removed."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def refuse_link(path: Path) -> None:
    """Raises StoreError if `path` is a symbolic link."""
    if path.is_symlink():
        raise StoreError(
            f"{path}: is a symbolic link; results are never written or read through one"
        )


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.aside")


def _write_new(path: Path, data: bytes) -> None:
    """Writes and syncs a file that must be new; the permissions are those that the umask leaves."""
    path.unlink(missing_ok=True)  # of a killed writer that had our process id
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW, 0o666)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    if not _FOLDER:
        return  # this system cannot sync a folder
    descriptor = os.open(folder, os.O_RDONLY | _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
