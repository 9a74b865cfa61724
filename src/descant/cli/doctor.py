"""Look at this machine: versions, devices, threads, cache, disk, and whether numbers repeat.

The last check runs one small calculation three times, compiled anew each time, and compares its
bits with one another and its value with the known answer. A check that fails makes the exit code 1.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.cli.arguments import Arguments, Common
from descant.cli.output import Output
from descant.train.place import cores, instruction_set, versions

USAGE = "descant doctor [OPTIONS]"
EXAMPLES = ("descant doctor", "descant doctor --json")
WORDS = 0
ROOTS = ()

REPEATS = 3
FREE = 1.0
"""GiB of free disk that a run should find."""
ANSWER = -2.3823
"""Sum of tanh(sin(i j) / 4) over i, j = 0 .. 31, to four decimals; by numpy in double precision."""

UNSET = "NPROC is not set, so the last bits of results depend on the number of cores"


@dataclass(frozen=True)
class Options(Common):
    """Options of `descant doctor`."""


OPTIONS = Options()


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    said: str
    facts: dict[str, Any]
    ok: bool = True


def main(arguments: Arguments, output: Output) -> int:
    """Run all checks and show what they found."""
    arguments.check()
    findings = {name: _tried(check) for name, check in CHECKS.items()}
    healthy = all(finding.ok for finding in findings.values())
    record = {name: {"ok": f.ok, "said": f.said, **f.facts} for name, f in findings.items()}
    lines = [f"{'ok ' if f.ok else 'BAD'}  {name:<14}{f.said}" for name, f in findings.items()]
    output.result({"kind": "doctor", "healthy": healthy, "checks": record}, "\n".join(lines))
    output.next(
        "descant train" if healthy else "descant doctor once the lines marked BAD are mended"
    )
    return 0 if healthy else 1


def _tried(check: Callable[[], Finding]) -> Finding:
    """A check that breaks is a finding too; the other checks still run."""
    try:
        return check()
    except Exception as error:
        return Finding(f"{type(error).__name__}: {error}", {}, ok=False)


def _versions() -> Finding:
    found = versions()
    return Finding(", ".join(f"{name} {version}" for name, version in found.items()), found)


def _devices() -> Finding:
    import jax

    kinds = [f"{device.platform}: {device.device_kind}" for device in jax.devices()]
    return Finding(", ".join(kinds), {"devices": kinds, "backend": jax.default_backend()})


def _threads() -> Finding:
    usable, chosen, isa = cores(), os.environ.get("NPROC"), instruction_set()
    said = f"{usable} usable cores ({isa}); " + (f"NPROC={chosen}" if chosen else UNSET)
    return Finding(said, {"cores": usable, "nproc": chosen, "isa": isa})


def _cache() -> Finding:
    from descant.train.cache import directory, enable_compile_cache, mend

    folder, said = enable_compile_cache()
    owner = folder.owner() if folder and folder.is_dir() else None
    damaged = mend() if folder == directory() else 0
    said += f", owned by {owner}" if owner else ""
    said += f"; {damaged} damaged entries removed" if damaged else ""
    return Finding(said, {"path": folder, "owner": owner, "damaged": damaged})


def _disk() -> Finding:
    here = Path.cwd()
    free = shutil.disk_usage(here).free / 2**30
    return Finding(f"{free:.1f} GiB free in {here}", {"free_gib": free}, ok=free >= FREE)


def _repeatability() -> Finding:
    values, prints = zip(*(_canary() for _ in range(REPEATS)), strict=True)
    same = len(set(prints)) == 1
    right = all(abs(value - ANSWER) < 1e-3 for value in values)
    verdict = "the same bits" if same else f"DIFFERENT bits ({', '.join(sorted(set(prints)))})"
    answer = "right" if right else f"WRONG (expected {ANSWER})"
    said = f"{REPEATS} times {verdict}; the answer {values[0]:.4f} is {answer}"
    return Finding(said, {"fingerprints": prints, "answer": values[0]}, ok=same and right)


def _canary() -> tuple[float, str]:
    """The answer of a small known calculation and a fingerprint of its intermediate bits."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    jax.clear_caches()

    @jax.jit
    def calculate(i):
        table = jnp.tanh(jnp.sin(i[:, None] * i[None, :]) / 4)
        return table @ table, table.sum()

    product, answer = calculate(jnp.arange(32.0))
    bits = np.asarray(product).tobytes() + np.asarray(answer).tobytes()
    return float(answer), hashlib.sha256(bits).hexdigest()[:16]


CHECKS: dict[str, Callable[[], Finding]] = {
    "versions": _versions,
    "devices": _devices,
    "threads": _threads,
    "cache": _cache,
    "disk": _disk,
    "repeatability": _repeatability,
}
