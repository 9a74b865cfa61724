"""A recorded cluster: the nodes it has and the jobs that came, in one verified folder.

A trace folder holds `trace.npz` (the numbers), `trace.json` (names, units, origin, checksums) and
`rejects.jsonl` (rows that the import could not take). It appears under its name all at once or not
at all, and every byte that is loaded is covered by a checksum.
"""

import hashlib
import io
import json
import math
import os
import secrets
import shutil
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from descant.core.errors import PlaceError, UserError

FORMAT = 1
ARRAYS = {
    "capacity": np.dtype("<i4"),
    "time": np.dtype("<f8"),
    "demand": np.dtype("<i4"),
    "duration": np.dtype("<f4"),
}
FILES = ("trace.npz", "trace.json", "rejects.jsonl")
LARGEST_JSON = 256 * 2**20
"""Bytes of `trace.json` that are read at most; about ten million node names."""


@dataclass(frozen=True, eq=False)
class Trace:
    """Nodes and jobs of a recorded cluster; demands and capacities count small whole units."""

    resources: tuple[str, ...]
    """What nodes offer and jobs ask for, such as `cpu`, `memory`, `gpu`."""
    units: tuple[str, ...]
    """Unit of each resource, such as `millicore`, `MiB`, `milli-GPU`."""
    names: tuple[str, ...]
    """Nodes."""
    model: tuple[str, ...]
    """GPU model of each node, empty where there is none."""
    capacity: np.ndarray
    """int32 [nodes, resources]."""
    time: np.ndarray
    """float64 [jobs]: arrival, seconds since the first job, never decreasing."""
    demand: np.ndarray
    """int32 [jobs, resources]."""
    duration: np.ndarray
    """float32 [jobs]: seconds, above zero."""
    source: dict[str, Any]
    """Origin: files, checksums, counts, attribution, notes."""

    def __post_init__(self) -> None:
        """Check shapes, types and ranges.

        Raises:
            ValueError: a field is not as described; it is named.
        """
        nodes, jobs, resources = len(self.names), len(self.time), len(self.resources)
        words = (*self.resources, *self.units, *self.names, *self.model)
        if not all(isinstance(word, str) for word in words) or not isinstance(self.source, dict):
            raise ValueError("expected text in resources, units, names, model; a table in source")
        if not resources or len(set(self.resources)) != resources or len(self.units) != resources:
            raise ValueError("resources: expected one or more, none twice, each with its unit")
        if not nodes or not jobs:
            raise ValueError(f"expected at least one node and one job, got {nodes} and {jobs}")
        if len(self.model) != nodes:
            raise ValueError(f"model: expected {nodes} entries, got {len(self.model)}")
        shapes = {"capacity": (nodes, resources), "demand": (jobs, resources)}
        for name, dtype in ARRAYS.items():
            array = getattr(self, name)
            shape = shapes.get(name, (jobs,))
            if array.dtype != dtype or array.shape != shape:
                raise ValueError(
                    f"{name}: expected {dtype} {shape}, got {array.dtype} {array.shape}"
                )
        if not np.isfinite(self.time).all() or (np.diff(self.time) < 0).any():
            raise ValueError("time: expected finite seconds in order of arrival")
        if not np.isfinite(self.duration).all() or (self.duration <= 0).any():
            raise ValueError("duration: expected finite seconds above zero")
        if (self.capacity < 0).any() or (self.demand < 0).any():
            raise ValueError("capacity, demand: expected no negative number")


def summary(trace: Trace) -> dict[str, Any]:
    """The cluster in a few numbers.

    `load` is the mean demand at one time if every job ran from its arrival for its duration,
    averaged from the first arrival to the last end; `utilisation` is load over capacity.
    """
    duration = trace.duration.astype(np.float64)
    span = float((trace.time + duration).max() - trace.time[0])
    capacity = trace.capacity.sum(axis=0, dtype=np.int64)
    loads = duration @ trace.demand / span
    return {
        "nodes": len(trace.names),
        "node_shapes": len(np.unique(trace.capacity, axis=0)),
        "jobs": len(trace.time),
        "span_days": span / 86_400,
        "duration_quartiles": [float(q) for q in np.quantile(duration, (0.25, 0.5, 0.75))],
        "resources": {
            name: {
                "unit": unit,
                "capacity": int(total),
                "load": float(mean),
                "utilisation": float(mean / total) if total else None,
            }
            for name, unit, total, mean in zip(
                trace.resources, trace.units, capacity, loads, strict=True
            )
        },
    }


def check_free(out: Path, replace: bool) -> None:
    """See to it that a trace may be written to `out`.

    Raises:
        UserError: something else is there, or a trace and `replace` is not set.
        PlaceError: the place cannot be looked at.
    """
    try:
        if out.is_symlink() or (out.exists() and not out.is_dir()):
            raise UserError(f"{out}: is not a folder; choose another place for the trace.")
        entries = {entry.name for entry in out.iterdir()} if out.exists() else set()
    except OSError as error:
        raise PlaceError(f"{out}: cannot be looked at: {error.strerror}.") from error
    if not entries:
        return
    if "trace.json" not in entries or not entries <= set(FILES):
        raise UserError(
            f"{out}: is a folder with other content than a trace; it is left as it is. "
            "Choose another place for the trace."
        )
    if not replace:
        raise UserError(f"{out}: holds a trace already; --replace takes its place.")


