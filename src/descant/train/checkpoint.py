"""Checkpoints that are whole or absent, and that notice every flipped bit.

A checkpoint is a folder named by its step, `00000010/`, with the arrays in `state.npz` (an
uncompressed zip of plain arrays; nothing in it can run) and `manifest.json`, with the SHA-256
of the arrays' file, the shape and dtype of every leaf, the caller's metadata, and a SHA-256 of
itself. It is written to a hidden folder, forced to the disk, and renamed; so a folder named by a
step was complete once. Whether it still is, `load` checks.
"""

import errno
import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from descant.core.errors import Diverged, PlaceError, UserError
from descant.train.storage import DISK, Storage, explained

FORMAT = 1
STATE = "state.npz"
MANIFEST = "manifest.json"

# How each dtype lies in the file. numpy has no bfloat16, so its bits are stored as integers.
_STORED = {
    "bool": "|b1",
    "int8": "|i1",
    "uint8": "|u1",
    "bfloat16": "<u2",
    **{f"{kind}{8 * size}": f"<{kind[0]}{size}" for kind in ("int", "uint") for size in (2, 4, 8)},
    **{f"float{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
_MANIFEST_LIMIT = 1 << 24
_HEADER_LIMIT = 1 << 12
# Errors that speak of this checkpoint; others (no permission, too many open files) speak of the
# place, and a checkpoint must not be moved aside for them.
_DAMAGE = {errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ELOOP, errno.EIO, errno.ENXIO}


class CheckpointError(UserError):
    """A checkpoint, or a state to be stored in one, is not what it should be."""


@dataclass(frozen=True)
class Checkpoint:
    """A state as it was saved."""

    step: int
    leaves: dict[str, np.ndarray]
    metadata: dict[str, Any]


def save(
    folder: Path,
    step: int,
    leaves: Mapping[str, np.ndarray],
    metadata: Mapping[str, Any],
    *,
    keep: int,
    storage: Storage = DISK,
) -> Path:
    """Write a checkpoint; when this returns, it survives a loss of power.

    A folder of the same step is left alone if it holds the same content, and moved aside otherwise.

    Args:
        folder: the folder of all checkpoints; made if missing.
        step: what the checkpoint is named by; at least 0.
        leaves: the state; bool, integer and float arrays by name, as `flatten` gives them.
        metadata: anything JSON can hold.
        keep: how many checkpoints, this one included, stay; older ones are removed.
        storage: the disk.

    Raises:
        CheckpointError: a name, dtype or the metadata cannot be stored.
        Diverged: a leaf holds values that are not finite.
        PlaceError: the disk did not take it; the checkpoints before are untouched.
    """
    if step < 0 or keep < 1:
        raise CheckpointError(f"Expected step >= 0 and keep >= 1, got {step} and {keep}.")
    state = _pack(leaves)
    manifest = _manifest(step, leaves, metadata, state)
    path = folder / f"{step:08d}"
    needed = len(state) + len(manifest)
    with explained(f"Saving checkpoint {step} in {folder}", folder, needed):
        storage.make(folder)
        _write(path, state, manifest, storage)
        before = [old for old in _steps(folder, storage) if old < step]
        for old in before[: max(0, len(before) - keep + 1)]:
            _discard(folder / f"{old:08d}", storage)
    return path


def load(path: Path, storage: Storage = DISK) -> Checkpoint:
    """Read one checkpoint, in full or not at all.

    Raises:
        CheckpointError: something in it is missing, damaged or foreign; file and reason are named.
        UserError: it is whole, and of a format that this version does not read.
        PlaceError: it could not be read for a reason that is not its own, as a missing permission.
    """
    return _read(path, storage)[0]


def latest(
    folder: Path, *, strict: bool = False, readonly: bool = False, storage: Storage = DISK
) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that loads, and a sentence for each newer one that does not.

    Those are moved aside to `quarantine-STEP-K`, so that their step can be saved again, and what a
    killed process left half written is removed; only the process that holds the run's lock may do
    this, others read with `readonly`.

    Args:
        folder: the folder of all checkpoints; a missing one holds none.
        strict: refuse instead of going back to an older checkpoint.
        readonly: leave the folder as it is.
        storage: the disk.

    Raises:
        CheckpointError: with `strict`, the newest one does not load.
        UserError: the newest one is whole, and of a format that this version does not read.
        PlaceError: the folder could not be read or tidied.
    """
    messages: list[str] = []
    if not folder.is_dir():
        return None, messages
    with explained(f"Reading the checkpoints in {folder}", folder):
        if not readonly:
            _sweep(folder, storage)
        for step in reversed(_steps(folder, storage)):
            path = folder / f"{step:08d}"
            try:
                return load(path, storage), messages
            except CheckpointError as error:
                if strict:
                    raise
                moved = "" if readonly else f" Moved aside to {_set_aside(path, storage).name}."
                messages.append(f"{error}{moved}")
    return None, messages


def clear(folder: Path, storage: Storage = DISK) -> None:
    """Remove all checkpoints, those set aside too; files that are not ours stay.

    Raises:
        PlaceError: a checkpoint cannot be removed.
    """
    if not folder.is_dir():
        return
    with explained(f"Removing the checkpoints in {folder}", folder):
        _sweep(folder, storage)
        for step in _steps(folder, storage):
            _discard(folder / f"{step:08d}", storage)
        for name in storage.names(folder):
            if re.fullmatch(r"quarantine-\d{8,}-\d+", name):
                storage.remove(folder / name)


def digest(leaves: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over the names, dtypes, shapes and bytes of all leaves, whatever their order."""
    total = hashlib.sha256()
    for name, leaf in sorted(leaves.items()):
        total.update(_encode([name, leaf.dtype.name, list(leaf.shape)]))
        total.update(_stored(leaf).tobytes())
    return total.hexdigest()


def flatten(tree: Any) -> dict[str, np.ndarray]:
    """Copy the arrays of a tree to the host, named by their paths (`actor/layers/0/weight`).

    Leaves that are not arrays are left out. Typed random keys become their integers, under a name
    that also tells the generator (`key<threefry2x32>`).

    Raises:
        CheckpointError: two leaves have the same path.
    """
    # Copies, because the caller may donate the device's buffers to the next step.
    return {name: np.array(_plain(leaf)) for name, leaf in _named(tree).items()}


def restore(template: Any, leaves: Mapping[str, np.ndarray]) -> Any:
    """The template with its arrays replaced by those stored under their paths.

    Raises:
        CheckpointError: a name, shape or dtype differs between the template and the stored leaves.
    """
    import equinox as eqx
    import jax

    wanted = _named(template)
    _check_names(wanted, leaves)
    restored = [_like(leaf, name, leaves[name]) for name, leaf in wanted.items()]
    arrays, rest = eqx.partition(template, eqx.is_array)
    structure = jax.tree_util.tree_structure(arrays)
    return eqx.combine(jax.tree_util.tree_unflatten(structure, restored), rest)


def _named(tree: Any) -> dict[str, Any]:
    import equinox as eqx
    import jax

    arrays, _ = eqx.partition(tree, eqx.is_array)
    named: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(arrays)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator="/") or "state"
        name += f"<{jax.random.key_impl(leaf)}>" if _is_key(leaf) else ""
        if name in named:
            raise CheckpointError(f"Two arrays of the state are both called {name!r}.")
        named[name] = leaf
    return named


def _is_key(leaf: Any) -> bool:
    import jax
    import jax.numpy as jnp

    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _plain(leaf: Any) -> Any:
    import jax

    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _check_names(wanted: Mapping[str, Any], leaves: Mapping[str, np.ndarray]) -> None:
    missing = [name for name in wanted if name not in leaves]
    unexpected = [name for name in leaves if name not in wanted]
    complaints = []
    if missing:
        complaints.append(f"it has no array {_some(missing)}")
    if unexpected:
        complaints.append(f"it has {_some(unexpected)}, which the configuration lacks")
    if complaints:
        raise CheckpointError(
            f"The checkpoint is of another configuration, or of another version of descant: "
            f"{'; '.join(complaints)}."
        )


def _some(names: list[str]) -> str:
    return repr(names[0]) + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _like(template: Any, name: str, leaf: np.ndarray) -> Any:
    import jax
    import jax.numpy as jnp

    plain = _plain(template)
    expected, found = (plain.dtype.name, plain.shape), (leaf.dtype.name, leaf.shape)
    if expected != found:
        raise CheckpointError(
            f"The checkpoint's array {name!r} is {_say(*found)}; expected {_say(*expected)}."
        )
    if isinstance(template, np.ndarray):
        return np.array(leaf)
    array = jnp.array(leaf)
    if _is_key(template):
        array = jax.random.wrap_key_data(array, impl=jax.random.key_impl(template))
    spread = len(template.sharding.device_set) > 1
    return jax.device_put(array, template.sharding) if spread else array


def _say(dtype: str, shape: tuple[int, ...]) -> str:
    return f"{dtype}[{', '.join(map(str, shape))}]"


def _write(path: Path, state: bytes, manifest: bytes, storage: Storage) -> None:
    if path.is_symlink() or path.exists():
        if _holds(path, manifest, storage):
            storage.sync(path.parent)
            return
        _set_aside(path, storage)
    partial = path.with_name(f".partial-{path.name}")
    try:
        if partial.exists():
            storage.remove(partial)
        storage.call(Path.mkdir, partial)
        storage.write(partial / STATE, state)
        storage.write(partial / MANIFEST, manifest)
        storage.sync(partial)
        storage.rename(partial, path)
    except OSError:
        # The first error is the one to tell; what cannot be removed now, `latest` sweeps.
        with suppress(OSError):
            storage.remove(partial)
        raise


def _holds(path: Path, manifest: bytes, storage: Storage) -> bool:
    """Whether the checkpoint on disk is whole and the one described; a manifest pins its arrays."""
    try:
        return _read(path, storage)[1] == manifest
    except CheckpointError:
        return False


def _discard(path: Path, storage: Storage) -> None:
    """Remove a checkpoint; its name disappears first, so a half removed one is never found."""
    removed = path.with_name(f".removed-{path.name}")
    if removed.exists():
        storage.remove(removed)
    storage.rename(path, removed)
    storage.remove(removed)


def _set_aside(path: Path, storage: Storage) -> Path:
    taken = storage.names(path.parent)
    number = 1
    while (name := f"quarantine-{path.name}-{number}") in taken:
        number += 1
    storage.rename(path, path.with_name(name))
    return path.with_name(name)


def _sweep(folder: Path, storage: Storage) -> None:
    for name in storage.names(folder):
        if re.fullmatch(r"\.(partial|removed)-\d{8,}", name):
            storage.remove(folder / name)


def _steps(folder: Path, storage: Storage) -> list[int]:
    plain = re.compile(r"[0-9]{8}|[1-9][0-9]{8,17}")
    return sorted(int(name) for name in storage.names(folder) if plain.fullmatch(name))


def _pack(leaves: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, leaf in sorted(leaves.items()):
            _check_leaf(name, leaf)
            # ZipInfo's fixed date keeps equal states equal byte for byte.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _stored(leaf), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _stored(leaf: np.ndarray) -> np.ndarray:
    """The leaf as it lies in the file."""
    plain = np.asarray(leaf, order="C")
    if leaf.dtype.name == "bfloat16":
        plain = plain.view(np.uint16)
    return plain.astype(_STORED[leaf.dtype.name], copy=False)


def _check_leaf(name: str, leaf: np.ndarray) -> None:
    if not _is_plain_name(name):
        raise CheckpointError(
            f"Arrays in a checkpoint are named like 'actor/weight', not {name!r}."
        )
    if leaf.dtype.name not in _STORED:
        raise CheckpointError(
            f"The array {name!r} has dtype {leaf.dtype.name}; expected one of {', '.join(_STORED)}."
        )
    if "float" in leaf.dtype.name and not (finite := np.isfinite(leaf)).all():
        bad = int(leaf.size - finite.sum())
        raise Diverged(
            f"{bad} of {leaf.size} values of {name!r} are not finite; nothing was saved."
        )


def _is_plain_name(name: str) -> bool:
    parts = name.split("/")
    return name.isprintable() and "\\" not in name and not {"", ".", ".."} & set(parts)


def _manifest(
    step: int, leaves: Mapping[str, np.ndarray], metadata: Mapping[str, Any], state: bytes
) -> bytes:
    content = {
        "format": FORMAT,
        "step": step,
        "files": {STATE: {"sha256": hashlib.sha256(state).hexdigest(), "bytes": len(state)}},
        "leaves": {
            name: {"shape": list(leaf.shape), "dtype": leaf.dtype.name}
            for name, leaf in leaves.items()
        },
    }
    try:
        # Through JSON and back, so that what is hashed is what a reader will see.
        content["metadata"] = json.loads(_encode(dict(metadata)))
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"The checkpoint's metadata is not plain JSON: {error}.") from error
    sealed = _encode(_sealed(content))
    if len(sealed) > _MANIFEST_LIMIT:
        raise CheckpointError(
            f"The checkpoint's metadata and names take {len(sealed):,} bytes; "
            f"expected at most {_MANIFEST_LIMIT:,}."
        )
    return sealed


def _sealed(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "sha256": hashlib.sha256(_encode(content)).hexdigest()}


def _encode(content: Any) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def _read(path: Path, storage: Storage) -> tuple[Checkpoint, bytes]:
    """The checkpoint and the bytes of its manifest."""
    if path.is_symlink():
        raise CheckpointError(f"{path} cannot be used: it is a link.")
    sealed = _file(path / MANIFEST, _MANIFEST_LIMIT, storage)
    with _judging(path / MANIFEST):
        content = _opened(sealed)
        if path.name != f"{content['step']:08d}":
            raise _Reason(f"it describes step {content['step']}, the folder is named {path.name}")
        file = content["files"][STATE]
        _check_claims(content["leaves"], file["bytes"])
    state = _file(path / STATE, file["bytes"], storage)
    with _judging(path / STATE):
        if len(state) != file["bytes"]:
            sizes = "longer" if len(state) > file["bytes"] else f"{len(state)} bytes long"
            raise _Reason(f"it is {sizes}, the manifest says {file['bytes']} bytes")
        if hashlib.sha256(state).hexdigest() != file["sha256"]:
            raise _Reason(
                "its SHA-256 is not the one in the manifest, so it was changed or damaged"
            )
        leaves = _unpack(state, content["leaves"])
    return Checkpoint(content["step"], leaves, content["metadata"]), sealed


def _file(path: Path, limit: int, storage: Storage) -> bytes:
    try:
        return storage.read(path, limit)
    except OSError as error:
        reason = f"{path} cannot be read: {error.strerror}."
        if error.errno in _DAMAGE:
            raise CheckpointError(reason) from error
        raise PlaceError(reason) from error


class _Reason(Exception):
    """Why a file is refused, in words; the file's name is added further up."""


@contextmanager
def _judging(path: Path) -> Iterator[None]:
    """Whatever a crafted file makes a parser raise becomes a `CheckpointError` naming the file."""
    try:
        yield
    except _Reason as reason:
        raise CheckpointError(f"{path} cannot be used: {reason}.") from None
    except (UserError, MemoryError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{path} is not as descant writes it ({reason}).") from error


def _opened(sealed: bytes) -> dict[str, Any]:
    """The manifest's content; whatever is not byte for byte what we would write is refused."""
    if len(sealed) > _MANIFEST_LIMIT:
        raise _Reason(f"it is longer than {_MANIFEST_LIMIT} bytes")
    try:
        content = json.loads(sealed)
    except ValueError as error:
        raise _Reason(f"it is not JSON ({error})") from error
    unsealed = {key: value for key, value in content.items() if key != "sha256"}
    if _encode(_sealed(unsealed)) != sealed:
        raise _Reason("its SHA-256 does not fit its content, so it was changed or damaged")
    if content["format"] != FORMAT:
        # Not damage: an older descant must not move aside what a newer one wrote.
        raise UserError(
            f"The checkpoint has format {content['format']}, this descant reads format {FORMAT}; "
            "it was written by another version."
        )
    return content


def _check_claims(leaves: dict[str, Any], available: int) -> None:
    """No array may be larger than the file that holds it; checked before anything is allocated."""
    for name, leaf in leaves.items():
        if not _is_plain_name(name):
            raise _Reason(f"an array is named {name!r}")
        if leaf["dtype"] not in _STORED:
            raise _Reason(f"the array {name!r} has dtype {leaf['dtype']!r}")
        if any(type(size) is not int or size < 0 for size in leaf["shape"]):
            raise _Reason(f"the array {name!r} has shape {leaf['shape']}")
    total = sum(map(_bytes, leaves.values()))
    if total > available:
        raise _Reason(f"its arrays need {total} bytes, {STATE} has {available}")


def _bytes(leaf: dict[str, Any]) -> int:
    return math.prod(leaf["shape"]) * np.dtype(_STORED[leaf["dtype"]]).itemsize


def _unpack(state: bytes, leaves: dict[str, Any]) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(io.BytesIO(state)) as archive:
        found = sorted(member.filename for member in archive.infolist())
        if found != sorted(f"{name}.npy" for name in leaves):
            raise _Reason("its members are not the arrays that the manifest lists")
        return {name: _member(archive, name, leaf) for name, leaf in leaves.items()}


def _member(archive: zipfile.ZipFile, name: str, leaf: dict[str, Any]) -> np.ndarray:
    info = archive.getinfo(f"{name}.npy")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise _Reason(f"the array {name!r} is compressed")
    if info.file_size > _bytes(leaf) + _HEADER_LIMIT:
        raise _Reason(
            f"the array {name!r} takes {info.file_size} bytes, {_bytes(leaf)} are its share"
        )
    member = io.BytesIO(archive.read(info))
    if np.lib.format.read_magic(member) != (1, 0):
        raise _Reason(f"the array {name!r} has a header of another version")
    expected = (tuple(leaf["shape"]), False, np.dtype(_STORED[leaf["dtype"]]))
    if np.lib.format.read_array_header_1_0(member) != expected:
        raise _Reason(f"the array {name!r} is not {_say(leaf['dtype'], expected[0])} as listed")
    array = np.frombuffer(member.read(), expected[2]).reshape(expected[0])
    if leaf["dtype"] == "bfloat16":
        import ml_dtypes

        array = array.view(ml_dtypes.bfloat16)
    return array
