"""One process per results folder, and a dead one holds nothing."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys

import pytest

from rl_surrogates.store import StoreError, locked
from rl_surrogates.store.lock import LOCK

HOLDER = """
import sys, time
from pathlib import Path
from rl_surrogates.store.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_is_told_who_holds_the_folder(tmp_path):
    with locked(tmp_path):
        with pytest.raises(StoreError) as caught:
            with locked(tmp_path):
                pass
        assert f"process {os.getpid()} on host {socket.gethostname()!r}" in str(caught.value)
    with locked(tmp_path):
        pass
    assert (tmp_path / LOCK).read_bytes() == b""


def test_an_error_frees_the_folder(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    with locked(tmp_path):
        pass


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match=f"process {process.pid} "), locked(tmp_path):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert json.loads((tmp_path / LOCK).read_bytes())["pid"] == process.pid
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK).read_bytes())["pid"] == os.getpid()


def test_a_lock_of_another_machine_is_left_to_a_person(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    with pytest.raises(StoreError, match=r"process 1 on host 'elsewhere'.*remove .*\.lock"):
        with locked(tmp_path):
            pass


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"pid": "x"}', b"\xff\xfe"])
def test_a_lock_file_that_says_nothing_legible_is_free_unless_it_is_held(content, tmp_path):
    (tmp_path / LOCK).write_bytes(content)
    if content == b'{"pid": "x"}':
        with pytest.raises(StoreError, match="process x on host"), locked(tmp_path):
            pass
        return
    with locked(tmp_path):
        pass


def test_a_lock_is_not_world_writable_and_is_no_link(tmp_path):
    before = os.umask(0)
    try:
        with locked(tmp_path):
            assert not stat.S_IMODE((tmp_path / LOCK).stat().st_mode) & 0o022
    finally:
        os.umask(before)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / LOCK).symlink_to(tmp_path / LOCK)
    with pytest.raises(StoreError, match="symbolic link"), locked(tmp_path / "other"):
        pass
