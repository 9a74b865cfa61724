"""The folder of one run: who may write in it, and how its records stay readable through crashes.

Records are JSON lines, one `os.write` each; a line torn by a crash is the last one and is ignored.
Other files are replaced atomically.
"""

import fcntl
import io
import json
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.core.errors import PlaceError, UserError
from descant.train.storage import DISK, Storage, explained


@dataclass(frozen=True)
class RunFolder:
    """The files of one run, by name."""

    path: Path
    storage: Storage = DISK

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.toml"

    @property
    def run(self) -> Path:
        """When, where and with which versions the run was started."""
        return self.path / "run.json"

    @property
    def metrics(self) -> Path:
        """One line per iteration; equal for a resumed run and an undisturbed one."""
        return self.path / "metrics.jsonl"

    @property
    def timing(self) -> Path:
        """One line per iteration; wall-clock facts."""
        return self.path / "timing.jsonl"

    @property
    def parquet(self) -> Path:
        """The metrics as a table, one row per iteration and seed."""
        return self.path / "metrics.parquet"

    @property
    def checkpoints(self) -> Path:
        """The folder of all checkpoints."""
        return self.path / "checkpoints"

    @property
    def evaluation(self) -> Path:
        """The comparison with the rules on held-out scenarios."""
        return self.path / "evaluation.json"

    @property
    def episode(self) -> Path:
        """One episode of each policy, tick by tick."""
        return self.path / "episode.json"

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.path / "report.html"

    def create(self) -> list[Path]:
        """Make the folder; one that exists is fine.

        Returns:
            What was made: the folder and those above it that were missing, the deepest first.

        Raises:
            UserError: there is a file of that name.
            PlaceError: the disk or a permission does not allow it.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UserError(
                f"The run folder {self.path} is a file; expected a folder or a new name."
            )
        missing = [path for path in (self.path, *self.path.parents) if not path.exists()]
        with explained(f"Making the run folder {self.path}", Path()):
            self.storage.make(self.path)
        return missing

    def withdraw(self, made: Sequence[Path], files: Sequence[Path]) -> None:
        """Take back folders that `create` made, and those of our `files` that are there; to be
        called with the lock held. Where anything else lies in the folder, all of it stays.

        What cannot be removed stays, too: whoever gives up has something else to tell.
        """
        with suppress(OSError):
            ours = {"lock", *(path.name for path in files)}
            if not set(self.storage.names(self.path)) <= ours:
                return
            for path in (*files, self.path / "lock"):
                path.unlink(missing_ok=True)
            # A folder that somebody has put something into by now does not go.
            for folder in made:
                self.storage.call(os.rmdir, folder)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from writing in this folder.

        The system drops the lock with the process that holds it, however it ends.

        Raises:
            UserError: another process holds the lock; its number and host are named.
            PlaceError: the file system has no locks or does not let us write.
        """
        with explained(f"Locking {self.path}", self.path):
            file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        try:
            with explained(f"Locking {self.path}", self.path):
                self._take(file)
            try:
                yield
            finally:
                # A name that stayed would for a moment be taken for the next holder's.
                with suppress(OSError):
                    os.ftruncate(file, 0)
        finally:
            os.close(file)

    def _take(self, file: int) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{self.path} is in use by {_holder(file)}. Wait for it, or choose another folder."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """Add a row to `NAME.jsonl`; NaN and infinities become null.

        Raises:
            PlaceError: the disk did not take it; the rows before are untouched.
        """
        line = json.dumps(_plain(row), allow_nan=False) + "\n"
        with explained(f"Writing to {self._lines(name)}", self.path, len(line)):
            self.storage.append(self._lines(name), line.encode())

    def sync(self) -> None:
        """Wait until all rows are on the disk; to be called before each checkpoint.

        Raises:
            PlaceError: the disk did not take them.
        """
        with explained(f"Writing to {self.path}", self.path):
            for path in (self.metrics, self.timing):
                if path.exists():
                    self.storage.sync(path)
            self.storage.sync(self.path)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows of `NAME.jsonl`, without a torn last one; none if there is no such file.

        Raises:
            UserError: a line in the middle is not a JSON object; it is named.
            PlaceError: the file cannot be read.
        """
        return [row for _, row in self._read(name)]

    def truncate(self, name: str, iteration: int) -> int:
        """Drop the rows after an iteration, which a resumed run writes again; returns how many.

        Raises:
            UserError: a line in the middle is not a JSON object; it is named.
            PlaceError: the file cannot be read or written.
        """
        lines = self._read(name)
        kept = [line for line, row in lines if row.get("iteration", 0) <= iteration]
        if len(kept) < len(lines):
            self._replace(self._lines(name), b"".join(line + b"\n" for line in kept))
        return len(lines) - len(kept)

    def mend(self, name: str, iteration: int) -> list[str]:
        """Keep the rows up to an iteration, each once and in order, whatever happened to the file.

        A file with lines that are no rows is kept beside as `NAME.jsonl.damaged`.

        Returns:
            A sentence for each thing that is not as training left it.

        Raises:
            PlaceError: the file cannot be read or written.
        """
        path = self._lines(name)
        content = b""
        if path.exists():
            with explained(f"Reading {path}", self.path):
                content = self.storage.read(path)
        rows, bad = _sound_rows(content)
        if bad:
            self._replace(path.with_name(f"{path.name}.damaged"), content)
        kept = [rows[at] for at in sorted(rows) if 1 <= at <= iteration]
        sound = b"".join(line + b"\n" for line in kept)
        if sound != content:
            self._replace(path, sound)
        messages = []
        if bad:
            messages.append(
                f"{path}, line {', '.join(map(str, bad))}: expected a row, got something else; "
                f"the file is kept as {path.name}.damaged."
            )
        if len(kept) < iteration:
            messages.append(
                f"{path} has no rows for {iteration - len(kept)} of {iteration} iterations, so "
                f"curves have gaps; training itself is not affected."
            )
        return messages

    def write_text(self, name: str, text: str) -> Path:
        """Write a file of the folder so that it is never seen half written.

        Raises:
            PlaceError: the disk did not take it; the file before is untouched.
        """
        self._replace(self.path / name, text.encode())
        return self.path / name

    def write_json(self, name: str, value: Any) -> Path:
        """Write a JSON file of the folder, as `write_text`; NaN and infinities become null."""
        return self.write_text(name, json.dumps(_plain(value), indent=1, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the folder.

        Raises:
            UserError: it is missing or not JSON.
        """
        path = self.path / name
        try:
            return json.loads(path.read_bytes())
        except FileNotFoundError:
            raise UserError(f"{path} is missing.") from None
        except ValueError as error:
            raise UserError(f"{path} is not JSON: {error}.") from error

    def check_room(self, checkpoint: int) -> None:
        """Refuse to start where three checkpoints of this many bytes would not fit.

        Raises:
            PlaceError: too little is free; needed and free bytes are named.
        """
        needed = 3 * checkpoint
        with explained(f"Asking for the free space of {self.path}", self.path):
            free = self.storage.free(self.path)
        if free < needed:
            raise PlaceError(
                f"The disk of {self.path} has {free:,} bytes free; expected {needed:,}, "
                "room for three checkpoints."
            )

    def to_parquet(self) -> Path:
        """Write the metrics as a table: iteration, progress, seed, and a column for each metric.

        Raises:
            UserError: a line in the middle of the metrics is not a JSON object.
            PlaceError: the disk did not take it.
        """
        import polars as pl

        table: list[dict[str, Any]] = [line for row in self.rows("metrics") for line in _seeds(row)]
        keys = {"iteration": pl.Int64, "progress": pl.Float64, "seed": pl.Int64}
        metrics = sorted({name for line in table for name in line} - keys.keys())
        frame = pl.DataFrame(table, schema=keys | dict.fromkeys(metrics, pl.Float64))
        buffer = io.BytesIO()
        frame.write_parquet(buffer)
        self._replace(self.parquet, buffer.getvalue())
        return self.parquet

    def _lines(self, name: str) -> Path:
        return self.path / f"{name}.jsonl"

    def _read(self, name: str) -> list[tuple[bytes, dict[str, Any]]]:
        path = self._lines(name)
        if not path.exists():
            return []
        with explained(f"Reading {path}", self.path):
            content = self.storage.read(path)
        # What follows the last line break was torn by a crash.
        lines = content.split(b"\n")[:-1]
        return [(line, _row(path, number, line)) for number, line in enumerate(lines, 1)]

    def _replace(self, path: Path, data: bytes) -> None:
        with explained(f"Writing {path}", self.path, len(data)):
            self.storage.replace(path, data)


def _row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    row = None
    with suppress(ValueError):
        row = json.loads(line)
    if not isinstance(row, dict):
        raise UserError(f"{path}, line {number}: expected a JSON object, got {line[:40]!r}.")
    return row


def _sound_rows(content: bytes) -> tuple[dict[int, bytes], list[int]]:
    """Lines by iteration, and the numbers of the lines that are no rows."""
    rows: dict[int, bytes] = {}
    bad = []
    # What follows the last line break was torn by a crash.
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        row = None
        with suppress(ValueError, RecursionError):
            row = json.loads(line)
        if isinstance(row, dict) and type(row.get("iteration")) is int:
            rows[row["iteration"]] = line
        else:
            bad.append(number)
    return rows, bad


def _seeds(row: dict[str, Any]) -> list[dict[str, Any]]:
    """One row for each seed; a metric is a list with one value per seed."""
    lists = {name: value for name, value in row.items() if isinstance(value, list)}
    shared = {name: value for name, value in row.items() if name not in lists}
    count = max(map(len, lists.values()), default=1)
    return [
        shared
        | {"seed": seed}
        | {name: values[seed] for name, values in lists.items() if seed < len(values)}
        for seed in range(count)
    ]


def _plain(value: Any) -> Any:
    """The value in the terms of JSON; arrays become lists, what is not finite becomes null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _holder(file: int) -> str:
    """Who holds the lock; a process that has just taken it needs a moment to write its name."""
    for _ in range(20):
        holder = os.pread(file, 200, 0).decode(errors="replace").strip()
        if holder and _may_live(holder):
            return holder
        time.sleep(0.01)
    return "another process"


def _may_live(holder: str) -> bool:
    """Whether the name may be the present one, and not one that a killed process left behind."""
    _, number, _, host = (*holder.split(maxsplit=3), "", "", "", "")[:4]
    if host != socket.gethostname() or not number.isdigit():
        return True
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
