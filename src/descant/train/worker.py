"""A process that may be ended from below, and one beside it that says why.

When JAX loses a process of a distributed run, it ends the others from C++, where Python is not
asked. So the work is done by a forked child, and its parent, which never touches JAX, turns that
end into a sentence and an exit code. What C++ libraries print goes to a file.
"""

import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from descant.core.errors import DescantError, PlaceError
from descant.train.hosts import AGAIN, ARRIVAL, Hosts, WorkerLost


def supervised(hosts: Hosts, work: Callable[[], int]) -> int:
    """Run `work`, which tells its own errors, in a child; returns its exit code.

    Raises:
        WorkerLost: the child was ended, because another process of the run is gone or by itself.
        PlaceError: the processes did not find one another.
    """
    file, name = tempfile.mkstemp(prefix=f"descant-rank-{hosts.rank}-", suffix=".log")
    alive, held = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(held)
        _child(work, file, alive)
    os.close(file)
    os.close(alive)
    try:
        code = os.waitstatus_to_exitcode(_wait(child))
    finally:
        # The child leaves when nobody holds this end any more.
        os.close(held)
    log = Path(name)
    said = log.read_text(encoding="utf-8", errors="replace")
    if code >= 0:
        log.unlink()
        return code
    raise _reason(hosts, -code, said, log)


def _wait(child: int) -> int:
    """Wait for the child; signals that this process gets are for it."""

    def forward(number, _):
        with suppress(ProcessLookupError):
            os.kill(child, number)

    old = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return os.waitpid(child, 0)[1]
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _child(work: Callable[[], int], log: int, alive: int) -> None:
    """The child's life; it ends without Python's farewells, at which JAX waits for the others."""
    code = 5
    try:
        # A terminal sends Ctrl-C to its whole group; the parent hands it on, once.
        os.setpgid(0, 0)
        for number, name in ((1, "stdout"), (2, "stderr")):
            stream = getattr(sys, name)
            ours = os.dup(number)
            os.dup2(log, number)
            setattr(sys, name, os.fdopen(ours, "w", 1, stream.encoding, stream.errors))
        threading.Thread(target=_leave_with_parent, args=(alive,), daemon=True).start()
        code = work()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _leave_with_parent(alive: int) -> None:
    os.read(alive, 1)
    os._exit(5)


def _reason(hosts: Hosts, number: int, said: str, log: Path) -> DescantError:
    """Why a child was ended by a signal; JAX's last words tell."""
    details = f"Details: {log}"
    if "RegisterTask" in said:
        return PlaceError(
            f"{hosts}: JAX did not connect to all processes within {ARRIVAL} s. {details}"
        )
    missing = re.search(r"stopped sending heartbeats\):\s*((?:\d+\s+)+)", said)
    if missing is not None:
        who = f"rank {', '.join(missing[1].split())}"
    elif hosts.rank and "coordination service" in said:
        who = "rank 0"
    elif re.search("Terminating process|Gloo|NCCL", said):
        who = "another process"
    else:
        name = signal.Signals(number).name
        return WorkerLost(f"{hosts} was ended by {name}. {AGAIN} {details}", hosts.rank)
    return WorkerLost(f"{hosts} lost {who}, so the run ends here. {AGAIN} {details}")
