"""Two processes train one run: is it the run of one process, and what if one of them is killed?

    python benchmarks/hosts.py --kills 6 --seed 0
    python benchmarks/hosts.py --kills 2 -- cloud dgpg --domain.servers 5

One process trains a run; two processes train the same run together; then two processes train it in
another folder while one of them, rank 0 or 1, is killed with SIGKILL again and again, each time
after a random number of iterations. Each time the other one must end with exit code 5 and say who
is gone, within the heartbeat and 5 seconds, and the same two commands must go on. At the end the
last checkpoint and the metrics must be those of the two that nobody disturbed, byte for byte, and
those of the one process up to rounding. The exit code is 1 if anything is otherwise.

Arguments after `--` are those of `descant train`.
"""

import argparse
import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from kill import LOOKS, PATIENCE, TRAINING, lines

from descant.train.hosts import HEARTBEAT

CLOSE = 1e-3
"""Largest difference of a metric between one process and two, relative or absolute."""


def main() -> int:
    options = read_options()
    training = options.training or list(TRAINING)
    training += ["--train.iterations", str(options.iterations or 12 * options.kills)]
    with tempfile.TemporaryDirectory(prefix="descant-hosts-") as place:
        one, peace, war = (Path(place, name) for name in ("one", "peace", "war"))
        ended = [wait(begin(training, one))]
        ended += [wait(process) for process in pair(training, peace)]
        if codes := [(code, said) for code, said in ended if code]:
            raise SystemExit(f"descant ended with {codes[0][0]}:\n{codes[0][1]}")
        kept = harass(training, war, options)
        return 0 if kept & verdict(one, peace, war) else 1


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=0, help="of the run; 12 for each kill")
    parser.add_argument("training", nargs="*", help="after --: arguments of `descant train`")
    return parser.parse_args()


def begin(training: list[str], run: Path, hosts: str = "") -> subprocess.Popen:
    """Start a process; one thread, for more may not repeat their bits."""
    command = [sys.executable, "-c", "from descant.cli.main import run; raise SystemExit(run())"]
    command += ["train", *training, "--run", str(run), *(["--hosts", hosts] if hosts else [])]
    return subprocess.Popen(
        command,
        env={**os.environ, "NPROC": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def pair(training: list[str], run: Path) -> list[subprocess.Popen]:
    """Start both processes of a run."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return [begin(training, run, f"127.0.0.1:{port},{rank},2") for rank in range(2)]


def wait(process: subprocess.Popen) -> tuple[int, str]:
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def harass(training: list[str], run: Path, options: argparse.Namespace) -> bool:
    """Kill, look at the other one, start again; print a row for each start."""
    rng = np.random.default_rng(options.seed)
    kept = True
    print(f"{'start':>5}  {'killed':<8}{'from':>6}{'to':>6}  {'other ended':<20}said", flush=True)
    for number in range(options.kills):
        before, victim = lines(run), int(rng.integers(2))
        both = pair(training, run)
        until = time.monotonic() + PATIENCE
        goal = before + int(rng.integers(2, 8))
        while lines(run) < goal and all(process.poll() is None for process in both):
            if time.monotonic() > until:
                raise SystemExit(f"No progress in {PATIENCE:.0f} s.")
            time.sleep(0.002)
        time.sleep(float(rng.uniform(0, 0.1)))
        # The process that computes is a child; at random it goes first, or its parent.
        victims = [both[victim].pid, *children(both[victim].pid)][:: rng.choice([1, -1])]
        os.kill(victims[0], 9)
        killed = time.monotonic()
        code, said = wait(both[1 - victim])
        seconds = time.monotonic() - killed
        both[victim].communicate()
        last = said.strip().splitlines()[-1]
        good = code == 5 and f"ank {victim}" in last and seconds < HEARTBEAT + 5
        kept &= good
        print(
            f"{number + 1:>5}  {f'rank {victim}':<8}{before:>6}{lines(run):>6}  "
            f"{f'{code} after {seconds:.1f} s':<20}{'' if good else 'WRONG: '}{last}",
            flush=True,
        )
    ended = [wait(process) for process in pair(training, run)]
    print(f"in peace: {[code for code, _ in ended]}", flush=True)
    return kept and not any(code for code, _ in ended)


def children(parent: int) -> list[int]:
    with suppress(OSError):
        said = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return [int(number) for number in said.split()]
    return []


def verdict(one: Path, peace: Path, war: Path) -> bool:
    """Two that were killed against two that were not, byte for byte; two against one, closely."""
    same = True
    for name, look in LOOKS.items():
        same &= look(peace) == look(war)
        print(f"{name}: {'identical' if look(peace) == look(war) else 'DIFFERENT'}")
    far = distance(one, peace)
    print(f"one process against two: largest relative difference of a metric {far:.1e}")
    return same and far < CLOSE


def distance(one: Path, two: Path) -> float:
    """The largest difference of any metric, relative to the larger of the number and 1."""
    rows = [[json.loads(line) for line in (run / "metrics.jsonl").open()] for run in (one, two)]
    pairs = [
        (x, y)
        for a, b in zip(*rows, strict=True)
        for name in a
        if isinstance(a[name], list)
        for x, y in zip(a[name], b[name], strict=True)
        if x is not None
    ]
    return max(abs(x - y) / max(abs(x), 1) if y is not None else math.inf for x, y in pairs)


if __name__ == "__main__":
    sys.exit(main())
