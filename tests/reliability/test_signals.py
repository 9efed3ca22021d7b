"""Asked once, a sweep saves and leaves; asked twice, it leaves."""

import os
import signal
import threading

import pytest

from rl_surrogates.sweep import Interrupted, run_sweep, signals
from rl_surrogates.sweep.progress import Progress
from rl_surrogates.sweep.signals import listening
from tests.reliability.sweeping import ask, assert_same, tables


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_once_and_then_does_not_wait(signum, monkeypatch):
    monkeypatch.setattr(signals, "ECHO", 0.0)
    asked, before = [], signal.getsignal(signum)
    with listening(lambda: asked.append(1)) as heard:
        os.kill(os.getpid(), signum)
        assert (asked, heard.signum) == ([1], signum)
        with pytest.raises(Interrupted) as caught:
            os.kill(os.getpid(), signum)
        assert caught.value.signum == signum
    assert signal.getsignal(signum) is before


def test_a_signal_that_arrives_twice_at_once_asks_once():
    asked = []
    with listening(lambda: asked.append(1)) as heard:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    assert (asked, heard.signum) == ([1], signal.SIGTERM)


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with listening(lambda: pytest.fail("asked")):
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_no_handler_is_touched():
    before, found = signal.getsignal(signal.SIGINT), []

    def run():
        with listening(lambda: None):
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [before]


@pytest.mark.usefixtures("cheap")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_saves_the_chunk_it_was_in_and_goes_on_from_there(
    signum, reference, tmp_path, monkeypatch
):
    tell, seen = Progress.tell, []

    def send(progress, event):
        tell(progress, event)
        seen.append(event["event"])
        if event["event"] == "chunk" and seen.count("chunk") == 2:
            os.kill(os.getpid(), signum)

    question = ask(every=50)
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "tell", send)
        with pytest.raises(Interrupted) as caught:
            run_sweep(question, out=tmp_path)
    assert caught.value.signum == signum
    assert seen[-2:] == ["checkpoint", "stopped"] and seen.count("chunk") <= 4
    assert not (tmp_path / "tiny" / ".lock").read_bytes()
    seen.clear()
    monkeypatch.setattr(Progress, "tell", lambda _, event: seen.append(event))
    run_sweep(question, out=tmp_path)
    assert seen[0]["event"] == "resumed" and seen[0]["update"] > 0
    assert_same(tables(tmp_path / "tiny"), reference)
