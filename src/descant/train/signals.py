"""Stopping politely: the first Ctrl-C finishes the period and saves, the second leaves at once."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


def _say(text: str) -> None:
    # Past Python's buffers, which somebody who hangs in a write may have locked.
    with suppress(OSError):
        os.write(_errors(), f"\n{text}\n".encode())


def _errors() -> int:
    """Where errors go, which need not be 2."""
    with suppress(OSError, ValueError, AttributeError):
        return sys.stderr.fileno()
    return 2


@dataclass
class Stop:
    """Whether somebody asked to stop."""

    requested: int | None = None
    """The signal that asked, or none so far."""
    idle: bool = False
    """Whether nothing would be lost by leaving; then the first signal leaves at once."""
    say: Callable[[str], None] = _say
    """How to tell; a progress display says it in its own way."""
    last: Callable[[int], None] | None = None
    """What to do before leaving at once, given the exit code."""

    @property
    def code(self) -> int:
        """The exit code a shell expects: 130 for SIGINT, 143 for SIGTERM; 0 when nobody asked."""
        return 128 + self.requested if self.requested else 0


@contextmanager
def graceful(*, idle: bool = False, last: Callable[[int], None] | None = None) -> Iterator[Stop]:
    """Turn SIGINT and SIGTERM into a flag to be looked at between periods.

    Signals that the parent process chose to ignore, as `nohup` does, stay ignored. Outside the main
    thread, where Python allows no handlers, the flag is never raised.

    Args:
        idle: start with nothing to lose.
        last: what to do before leaving at once, given the exit code; runs in a thread of its own.
    """
    stop = Stop(idle=idle, last=last)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = [number for number, handler in old.items() if handler is not signal.SIG_IGN]
    # Python's handlers wait while the main thread compiles or computes outside Python. The number
    # that the system writes into this pipe does not, nor does the thread that reads it.
    hear, tell = os.pipe()
    os.set_blocking(tell, False)
    listener = threading.Thread(target=_listen, args=(hear, stop, set(handled)), daemon=True)
    listener.start()
    before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    try:
        for number in handled:
            signal.signal(number, lambda number, _: _note(stop, number))
        yield stop
    finally:
        for number in handled:
            signal.signal(number, old[number] or signal.SIG_DFL)
        signal.set_wakeup_fd(before)
        os.close(tell)
        listener.join()
        os.close(hear)


def _note(stop: Stop, number: int) -> None:
    if stop.requested is None:
        stop.requested = number


def _listen(hear: int, stop: Stop, handled: set[int]) -> None:
    """Answer each signal; ends when the other end of the pipe is closed."""
    told = False
    while heard := os.read(hear, 1):
        number = heard[0]
        if number not in handled:
            continue
        _note(stop, number)
        name = signal.Signals(number).name
        if stop.idle:
            stop.say(f"{name}: stopped; nothing is lost, the same command does the rest.")
            _leave(stop, number)
        if told:
            _leave(stop, number)
        told = True
        stop.say(f"{name}: finishing this period, then saving; press Ctrl-C again to leave now.")


def _leave(stop: Stop, number: int) -> None:
    try:
        # A progress display hides the cursor and will not get the chance to show it again.
        if os.isatty(_errors()):
            with suppress(OSError):
                os.write(_errors(), b"\x1b[?25h\n")
        if stop.last is not None:
            stop.last(128 + number)
    finally:
        os._exit(128 + number)
