"""A child that is ended from below, and what its parent says of it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

LOSS = """\
F1120 client.h:80] Terminating process because the JAX distributed service detected fatal errors.
absl::Status: UNAVAILABLE: The following tasks are unhealthy (stopped sending heartbeats):
1
3
The tasks have crashed."""
LEADER = "UNAVAILABLE: Failed to send RPC to coordination service. Either the leader task was"
SCRIPT = """\
import os, signal, sys, time
from descant.core.errors import DescantError
from descant.train.hosts import Hosts
from descant.train.worker import supervised

def below(text):
    os.write(2, text.encode())

def work():
{work}

try:
    code = supervised(Hosts("here", 1, {rank}, 4), work)
except DescantError as error:
    print("REASON", error.code, error)
    raise SystemExit(error.code)
raise SystemExit(code)
"""


def started(work, rank=0):
    code = SCRIPT.format(work="\n".join(f"    {line}" for line in work.splitlines()), rank=rank)
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(work, rank=0):
    process = started(work, rank)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_child_that_ends_by_itself_is_passed_on():
    work = "below('noise of a library'); print('result'); print('said', file=sys.stderr); return 3"
    assert ended(work) == (3, "result\n", "said\n")


@pytest.mark.parametrize(
    ("last", "rank", "said"),
    [
        (LOSS, 0, "Rank 0 of 4 lost rank 1, 3,"),
        (LEADER, 2, "Rank 2 of 4 lost rank 0,"),
        ("[Gloo] broken", 1, "Rank 1 of 4 lost another process,"),
        ("", 1, "Rank 1 of 4 was ended by SIGABRT."),
    ],
)
def test_last_words_of_jax_become_a_sentence(last, rank, said):
    code, out, err = ended(f"below({last!r}); os.abort()", rank)
    assert (code, err) == (5, "")
    assert out.startswith(f"REASON 5 {said}")
    log = out.split("Details: ")[1].strip()
    assert Path(log).read_text() == last


def test_processes_that_never_met_are_a_matter_of_the_place():
    code, out, _ = ended("below('DEADLINE RPC: /CoordinationService/RegisterTask'); os.abort()")
    assert code == 3
    assert "did not connect to all processes" in out


def test_signals_are_handed_on():
    work = """\
signal.signal(signal.SIGINT, lambda *_: os._exit(130))
print("ready", flush=True)
time.sleep(60)"""
    process = started(work)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(2)
    assert process.wait(10) == 130
    process.communicate()


def test_a_child_leaves_with_its_parent():
    process = started("print(os.getpid(), flush=True); time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.kill()
    # The child holds the other end of our pipe until it is gone.
    start = time.monotonic()
    assert process.stdout.read() == ""
    assert time.monotonic() - start < 10
    process.communicate()
