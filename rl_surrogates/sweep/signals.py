"""How does a sweep hear that it is to stop? The first signal asks, the second one does not wait."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


class Interrupted(KeyboardInterrupt):
    """A signal ended the sweep; what was done until then is kept."""

    def __init__(self, signum: int) -> None:
        """`signum`: which signal."""
        super().__init__(f"interrupted by {signal.Signals(signum).name}")
        self.signum = signum


class Heard:
    """Which signal has asked for an end, 0 for none."""

    signum: int = 0


@contextlib.contextmanager
def listening(stop: Callable[[], None]) -> Iterator[Heard]:
    """Calls `stop` at the first SIGINT or SIGTERM, and raises `Interrupted` at the second.

    Outside the main thread no signal can be caught, and whoever runs the main thread decides.
    """
    heard = Heard()

    def handle(signum: int, frame: object) -> None:
        if heard.signum:
            raise Interrupted(signum)
        heard.signum = signum
        stop()

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
