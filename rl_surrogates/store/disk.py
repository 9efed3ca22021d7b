"""How is a file in a folder read and written, whole or not at all?

A write goes aside in the same folder, is synced, renamed over its name, and the folder is synced. A
file is created by a hard link, which exactly one of several writers gets. Nothing is written
through a symbolic link, nor read through one.
"""

import contextlib
import errno
import os
import secrets
from pathlib import Path

from rl_surrogates.store.places import StoreError

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}  # said by a file system
_FOLDER = getattr(os, "O_DIRECTORY", 0)


def check_writable(folder: Path) -> None:
    """Really writes a file, and removes it: permission bits do not tell everything."""
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


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces `path` by `data`, or leaves it exactly as it was."""
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


def write_lightly(path: Path, data: bytes) -> None:
    """The same, not synced."""
    aside = _aside_unsynced(path, data)
    try:
        os.replace(aside, path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {_reason(error)}") from error


def create(path: Path, data: bytes) -> bool:
    """Makes a file of that name, whole, unless there is one; whether it was made. Not synced."""
    aside = _aside_unsynced(path, data)
    try:
        os.link(aside, path, follow_symlinks=False)
        return True
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise StoreError(f"{path}: cannot be made: {_reason(error)}") from error
        return _create_unlinked(path, data)
    finally:
        aside.unlink(missing_ok=True)


def read(path: Path) -> bytes:
    """The bytes of `path`, unchecked."""
    refuse_link(path)
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise StoreError(f"{path}: missing") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {_reason(error)}") from error


def exists(path: Path) -> bool:
    """Whether the name is taken."""
    return os.path.lexists(path)


def is_folder(path: Path) -> bool:
    """Whether something may lie in it."""
    return path.is_dir()


def names(folder: Path) -> list[str]:
    """What lies in `folder`; nothing where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read: {_reason(error)}") from error


def written(path: Path) -> float | None:
    """When `path` was written last, in seconds since 1970; None where it is not there."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return None


def remove(path: Path) -> None:
    """Removes a file, if it can be removed."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def refuse_link(path: Path) -> None:
    """Raises StoreError if `path` is a symbolic link."""
    if path.is_symlink():
        raise StoreError(
            f"{path}: is a symbolic link; results are never written or read through one"
        )


def _create_unlinked(path: Path, data: bytes) -> bool:
    """`create` where a file cannot have two names; others may see it half written."""
    try:
        with path.open("xb") as file:
            file.write(data)
        return True
    except FileExistsError:
        return False


def _aside_unsynced(path: Path, data: bytes) -> Path:
    """The content under another name, which no other thread takes either."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.aside")
    try:
        aside.write_bytes(data)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {_reason(error)}") from error
    return aside


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
