"""A store for fsspec, `bucket:///some/folder`, that several processes see and that promises little.

It has no rename and no folders to make, and a write may be cut off in the middle: what was there is
gone then, and half of the new file is there. A file can be created exclusively, as in S3 or GCS.
"""

import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

import fsspec


class Bucket(fsspec.AbstractFileSystem):
    protocol = "bucket"
    cachable = False
    cut: int | None = None  # the write, counted from 0, that is cut off
    writes = itertools.count()

    def pipe_file(self, path, value, mode="overwrite", **_):
        path = self._strip_protocol(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb" if mode == "create" else "wb") as file:
            if next(Bucket.writes) == Bucket.cut:
                file.write(value[: len(value) // 2])
                raise ConnectionResetError(104, "Connection reset by peer")
            file.write(value)

    def cat_file(self, path, start=None, end=None, **_):
        return Path(self._strip_protocol(path)).read_bytes()

    def info(self, path, **_):
        path = self._strip_protocol(path)
        kind = "directory" if os.path.isdir(path) else "file"
        if kind == "directory" and not any(files for _, _, files in os.walk(path)):
            raise FileNotFoundError(path)  # a name is there as long as a file has it
        return {"name": path, "size": os.stat(path).st_size, "type": kind}

    def ls(self, path, detail=True, **_):
        path = self._strip_protocol(path)
        names = [f"{path}/{name}" for name in os.listdir(path)]
        return [self.info(name) for name in names] if detail else names

    def modified(self, path):
        return datetime.fromtimestamp(os.stat(self._strip_protocol(path)).st_mtime, UTC)

    def rm_file(self, path):
        os.unlink(self._strip_protocol(path))

    def mv(self, *_, **__):
        raise NotImplementedError("no rename")


class Hasty(Bucket):
    """The same without an exclusive write of its own: fsspec's looks first, and then writes."""

    protocol = "hasty"
    pipe_file = fsspec.AbstractFileSystem.pipe_file

    def _open(self, path, mode="rb", **_):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, mode)


class Deaf(Bucket):
    """The same that does not heed what is asked: whatever is written replaces what was there."""

    protocol = "deaf"

    def pipe_file(self, path, value, mode="overwrite", **_):
        super().pipe_file(path, value)


STORES = (Bucket, Hasty, Deaf)


def register():
    """Lets fsspec know the stores, in this process."""
    for store in STORES:
        fsspec.register_implementation(store.protocol, store, clobber=True)


def installed(folder):
    """Makes `folder` one that lets every process know the stores, if it is in its PYTHONPATH."""
    about = folder / "bucket-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bucket\nVersion: 1\n")
    names = "".join(f"{store.protocol} = tests.bucket:{store.__name__}\n" for store in STORES)
    (about / "entry_points.txt").write_text(f"[fsspec.specs]\n{names}")
    return str(folder)


class cut_at:
    """Inside, the `k`-th write from now on is cut off in the middle."""

    def __init__(self, k):
        self.k = k

    def __enter__(self):
        Bucket.writes, Bucket.cut = itertools.count(), self.k

    def __exit__(self, *_):
        Bucket.cut = None
