"""How does a sweep hear that it is to stop? The first signal asks, the second one does not wait.

`timeout`, among others, tells a process and then its whole group, so that one wish arrives twice: a
second signal right after the first is its echo.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

ECHO = 0.5  # seconds; nobody who has asked once decides sooner not to wait


class Interrupted(KeyboardInterrupt):
    """A signal ended the sweep; what was done until then is kept."""

    def __init__(self, signum: int) -> None:
        """`signum`: which signal."""
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signum = signum


class Heard:
    """Which signal has asked for an end, 0 for none."""

    signum: int = 0
    at: float = 0.0  # seconds of the monotonic clock


@contextlib.contextmanager
def listening(stop: Callable[[], None]) -> Iterator[Heard]:
    """Calls `stop` at the first SIGINT or SIGTERM, and raises `Interrupted` at a later one.

    Outside the main thread no signal can be caught, and whoever runs the main thread decides.
    """
    heard = Heard()

    def handle(signum: int, frame: object) -> None:
        now = time.monotonic()
        if not heard.signum:
            heard.signum, heard.at = signum, now
            stop()
        elif now - heard.at >= ECHO:
            raise Interrupted(signum)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for signum in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(signum) != signal.SIG_IGN:  # as after nohup
                before[signum] = signal.signal(signum, handle)
    try:
        yield heard
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
