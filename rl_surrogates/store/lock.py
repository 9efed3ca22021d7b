"""Who may write here? One process at a time per results folder.

The lock is the kernel's, on an open file, so it ends with the last process that holds that file
open, however that process ends; a worker inherits it, and no other sweep begins before a killed
sweep's worker has left. The file names the holder, for the others to read. It is empty while nobody
writes. Where it names another machine, the kernel there cannot be asked: a person has to decide.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from rl_surrogates.store import disk
from rl_surrogates.store.places import StoreError

try:
    import fcntl
except ImportError:  # a system without it: the folder is not guarded there
    fcntl = None

LOCK = ".lock"
PATIENCE = 5.0  # seconds that a killed sweep's worker may take to leave


@contextlib.contextmanager
def locked(folder: Path, patience: float = PATIENCE) -> Iterator[int]:
    """Holds the lock of `folder`; gives the file descriptor, which a worker is to inherit.

    Raises:
      StoreError: another process holds it, with its process id and host.
    """
    path = folder / LOCK
    disk.refuse_link(path)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | disk.NO_FOLLOW, 0o644)
    except OSError as error:
        raise StoreError(f"{path}: cannot be opened: {error.strerror}") from error
    try:
        _take(path, descriptor, patience)
        _write(path, descriptor, {"pid": os.getpid(), "host": socket.gethostname()})
        try:
            yield descriptor
        finally:
            _write(path, descriptor, None)
    finally:
        os.close(descriptor)


def _take(path: Path, descriptor: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            holder = _holder(descriptor)
            if _alive(holder) or time.monotonic() > deadline:
                raise StoreError(f"{path.parent}: {_who(holder)} is writing there") from None
            time.sleep(0.05)
    holder = _holder(descriptor)
    if holder and holder.get("host") != socket.gethostname():
        raise StoreError(
            f"{path.parent}: {_who(holder)} was writing there and did not finish; "
            f"if it no longer runs, remove {path}"
        )


def _holder(descriptor: int) -> dict:
    """What the lock file says; empty where nobody is named, or not legibly."""
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
        return found if isinstance(found, dict) else {}
    except ValueError:
        return {}


def _alive(holder: dict) -> bool:
    """Whether the named process runs on this machine, or cannot be asked."""
    if holder.get("host") != socket.gethostname() or not isinstance(holder.get("pid"), int):
        return bool(holder)
    return runs(holder["pid"])


def runs(pid: int) -> bool:
    """Whether a process of this machine runs, or cannot be asked."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _who(holder: dict) -> str:
    pid, host = holder.get("pid", "unknown"), holder.get("host", "unknown")
    return f"process {str(pid)[:20]} on host {str(host)[:100]!r}"


def _write(path: Path, descriptor: int, holder: dict | None) -> None:
    try:
        os.ftruncate(descriptor, 0)
        if holder:
            os.pwrite(descriptor, json.dumps(holder).encode("ascii"), 0)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error
