"""How is a file below a URL read and written? By one request, through fsspec.

    write    one PUT: an object store shows the old content or the new one, and nothing in between
    create   one conditional PUT, which exactly one of several writers gets

There is no folder to make, no rename and no link. A write that was cut off may be repeated, as it
says all of the file. What a store without whole PUTs leaves half written does not fit its seal, and
is not believed.

A backend that cannot create exclusively is refused before anything is trained. To write, wait and
read back who won would only make it unlikely that two workers hold one lease, by as much as the
network is slow: a folder that is mounted does better.
"""

import contextlib
import difflib
import secrets
import threading
from collections.abc import Iterator
from typing import Any

from rl_surrogates.store.places import StoreError, Url

_CREATING = threading.Lock()  # `memory` looks, and then writes; all who see it are of this process


def check_writable(folder: Url) -> None:
    """Really creates a file, which a second writer must not get, and removes it."""
    trial = folder / f".writable.{secrets.token_hex(8)}"
    try:
        if not _own_create(folder) or not create(trial, b"a trial") or create(trial, b"another"):
            raise StoreError(
                f"{folder}: {folder.scheme} cannot create a file that only one writer gets, which"
                " leases rest on; mount it as a folder, or take a bucket of s3, gs or az"
            )
        if read(trial) != b"a trial":
            raise StoreError(f"{folder}: does not give back what was written")
    finally:
        with contextlib.suppress(StoreError):  # the first one counts
            remove(trial)


def make_folder(folder: Url) -> None:
    """Nothing: the names of files are all that there is."""


def write_atomically(path: Url, data: bytes) -> None:
    """Replaces `path` by `data`."""
    with _reached(path, "written") as (system, name):
        system.pipe_file(name, data)


write_lightly = write_atomically


def create(path: Url, data: bytes) -> bool:
    """Makes a file of that name, whole, unless there is one; whether it was made."""
    try:
        with _CREATING, _reached(path, "made", FileExistsError) as (system, name):
            system.pipe_file(name, data, mode="create")
        return True
    except FileExistsError:
        # The answer may be to a repeated request, whose first one was heard.
        return exists(path) and read(path) == data


def read(path: Url) -> bytes:
    """The bytes of `path`, unchecked."""
    try:
        with _reached(path, "read", FileNotFoundError) as (system, name):
            return bytes(system.cat_file(name))
    except FileNotFoundError:
        raise StoreError(f"{path}: missing") from None


def exists(path: Url) -> bool:
    """Whether there is such a file, or one below that name; StoreError where that is not known."""
    try:
        with _reached(path, "found", FileNotFoundError) as (system, name):
            system.info(name)
        return True
    except FileNotFoundError:
        return False


is_folder = exists


def names(folder: Url) -> list[str]:
    """What lies in `folder`."""
    try:
        with _reached(folder, "listed", FileNotFoundError) as (system, name):
            return [path.rstrip("/").rpartition("/")[2] for path in system.ls(name, detail=False)]
    except FileNotFoundError:
        return []


def written(path: Url) -> float | None:
    """When `path` was written last, in seconds since 1970; None where it is not there."""
    try:
        with _reached(path, "read", FileNotFoundError) as (system, name):
            return system.modified(name).timestamp()
    except FileNotFoundError:
        return None


def remove(path: Url) -> None:
    """Removes a file, if it can be removed."""
    with contextlib.suppress(StoreError), _reached(path, "removed") as (system, name):
        system.rm_file(name)


def refuse_link(path: Url) -> None:
    """Nothing: there are no links."""


@contextlib.contextmanager
def _reached(
    url: Url, done: str, expected: type[OSError] | tuple[()] = ()
) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the name there; an error that is not `expected` is one line."""
    try:
        yield _found(url)
    except StoreError:
        raise
    except Exception as error:  # each backend has errors of its own
        if isinstance(error, expected):
            raise
        lines = (line.strip() for line in str(error).splitlines())
        reason = next(filter(None, lines), type(error).__name__)
        raise StoreError(f"{url}: cannot be {done}: {reason}") from error


def _found(url: Url) -> tuple[Any, str]:
    try:
        import fsspec
    except ImportError:
        raise StoreError(
            f"{url}: a URL needs the package fsspec: pip install 'rl-surrogates[remote]'"
        ) from None
    try:
        fsspec.get_filesystem_class(url.scheme)
    except ImportError as error:
        raise StoreError(f"{url}: its backend is not installed: {error}") from None
    except ValueError:
        known = difflib.get_close_matches(url.scheme, fsspec.available_protocols(), cutoff=0.5)
        near = ", ".join(known) or "none"
        raise StoreError(f"{url}: unknown scheme {url.scheme!r}; nearest: {near}") from None
    # What another process wrote is to be seen: nothing is remembered.
    return fsspec.url_to_fs(str(url), use_listings_cache=False)


def _own_create(url: Url) -> bool:
    """Whether the backend has its own way to write: that of fsspec looks first and then writes."""
    with _reached(url, "written") as (system, _):
        from fsspec import AbstractFileSystem

        return system.async_impl or type(system).pipe_file is not AbstractFileSystem.pipe_file
