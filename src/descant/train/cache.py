"""The cache of compiled programs: one private folder for each user, shared by all runs.

Whoever can write into JAX's compile cache can run code as us, so the folder must be ours alone. The
path is part of JAX's cache key; a folder per run would never be hit.
"""

import importlib.util
import os
import stat
import zlib
from pathlib import Path

from descant.train.storage import DISK, explained

_SECONDS = 0.2
"""Programs that compile faster are not worth a file."""


def directory() -> Path:
    """Where the cache lies: `$XDG_CACHE_HOME/descant/jax`, by default under `~/.cache`."""
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG standard says that relative paths are to be ignored.
    return (root if root.is_absolute() else Path.home() / ".cache") / "descant" / "jax"


def enable_compile_cache() -> tuple[Path | None, str]:
    """Let JAX keep compiled programs from one run to the next.

    Nothing here stops a run: where the cache cannot be used safely, the run goes on without. To be
    called before the first compilation. A folder chosen by `JAX_COMPILATION_CACHE_DIR` is JAX's
    own affair.

    Returns:
        The folder, or none, and one line saying so.
    """
    if chosen := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(chosen), f"compile cache in {chosen}, as JAX_COMPILATION_CACHE_DIR says"
    folder = directory()
    reason = _objection(folder)
    if reason:
        return None, f"compile cache off: {reason}"

    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", _SECONDS)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    return folder, f"compile cache in {folder}"


def clear() -> int:
    """Remove the cache; returns how many files it held.

    Raises:
        PlaceError: it cannot be removed.
    """
    folder = directory()
    if not folder.is_dir():
        return 0
    with explained(f"Removing the compile cache {folder}", folder.parent):
        count = 0 if folder.is_symlink() else len(DISK.names(folder))
        DISK.remove(folder)
    return count


def mend() -> int:
    """Remove damaged entries, which JAX neither uses nor replaces; returns how many.

    Raises:
        PlaceError: the cache cannot be read or written.
    """
    folder = directory()
    if not folder.is_dir():
        return 0
    damaged = 0
    with explained(f"Mending the compile cache {folder}", folder.parent):
        for path in folder.glob("*-cache"):
            if not _is_whole(DISK.read(path)):
                DISK.remove(path)
                damaged += 1
    return damaged


def _is_whole(entry: bytes) -> bool:
    try:
        zlib.decompress(entry)
    except zlib.error:
        return False
    return True


def _objection(folder: Path) -> str:
    """Why the cache must not be used, or nothing; the folder is made if missing."""
    if os.environ.get("DESCANT_CACHE", "").lower() in ("off", "0", "no", "false"):
        return "DESCANT_CACHE says so"
    if _is_unchecked():
        return "with zstd, JAX's entries have no checksum, and a flipped bit would be run"
    try:
        folder.parent.parent.mkdir(parents=True, exist_ok=True)
        for part in (folder.parent, folder):
            part.mkdir(mode=0o700, exist_ok=True)
        us = os.getuid()
        return (
            _foreign(folder.parent.parent, {0, us})
            or _foreign(folder.parent, {us})
            or _foreign(folder, {us})
        )
    except OSError as error:
        return f"{folder} cannot be made ({error.strerror})"


def _is_unchecked() -> bool:
    """Whether JAX would compress with zstd; zlib, its other choice, notices damage."""
    return any(importlib.util.find_spec(name) for name in ("compression", "zstandard"))


def _foreign(folder: Path, owners: set[int]) -> str:
    """Who else could put a file there, or nothing."""
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"{folder} is a link"
    if status.st_uid not in owners:
        return f"{folder} belongs to another user"
    # In a sticky folder, as /tmp, others cannot rename what is ours.
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        return f"others may write in {folder}; `chmod go-w` it and clear the cache"
    return ""
