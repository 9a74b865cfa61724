"""How many damaged checkpoints are noticed: all of them should be.

    python benchmarks/corrupt_checkpoints.py --count 600 --seed 0

Three checkpoints are saved; the newest is damaged, and the run is resumed. Either the damage is
noticed and an older checkpoint is loaded (fell back), or nothing is left to load (error), or the
newest loads and is right all the same (harmless), or something else is taken for it (silently
wrong).
"""

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from descant.train import checkpoint
from descant.train.checkpoint import CheckpointError

OUTCOMES = ("fell back", "error", "harmless", "silently wrong")
STEPS = (10, 20, 30)
NEWEST, BEFORE = "00000030", "00000020"

Damage = Callable[[Path, np.random.Generator], None]


def flip(name: str) -> Damage:
    def damage(folder: Path, rng: np.random.Generator) -> None:
        content = bytearray((folder / NEWEST / name).read_bytes())
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        (folder / NEWEST / name).write_bytes(content)

    return damage


def truncate(name: str) -> Damage:
    def damage(folder: Path, rng: np.random.Generator) -> None:
        content = (folder / NEWEST / name).read_bytes()
        (folder / NEWEST / name).write_bytes(content[: rng.integers(len(content))])

    return damage


def zero(name: str) -> Damage:
    def damage(folder: Path, rng: np.random.Generator) -> None:
        content = bytearray((folder / NEWEST / name).read_bytes())
        start, stop = sorted(rng.integers(len(content) + 1, size=2))
        content[start:stop] = bytes(stop - start)
        (folder / NEWEST / name).write_bytes(content)

    return damage


def swap(name: str) -> Damage:
    def damage(folder: Path, rng: np.random.Generator) -> None:
        one, other = folder / NEWEST / name, folder / BEFORE / name
        contents = one.read_bytes(), other.read_bytes()
        one.write_bytes(contents[1])
        other.write_bytes(contents[0])

    return damage


def remove(name: str) -> Damage:
    def damage(folder: Path, rng: np.random.Generator) -> None:
        (folder / NEWEST / name).unlink()

    return damage


def misname(folder: Path, rng: np.random.Generator) -> None:
    (folder / NEWEST).rename(folder / f"{rng.integers(31, 10**8):08d}")


KINDS: dict[str, Damage] = {
    f"{kind.__name__} {name}": kind(name)
    for kind in (flip, truncate, zero, swap, remove)
    for name in (checkpoint.STATE, checkpoint.MANIFEST)
} | {"wrong step in the name": misname}
SHARES = [
    8 if "flip" in kind else 3 if kind.startswith(("truncate", "zero")) else 1 for kind in KINDS
]


def survey(count: int, seed: int, place: Path) -> dict[str, Counter[str]]:
    """Damage `count` checkpoints; what became of them, for each kind of damage."""
    rng = np.random.default_rng(seed)
    good, folder = place / "good", place / "damaged"
    digests = {step: _save(good, step, rng) for step in STEPS}
    found = {kind: Counter[str]() for kind in KINDS}
    order = np.repeat(list(KINDS), SHARES)
    for kind in (str(order[index % len(order)]) for index in range(count)):
        shutil.copytree(good, folder)
        KINDS[kind](folder, rng)
        found[kind][_outcome(folder, digests)] += 1
        shutil.rmtree(folder)
    return found


def _save(folder: Path, step: int, rng: np.random.Generator) -> str:
    leaves = {
        "actor/weight": rng.normal(size=(32, 16)).astype(np.float32),
        "actor/bias": np.zeros(16, np.float32),
        "count": np.array(step, np.int32),
        "key<threefry2x32>": rng.integers(2**32, size=2, dtype=np.uint32),
        "done": rng.random(8) < 0.5,
    }
    checkpoint.save(folder, step, leaves, {"seed": 0, "rate": 3e-4}, keep=len(STEPS))
    return checkpoint.digest(leaves)


def _outcome(folder: Path, digests: dict[int, str]) -> str:
    try:
        newest, _ = checkpoint.latest(folder, strict=True, readonly=True)
    except CheckpointError:
        return _after_refusal(folder, digests)
    right = newest and newest.step == max(STEPS) and _is_right(newest, digests)
    return "harmless" if right else "silently wrong"


def _after_refusal(folder: Path, digests: dict[int, str]) -> str:
    older, messages = checkpoint.latest(folder)
    if older is None:
        return "error"
    moved = [name for name in folder.iterdir() if name.name.startswith("quarantine-")]
    told = messages and len(messages) == len(moved)
    return "fell back" if told and _is_right(older, digests) else "silently wrong"


def _is_right(found: checkpoint.Checkpoint, digests: dict[int, str]) -> bool:
    return digests.get(found.step) == checkpoint.digest(found.leaves)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = survey(options.count, options.seed, Path(place))
    print(f"{'damage':24}{'cases':>8}" + "".join(f"{outcome:>16}" for outcome in OUTCOMES))
    for kind, counts in (found | {"all": sum(found.values(), Counter[str]())}).items():
        cells = "".join(f"{counts[outcome]:16}" for outcome in OUTCOMES)
        print(f"{kind:24}{counts.total():8}{cells}")
    return int(any(counts["silently wrong"] for counts in found.values()))


if __name__ == "__main__":
    sys.exit(main())
