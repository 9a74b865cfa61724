"""What the last bits of a run's numbers depend on: versions, device, threads, instruction set."""

import hashlib
import os
import platform
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("descant", "jax", "jaxlib", "equinox", "optax", "numpy", "scipy", "polars")
LEVELS = ("avx512f", "avx2", "avx", "sse4_2")
"""Vector instructions for which XLA makes different programs, the widest first."""


def instruction_set(flags: str | None = None) -> str:
    """The kind of processor, as `x86_64 avx512f`.

    Args:
        flags: its features in the words of `/proc/cpuinfo`; looked up when left out.
    """
    known = set((_flags() if flags is None else flags).split())
    level = next((level for level in LEVELS if level in known), "")
    return f"{platform.machine()} {level}".rstrip()


def versions() -> dict[str, str | None]:
    """Versions of Python and of what numbers may depend on; nothing is imported."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def place(device: str, files: Iterable[str] = (), devices: int = 1) -> dict[str, Any]:
    """Where a run is made.

    Args:
        device: kind of the device.
        files: files of the user's that hold a domain or an algorithm.
        devices: how many of them.
    """
    return {
        "versions": versions(),
        "threads": os.environ.get("NPROC"),
        "cores": cores(),
        "device": device,
        "devices": devices,
        "isa": instruction_set(),
        "xla_flags": os.environ.get("XLA_FLAGS"),
        "files": {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in files},
    }


def moved(before: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What changed between two places, one phrase each: `jaxlib 0.10.2 -> 0.11.0`."""
    pairs = {
        "threads": (_threads(before), _threads(here)),
        "device": (before.get("device"), here["device"]),
        "devices": (before.get("devices", 1), here["devices"]),
        "instruction set": (before.get("isa"), here["isa"]),
        "XLA_FLAGS": (before.get("xla_flags"), here["xla_flags"]),
    }
    versions = _table(before, "versions")
    pairs |= {name: (versions.get(name), found) for name, found in here["versions"].items()}
    files = _table(before, "files")
    changed = [f"{name}: {old} -> {new}" for name, (old, new) in pairs.items() if old != new]
    return changed + [
        f"{name} was edited" for name, found in here["files"].items() if files.get(name) != found
    ]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")


def _threads(place: Mapping[str, Any]) -> str:
    """How many threads XLA takes: NPROC, or else one for each core."""
    return str(place.get("threads") or place.get("cores"))


def _table(place: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = place.get(name)
    return value if isinstance(value, dict) else {}
