"""Stopping politely: the first Ctrl-C finishes the period and saves, the second leaves at once."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass
class Stop:
    """Whether somebody asked to stop."""

    requested: int | None = None
    """The signal that asked, or none so far."""

    @property
    def code(self) -> int:
        """The exit code a shell expects: 130 for SIGINT, 143 for SIGTERM; 0 when nobody asked."""
        return 128 + self.requested if self.requested else 0


@contextmanager
def graceful() -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a flag to be looked at between periods.

    Signals that the parent process chose to ignore, as `nohup` does, stay ignored. Outside the main
    thread, where Python allows no handlers, the flag is never raised.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = [number for number, handler in old.items() if handler is not signal.SIG_IGN]
    try:
        for number in handled:
            signal.signal(number, lambda number, _: _answer(stop, number))
        yield stop
    finally:
        for number in handled:
            signal.signal(number, old[number] or signal.SIG_DFL)


def _answer(stop: Stop, number: int) -> None:
    if stop.requested is not None:
        _leave(number)
    stop.requested = number
    name = signal.Signals(number).name
    _say(f"\n{name}: finishing this period, then saving; press Ctrl-C again to leave now.\n")


def _leave(number: int) -> None:
    # A handler may run inside a flush, which then refuses a second one.
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, RuntimeError, AttributeError):
            stream.flush()
    # A progress display hides the cursor and will not get the chance to show it again.
    _say("\x1b[?25h" if os.isatty(2) else "")
    os._exit(128 + number)


def _say(text: str) -> None:
    # Past Python's buffers: the handler may have interrupted a write to sys.stderr.
    with suppress(OSError):
        os.write(2, text.encode())
