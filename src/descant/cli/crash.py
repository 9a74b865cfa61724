"""What a person who mends descant wants to know after an error of its own."""

import os
import platform
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from descant.train.place import versions

REPORTED = ("CUDA_", "JAX_", "XLA_", "OMP_", "NPROC", "DESCANT_", "LANG", "LC_", "TERM", "COLUMNS")


def crash_file(error: Exception, argv: Sequence[str], folder: Path | None) -> Path | str:
    """Write command, environment and traceback into the run folder, else the temporary folder.

    Only variables that numbers or texts depend on are written, none that may hold secrets.

    Returns:
        The file, or what to do instead when it cannot be written anywhere.
    """
    lines = [
        f"command: {shlex.join(['descant', *argv])}",
        f"folder: {Path.cwd()}",
        f"python: {sys.version}",
        f"platform: {platform.platform()}",
        *(f"{name}: {version}" for name, version in versions().items()),
        *(f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(REPORTED)),
        "",
        *traceback.format_exception(error),
    ]
    name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    places = [place for place in (folder, Path(tempfile.gettempdir())) if place is not None]
    for place in places:
        try:
            (place / name).write_text("\n".join(lines), encoding="utf-8", errors="replace")
        except OSError:
            continue
        return place / name
    return "no crash file could be written; run again with --debug"
