"""A folder or a URL: what is asked of either, and what is refused before anything is written."""

import builtins
import os
import shutil
import sys
import warnings
from pathlib import Path

import fsspec
import pytest

from rl_surrogates.store import (
    StoreError,
    StoreWarning,
    check_writable,
    files,
    open_results,
    place,
)
from rl_surrogates.store.places import Url
from tests.bucket import Bucket, cut_at
from tests.store.anywhere import contents, new_place


@pytest.mark.parametrize(
    "text, joined, name, parent",
    [
        ("s3://bucket/a/", "s3://bucket/a/x", "a", "s3://bucket"),
        ("memory://", "memory://x", "", "memory://"),
        ("memory:///a", "memory:///a/x", "a", "memory://"),
    ],
)
def test_a_url_is_joined_and_taken_apart_like_a_path(text, joined, name, parent):
    url = place(text)
    assert isinstance(url, Url) and place(url) is url and place(str(url)) == url
    assert (str(url / "x"), url.name, str(url.parent)) == (joined, name, parent)
    assert url.absolute() == url.resolve() == url


def test_what_is_no_url_is_a_folder_and_so_is_a_url_of_files():
    assert place("a/b") == Path("a/b") and place(Path("a:b")) == Path("a:b")
    assert place("file:///a/b") == Path("/a/b")


@pytest.mark.parametrize(
    "url, message",
    [
        ("s4://bucket", "s4://bucket/tiny: unknown scheme 's4'; nearest: s3"),
        ("dbfs://x", "dbfs://x/tiny: its backend is not installed: Install the requests"),
        ("simplecache::s3://bucket", "simplecache::s3://bucket: not the URL of a place"),
        ("a b://bucket", "a b://bucket: not the URL of a place"),
        ("ftp://me:secret@host/x", "ftp://host/x: takes no password"),
        ("hasty://{tmp}/x", "hasty://{tmp}/x/tiny: hasty cannot create a file that only one"),
        ("deaf://{tmp}/x", "deaf://{tmp}/x/tiny: deaf cannot create a file that only one"),
        ("zip://{tmp}/x", "zip://{tmp}/x/tiny: cannot be written: "),
    ],
)
def test_a_url_where_nothing_can_be_stored_is_one_line(url, message, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)  # as where it is not installed
    new_place("bucket", tmp_path)
    with pytest.raises(StoreError) as caught:
        check_writable(url.format(tmp=tmp_path), "tiny")
    assert str(caught.value).startswith(message.format(tmp=tmp_path))
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
    assert not any(names for _, _, names in os.walk(tmp_path))


@pytest.fixture
def no_fsspec(monkeypatch):
    """As where it is not installed."""

    def absent(name, *rest):
        if name == "fsspec":
            raise ImportError
        return whole(name, *rest)

    whole = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", absent)


@pytest.mark.usefixtures("no_fsspec")
def test_without_fsspec_the_command_that_installs_it_is_told():
    with pytest.raises(StoreError, match=r"pip install 'rl-surrogates\[remote\]'"):
        check_writable("s3://bucket/results", "tiny")


@pytest.mark.usefixtures("no_fsspec")
def test_a_folder_needs_no_fsspec(sweep):
    sweep.finished()
    assert len(open_results(sweep.path).runs()) == 6


def test_a_file_is_what_was_written_last(somewhere):
    path = somewhere / "a" / "file"
    files.make_folder(path.parent)
    assert (
        not files.exists(path)
        and files.written(path) is None
        and files.names(somewhere / "b") == []
    )
    for write in (files.write_atomically, files.write_lightly, files.write_if_changed):
        data = write.__name__.encode()
        write(path, data)
        assert files.read(path) == data
    assert files.is_folder(somewhere / "a") and contents(somewhere) == {"a/file": data}
    files.remove(path)
    files.remove(path)
    assert not files.exists(path)
    with pytest.raises(StoreError, match="file: missing"):
        files.read(path)


def test_a_file_is_created_once(somewhere):
    assert files.create(somewhere / "x", b"one") and not files.create(somewhere / "x", b"two")
    assert files.read(somewhere / "x") == b"one"
    files.remove(somewhere / "x")
    assert files.create(somewhere / "x", b"two")


def test_who_asked_twice_as_the_first_answer_was_lost_has_made_the_file(tmp_path, monkeypatch):
    path = new_place("bucket", tmp_path) / "x"
    once = Bucket.pipe_file

    def twice(*arguments, **how):
        once(*arguments, **how)
        once(*arguments, **how)

    monkeypatch.setattr(Bucket, "pipe_file", twice)
    assert files.create(path, b"mine") and files.read(path) == b"mine"
    assert not files.create(path, b"another's")


def test_a_place_that_takes_files_keeps_no_trace_of_the_trial(somewhere):
    check_writable(somewhere, "tiny")
    assert contents(somewhere) == {}


def test_a_store_that_cannot_be_reached_does_not_say_that_a_file_is_not_there(
    tmp_path, monkeypatch
):
    def broken(*_, **__):
        raise TimeoutError

    path = new_place("bucket", tmp_path) / "x"
    monkeypatch.setattr(Bucket, "info", broken)
    with pytest.raises(StoreError, match="x: cannot be found: TimeoutError"):
        files.exists(path)


def test_what_another_process_wrote_is_seen_at_once():
    url = place("memory://seen")
    assert files.names(url) == []
    system = fsspec.filesystem("memory")
    system.pipe_file("/seen/a", b"")
    assert files.names(url) == ["a"]
    system.rm_file("/seen/a")
    assert not files.exists(url / "a")


@pytest.mark.parametrize("sweep", ["bucket"], indirect=True)
def test_a_write_that_is_cut_in_the_middle_costs_at_most_what_it_was_to_write(sweep, tmp_path):
    """Cuts the k-th write of an edit and a commit, for every k; half a file is left each time."""
    sweep.open().commit("item0", *sweep.tables())
    disk, before = Path(sweep.path.rest), tmp_path / "before"
    shutil.copytree(disk, before)
    for k in range(100):
        shutil.rmtree(disk)
        shutil.copytree(before, disk)
        try:
            with cut_at(k):
                store = sweep.open(plan=sweep.plan(description="edited"))
                store.commit("item1", *sweep.tables(setting=1))
            break
        except StoreError as error:
            assert "Connection reset by peer" in str(error) and str(sweep.path) in str(error)
        there = set(open_results(sweep.path, partial=True).runs()["run_id"])
        assert {"rate0.1-0", "rate0.1-1", "rate0.1-2"} <= there
        store = reopened(sweep)
        assert store.finished_runs() == there
        store.commit("item1", *sweep.tables(setting=1))
        assert len(open_results(sweep.path).runs()) == 6
    assert 8 < k < 100


def reopened(sweep):
    """The store after a crash, once what it warns of is mended."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        sweep.open(plan=sweep.plan(description="edited"))
    return sweep.open(plan=sweep.plan(description="edited"))
