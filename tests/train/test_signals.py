import signal
import subprocess
import sys
import threading
import time

import pytest

from descant.train.signals import Stop, graceful

LOOP = """
import signal, sys, time
from descant.train.signals import graceful
# A shell that starts us in the background has SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
assert not {"jax", "numpy"} & sys.modules.keys()
with graceful(idle=sys.argv[1] == "idle") as stop:
    print("ready", flush=True)
    while not stop.requested or sys.argv[1] != "polite":
        time.sleep(0.02)
    print("saved", flush=True)
sys.exit(stop.code)
"""


@pytest.fixture
def start():
    started = []

    def start(mode: str, program: str = LOOP) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", program, mode],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen) -> str:
    assert process.stderr
    return process.stderr.readline() + process.stderr.readline()


NUMBERS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "code"), NUMBERS)
def test_the_first_signal_speaks_and_finishes(start, number, code):
    process = start("polite")
    process.send_signal(number)
    assert first_line(process) == (
        f"\n{number.name}: finishing this period, then saving; press Ctrl-C again to leave now.\n"
    )
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (code, "saved\n", "")


def test_something_is_said_within_a_fifth_of_a_second(start):
    def reaction() -> float:
        process = start("polite")
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        first_line(process)
        return time.monotonic() - sent

    # The best of a few: on a busy machine the scheduler alone may take longer.
    assert min(reaction() for _ in range(3)) < 0.2


@pytest.mark.parametrize(("number", "code"), NUMBERS)
def test_the_second_signal_leaves_at_once(start, number, code):
    process = start("stubborn")
    process.send_signal(number)
    first_line(process)
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (code, "")


@pytest.mark.parametrize(("number", "code"), NUMBERS)
def test_with_nothing_to_lose_the_first_signal_leaves_at_once(start, number, code):
    process = start("idle")
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    said = f"\n{number.name}: stopped; nothing is lost, the same command does the rest.\n"
    assert (process.returncode, out, err) == (code, "", said)


LAST = """
import signal, sys, time
from descant.train.signals import graceful
signal.signal(signal.SIGINT, signal.default_int_handler)
with graceful(idle=True, last=lambda code: print("last", code, flush=True)):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_something_may_be_said_before_leaving(start):
    process = start("", LAST)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "last 130\n")


DEAF = """
import hashlib, signal
from descant.train.signals import graceful
signal.signal(signal.SIGINT, signal.default_int_handler)
with graceful():
    print("ready", flush=True)
    # Like a compiler: one long call outside Python, in which no handler of Python's is run.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


def test_while_python_is_deaf_signals_are_answered(start):
    process = start("", DEAF)
    process.send_signal(signal.SIGINT)
    assert "finishing this period" in first_line(process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (130, "")


def test_old_handlers_come_back_even_after_an_error():
    seen = []

    def mine(number, frame):
        seen.append(number)

    old = signal.signal(signal.SIGTERM, mine)
    try:
        with pytest.raises(ZeroDivisionError), graceful():
            assert signal.getsignal(signal.SIGTERM) is not mine
            raise ZeroDivisionError
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, old)


def test_ignored_signals_stay_ignored():
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with graceful() as stop:
            signal.raise_signal(signal.SIGINT)
        assert stop.requested is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, old)


def test_another_thread_gets_a_flag_that_is_never_raised():
    stops = []

    def work():
        with graceful() as stop:
            stops.append(stop)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert stops == [Stop()]
    assert signal.getsignal(signal.SIGINT) is before


def test_codes():
    assert [Stop(number).code for number in (None, 2, 15)] == [0, 130, 143]
