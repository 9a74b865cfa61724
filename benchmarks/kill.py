"""Does a run that is killed again and again end as if nobody had touched it? To the last bit.

    python benchmarks/kill.py --kills 20 --seed 0
    python benchmarks/kill.py --kills 20 --flips 5 -- cloud mappo --domain.servers 5

One run is left in peace. The same command is then started in another folder and killed with
SIGKILL, again and again, until it ends by itself. Kills come after a random number of finished
iterations and a random pause (`after`), while a checkpoint is being written (`writing`), or before
training has begun (`early`). With --flips, some kills are followed by the flip of one bit in the
newest checkpoint. The last checkpoints and the metrics must be the same, byte for byte; the exit
code is 1 if they are not.

Arguments after `--` are those of `descant train`.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from descant.train import checkpoint

TRAINING = (
    *(
        "cloud",
        "dgpg",
        "--domain.servers",
        "3",
        "--domain.horizon",
        "40",
        "--domain.arrivals",
        "30",
    ),
    *("--train.rollouts", "2", "--algorithm.base.minibatch", "16"),
    *("--algorithm.base.minibatches", "2", "--train.validation", "0", "--train.scenarios", "0"),
)
STEPS = "checkpoints/[0-9]*"
PATIENCE = 600.0
"""Seconds without a new iteration after which a start counts as stuck."""


def main() -> int:
    options = read_options()
    training = options.training or list(TRAINING)
    iterations = str(options.iterations or 15 * options.kills)
    with tempfile.TemporaryDirectory(prefix="descant-kill-") as place:
        command = [
            sys.executable,
            "-c",
            "from descant.cli.main import run; raise SystemExit(run())",
        ]
        command += ["train", *training, "--train.iterations", iterations, "--run"]
        peace, war = Path(place, "peace"), Path(place, "war")
        start = time.perf_counter()
        finish(begin([*command, str(peace)]))
        print(f"undisturbed: {time.perf_counter() - start:.1f} s, seed {options.seed}", flush=True)
        rng = np.random.default_rng(options.seed)
        harass([*command, str(war)], war, options, int(iterations), rng)
        return verdict(peace, war)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--flips", type=int, default=0, help="kills followed by a flipped bit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=0, help="of the run; 15 for each kill")
    parser.add_argument("training", nargs="*", help="after --: arguments of `descant train`")
    return parser.parse_args()


def begin(command: list[str]) -> subprocess.Popen:
    """Start training; one thread, for more may not repeat their bits."""
    return subprocess.Popen(
        command,
        env={**os.environ, "NPROC": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    """Let a start end by itself; returns what it said."""
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"descant ended with {process.returncode}:\n{said}")
    return said


def harass(
    command: list[str],
    run: Path,
    options: argparse.Namespace,
    iterations: int,
    rng: np.random.Generator,
) -> None:
    """Kill, flip, start again; print a row for each start."""
    print(f"{'start':>5}  {'kind':<8}{'from':>6}{'to':>6}  {'newest':<10}said", flush=True)
    flips = set(rng.permutation(options.kills)[: options.flips].tolist())
    for number in range(options.kills):
        before = lines(run)
        kind = str(rng.choice(["after", "after", "writing", "early"]))
        share = max((iterations - before) // (options.kills - number) - 6, 1)
        process = begin(command)
        killed = wait_and_kill(process, run, kind, int(rng.integers(share)) + 1, rng)
        said = process.communicate()[1]
        if not killed and process.returncode:
            raise SystemExit(f"descant ended with {process.returncode}:\n{said}")
        torn = ["half a checkpoint left"] if any(run.glob("checkpoints/.*")) else []
        flipped = [flip(run, rng)] if number in flips and newest(run) else []
        row(number, kind if killed else "ended", before, run, said, *torn, *flipped)
    before = lines(run)
    row(options.kills, "in peace", before, run, finish(begin(command)))


def wait_and_kill(
    process: subprocess.Popen, run: Path, kind: str, count: int, rng: np.random.Generator
) -> bool:
    """Wait for the moment and kill; False if the process had ended before."""
    if kind == "early":
        time.sleep(float(rng.uniform(0, 2.5)))
    else:
        goal = lines(run) + count
        wait(process, lambda: lines(run) >= goal)
    if kind == "writing":
        wait(process, lambda: any(run.glob("checkpoints/.partial-*")))
        time.sleep(float(rng.uniform(0, 0.002)))
    elif kind == "after":
        time.sleep(float(rng.uniform(0, 0.08)))
    ended = process.poll() is not None
    process.kill()
    return not ended


def wait(process: subprocess.Popen, moment: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while process.poll() is None and not moment():
        if time.monotonic() > until:
            process.kill()
            raise SystemExit(f"No progress in {PATIENCE:.0f} s.")
        time.sleep(0.0005)


def lines(run: Path) -> int:
    """Iterations on record."""
    with suppress(FileNotFoundError):
        return (run / "metrics.jsonl").read_bytes().count(b"\n")
    return 0


def newest(run: Path) -> Path | None:
    return max(run.glob(STEPS), default=None)


def flip(run: Path, rng: np.random.Generator) -> str:
    """Flip one bit in a file of the newest checkpoint."""
    folder = max(run.glob(STEPS))
    path = folder / str(rng.choice([checkpoint.STATE, checkpoint.MANIFEST]))
    content = bytearray(path.read_bytes())
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)
    return f"flipped a bit of {folder.name}/{path.name}"


def row(number: int, kind: str, before: int, run: Path, said: str, *told: str) -> None:
    warnings = [line for line in said.splitlines() if line.startswith("Warning")]
    heard = [f"{len(warnings)} warning{'s' * (len(warnings) > 1)}"] if warnings else []
    found = newest(run)
    print(
        f"{number + 1:>5}  {kind:<8}{before:>6}{lines(run):>6}  "
        f"{found.name if found else '-':<10}{', '.join([*heard, *told])}",
        flush=True,
    )


def verdict(peace: Path, war: Path) -> int:
    """Compare the last checkpoints and the metrics; 1 if anything differs."""
    same = True
    for name, look in LOOKS.items():
        ours, theirs = look(peace), look(war)
        same &= ours == theirs
        print(f"{name}: {'identical' if ours == theirs else 'DIFFERENT'} ({str(theirs)[:16]})")
    return 0 if same else 1


def digest(run: Path) -> str:
    folder = newest(run)
    return "" if folder is None else checkpoint.digest(checkpoint.load(folder).leaves)


LOOKS: dict[str, Callable[[Path], str]] = {
    "iterations": lambda run: str(lines(run)),
    "checkpoint": digest,
    "metrics": lambda run: hashlib.sha256((run / "metrics.jsonl").read_bytes()).hexdigest(),
}

if __name__ == "__main__":
    sys.exit(main())
