"""A disk that is really full: the kernel says so, in the middle of a sweep."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from rl_surrogates.store import Leases, StoreError, open_results
from rl_surrogates.sweep import run_sweep
from tests.reliability.sweeping import ask, assert_same, tables

pytestmark = pytest.mark.usefixtures("cheap")

ROOM = 64 * 2**20  # bytes of the file system
LEFT = 48 * 2**10  # bytes of it that the sweep finds free: room for some of its files


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MB of its own, where this process may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(place)]
    if not sys.platform.startswith("linux") or os.geteuid():
        pytest.skip("only root on Linux may mount a small file system")
    found = subprocess.run(mount, capture_output=True, text=True)
    if found.returncode:
        pytest.skip(f"no file system can be mounted here: {found.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(disk, left):
    """Leaves `left` bytes of a file system free; returns the file that takes the rest."""
    held = disk / "held"
    status = os.statvfs(disk)
    with held.open("wb") as file:
        file.write(bytes(status.f_bavail * status.f_bsize - left))
    return held


def told_and_then_whole(root, make_room, reference):
    """Runs the sweep into the fault, and again once `make_room` was called."""
    with pytest.raises(StoreError) as told:
        run_sweep(ask(), out=root)
    text = str(told.value)
    assert "\n" not in text and str(root) in text, text
    before = open_results(root / "tiny", partial=True)
    assert 0 < len(before.missing) and not len(before.curves()) % 6
    make_room()
    run_sweep(ask(), out=root)
    assert_same(tables(root / "tiny"), reference)
    assert not [path for path in root.rglob("*") if path.name.endswith(".aside")]
    return text


@pytest.mark.parametrize("left", [LEFT, 2 * LEFT])
def test_a_full_file_system_of_64_mb_is_told_in_one_line_and_loses_nothing(
    small_disk, left, reference
):
    held = fill(small_disk, left)
    text = told_and_then_whole(small_disk, held.unlink, reference)
    assert "No space left on device" in text


def test_a_limit_on_the_size_of_files_is_told_in_one_line_and_loses_nothing(tmp_path, reference):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (12 * 2**10, before[1]))

    def make_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    try:
        text = told_and_then_whole(tmp_path, make_room, reference)
    finally:
        make_room()
        signal.signal(signal.SIGXFSZ, ignored)
    assert "File too large" in text


def test_a_lease_that_could_not_be_given_back_is_not_in_the_way(tmp_path, reference, monkeypatch):
    def fail(leases, lease):
        raise StoreError("full")

    with monkeypatch.context() as patch:
        patch.setattr(Leases, "_replace", fail)
        with pytest.raises(StoreError, match="full"):
            run_sweep(ask(), out=tmp_path)
    assert not all(lease.released for lease in Leases(tmp_path / "tiny").all())
    run_sweep(ask(), out=tmp_path)
    assert_same(tables(tmp_path / "tiny"), reference)