def save(trace: Trace, out: Path, *, replace: bool = False, rejects: bytes = b"") -> None:
    """Write a trace folder: all of it, or nothing.

    Raises:
        UserError: `out` is taken; see `check_free`.
        PlaceError: the disk or its permissions do not allow it.
    """
    check_free(out, replace)
    try:
        out = out.resolve()
        out.parent.mkdir(parents=True, exist_ok=True)
        _commit(_files(trace, rejects), out)
    except OSError as error:
        raise PlaceError(f"{out}: the trace cannot be written: {error.strerror}.") from error


def load(path: Path) -> Trace:
    """Read a trace folder, checking every byte of it.

    Raises:
        UserError: it is no trace, or it is damaged; file and reason are named.
    """
    try:
        if not (path / "trace.json").is_file():
            raise UserError(f"{path}: is not a trace folder; `descant import cloud` makes one.")
        about = _about(path / "trace.json")
        arrays = _arrays(path / "trace.npz", about["arrays"])
        return Trace(
            resources=tuple(about["resources"]),
            units=tuple(about["units"]),
            names=tuple(about["names"]),
            model=tuple(about["model"]),
            source=about["source"],
            **arrays,
        )
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: is damaged: {error}. Import it again.") from error


def _files(trace: Trace, rejects: bytes) -> dict[str, bytes]:
    buffer = io.BytesIO()
    # Columns first is how numpy stores what was transposed; we load rows first alone.
    arrays: dict[str, Any] = {name: np.ascontiguousarray(getattr(trace, name)) for name in ARRAYS}
    np.savez(buffer, **arrays)
    packed = buffer.getvalue()
    about = {
        "format": FORMAT,
        "kind": "trace",
        "arrays": {
            "bytes": len(packed),
            "sha256": hashlib.sha256(packed).hexdigest(),
            "shapes": {name: list(getattr(trace, name).shape) for name in ARRAYS},
        },
        **{name: list(getattr(trace, name)) for name in ("resources", "units", "names", "model")},
        "source": trace.source,
    }
    about["sha256"] = _seal(about)
    text = json.dumps(about, indent=1, allow_nan=False)
    return {"trace.npz": packed, "trace.json": text.encode(), "rejects.jsonl": rejects}


def _seal(about: dict[str, Any]) -> str:
    """Checksum of the content of `trace.json`, however it is laid out."""
    content = {key: value for key, value in about.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _commit(files: dict[str, bytes], out: Path) -> None:
    token = secrets.token_hex(4)
    new, old = (out.with_name(f".{out.name}.{token}.{part}") for part in ("new", "old"))
    try:
        new.mkdir()
        for name, data in files.items():
            _write(new / name, data)
        _flush(new)
        if out.exists():
            out.rename(old)
        new.rename(out)
        _flush(out.parent)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise
    finally:
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush(folder: Path) -> None:
    """Make renames inside a folder outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _about(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"trace.json is larger than {LARGEST_JSON:,} bytes")
    try:
        about = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError("trace.json is not JSON") from error
    if not isinstance(about, dict) or about.get("sha256") != _seal(about):
        raise ValueError("trace.json does not match its checksum")
    if about.get("kind") != "trace" or about.get("format") != FORMAT:
        raise ValueError(
            f"trace.json: expected a trace of format {FORMAT}, "
            f"got {about.get('kind')!r} of format {about.get('format')!r}"
        )
    return about


def _arrays(path: Path, expected: dict[str, Any]) -> dict[str, np.ndarray]:
    size = path.stat().st_size
    if not path.is_file() or size != expected["bytes"]:
        raise ValueError(f"trace.npz: expected {expected['bytes']} bytes, got {size}")
    packed = path.read_bytes()
    if hashlib.sha256(packed).hexdigest() != expected["sha256"]:
        raise ValueError("trace.npz does not match its checksum")
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            members = {info.filename: info for info in archive.infolist()}
            if set(members) != {f"{name}.npy" for name in ARRAYS}:
                raise ValueError(f"trace.npz: expected {', '.join(ARRAYS)}")
            # Stored members cannot be larger than the file, so nothing can unfold in memory.
            if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
                raise ValueError("trace.npz: expected members that are not compressed")
            return {
                name: _array(name, archive.read(f"{name}.npy"), expected["shapes"][name])
                for name in ARRAYS
            }
    except (zipfile.BadZipFile, struct.error, EOFError, RuntimeError) as error:
        raise ValueError(f"trace.npz: {error}") from error


def _array(name: str, member: bytes, shape: list[int]) -> np.ndarray:
    """Numbers of one member; its header is checked before anything is allocated."""
    stream = io.BytesIO(member)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name}: expected an array file of version 1.0")
    header = np.lib.format.read_array_header_1_0(stream)
    if header != (tuple(shape), False, ARRAYS[name]):
        raise ValueError(f"{name}: expected {ARRAYS[name]} {tuple(shape)}, got {header}")
    if len(member) - stream.tell() != math.prod(shape) * ARRAYS[name].itemsize:
        raise ValueError(f"{name}: holds another number of bytes than its shape says")
    return np.frombuffer(member, ARRAYS[name], offset=stream.tell()).reshape(shape)
