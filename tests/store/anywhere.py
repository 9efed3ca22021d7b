"""The kinds of place where results may lie, so that one test says what holds for all of them."""

import os

import pytest

from rl_surrogates.store import StoreError, files, place
from tests import bucket

WHERE = ["folder", "memory", "bucket"]
if "RESULTS_URL" in os.environ:  # a real one, as s3://my-bucket/tests
    WHERE.append("url")

everywhere = pytest.mark.parametrize("sweep", WHERE, indirect=True)


def new_place(where, tmp_path):
    """A place of that kind with nothing in it."""
    bucket.register()
    if where == "folder":
        return tmp_path
    if where == "url":
        return place(os.environ["RESULTS_URL"]) / os.urandom(8).hex()
    return place(f"{where}://{tmp_path}/store")


def contents(where):
    """Every file below a place, by its path."""
    found = {}
    for name in sorted(files.names(where)):
        try:
            found[name] = files.read(where / name)
        except StoreError:  # a folder
            found |= {f"{name}/{path}": data for path, data in contents(where / name).items()}
    return found
