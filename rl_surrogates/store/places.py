"""Where may results lie? In a folder, or below a URL that fsspec can reach, as `s3://bucket/results`.

A folder is a `Path`, a URL is a `Url`: both are joined and taken apart with `/`, `name` and
`parent`, and both are read and written by the functions of `files` alone. What is the same to the
rest of the package is done in two ways: in a folder by `disk`, below a URL by `remote`.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)
LOGIN = re.compile(r"[^/]*:[^/]*@.*", re.DOTALL)


class StoreError(Exception):
    """A place that cannot be written, or a file not to be trusted; one line that names it."""


class Url(NamedTuple):
    """A place below a URL."""

    scheme: str
    rest: str  # what stands behind ://, with no slash at its end

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.scheme}://{self.rest}"

    def __truediv__(self, name: str) -> "Url":
        """What is called `name` there."""
        return self._replace(rest=f"{self.rest}/{name}" if self.rest else str(name))

    @property
    def name(self) -> str:
        """Its last part."""
        return self.rest.rpartition("/")[2]

    @property
    def parent(self) -> "Url":
        """What it is in."""
        return self._replace(rest=self.rest.rpartition("/")[0])

    def absolute(self) -> "Url":
        """Itself: a URL says the same everywhere."""
        return self

    resolve = absolute


Place = Path | Url


def place(where: str | os.PathLike | Url) -> Place:
    """What is meant by `where`; a URL with the scheme `file` is the folder that it names.

    Raises:
      StoreError: a URL of several schemes, or with a password in it.
    """
    if isinstance(where, Url):
        return where
    text = os.fspath(where)
    scheme, colon, rest = text.partition("://")
    if not colon:
        return Path(where)
    if not SCHEME.fullmatch(scheme) or "::" in text:
        raise StoreError(f"{text}: not the URL of a place; one scheme, as in s3://bucket/results")
    if LOGIN.fullmatch(rest):
        raise StoreError(
            f"{scheme}://{rest.rpartition('@')[2]}: takes no password; fsspec finds it in the"
            " environment, or in a file of its own"
        )
    if scheme == "file":
        return Path(rest)
    return Url(scheme, rest.rstrip("/"))
