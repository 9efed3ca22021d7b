"""A disk that is full at one step of a write, and no other."""

import contextlib
import itertools
import os

from rl_surrogates.store import files


@contextlib.contextmanager
def full_at(step, k, monkeypatch):
    """Inside, the `k`-th call of `os.<step>` by the store fails for want of space."""
    real, count = getattr(os, step), itertools.count()

    def fail(*arguments):
        if next(count) == k:
            raise OSError(28, os.strerror(28))
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(files.os, step, fail)
        yield
