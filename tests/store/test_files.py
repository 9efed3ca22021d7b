import os
import stat

import pytest

from rl_surrogates.store import (
    StoreError,
    check_writable,
    files,
    write_atomically,
    write_if_changed,
)

HOSTILE = [
    "../x",
    "/etc/x",
    "a/b",
    "a\\b",
    "x\0",
    "CON",
    "nul.txt",
    ".hidden",
    "..",
    ".",
    "",
    "x" * 101,
    "x\n",
    "rаtio",  # a Cyrillic a
    "é",
    "a b",
    "$(id)",
    None,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_could_lead_out_of_the_root_is_refused_and_nothing_is_made(name, tmp_path):
    with pytest.raises(StoreError, match="name"):
        check_writable(tmp_path / "results", name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["why_the_ratio", "v1.2-a", "x" * 100, "_", "a..b"])
def test_plain_names_are_taken(name, tmp_path):
    assert files.results_folder(tmp_path, name) == tmp_path / name


def test_a_linked_results_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="symbolic link"):
        check_writable(tmp_path, "link")


def test_nothing_is_written_through_a_link(tmp_path):
    (tmp_path / "victim").write_bytes(b"old")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    with pytest.raises(StoreError, match="symbolic link"):
        write_atomically(tmp_path / "file", b"new")
    (tmp_path / "folder").mkdir()
    (tmp_path / "inside").symlink_to(tmp_path / "folder")
    with pytest.raises(StoreError, match="symbolic link"):
        write_atomically(tmp_path / "inside" / "file", b"new")
    assert (tmp_path / "victim").read_bytes() == b"old"
    assert not list((tmp_path / "folder").iterdir())


def test_a_writable_place_passes_and_keeps_no_trace(tmp_path):
    check_writable(tmp_path / "results", "a")
    (tmp_path / "results" / "a" / "parts").mkdir(parents=True)
    check_writable(tmp_path / "results", "a")
    assert [path.name for path in tmp_path.rglob("*")] == ["results", "a", "parts"]


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(StoreError, match="not a folder"):
        check_writable(tmp_path / "results", "a")


def test_a_place_that_takes_no_file_is_refused_whatever_its_permissions_say(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(files.os, "open", refuse)
    with pytest.raises(StoreError, match="Read-only file system"):
        check_writable(tmp_path, "a")


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("code", [28, 5, 13])  # ENOSPC, EIO, EACCES
def test_a_failing_step_leaves_the_old_content_and_one_line_with_the_path(
    step, code, tmp_path, monkeypatch
):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(StoreError) as caught:
        write_atomically(path, b"new")
    assert str(caught.value) == f"{path}: cannot be written: {os.strerror(code)}"
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_short_write_is_continued(tmp_path, monkeypatch):
    whole = os.write
    monkeypatch.setattr(files.os, "write", lambda fd, data: whole(fd, bytes(data[:3])))
    write_atomically(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_the_umask_decides_the_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_equal_content_is_not_written_again(tmp_path):
    path = tmp_path / "figures" / "a.svg"
    write_if_changed(path, b"one")
    os.utime(path, (1, 1))
    write_if_changed(path, b"one")
    assert path.stat().st_mtime == 1
    write_if_changed(path, b"two")
    assert path.read_bytes() == b"two"
