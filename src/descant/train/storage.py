"""The file system as training uses it: durable writes, atomic renames, bounded reads.

Every system call that can lose data goes through `Storage.call`, so that a test can make the n-th
of them fail, write short, or stop the process there.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from descant.core.errors import PlaceError


class Storage:
    """Files and folders, with `OSError` for everything that goes wrong."""

    def call(self, operation: Callable[..., Any], /, *args: Any) -> Any:
        """One system call."""
        return operation(*args)

    def write(self, path: Path, data: bytes) -> None:
        """Write a new file and wait until its bytes are on the disk."""
        with self._open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[self.call(os.write, file, rest) :]
            self.call(os.fsync, file)

    def replace(self, path: Path, data: bytes) -> None:
        """Write a file so that a reader sees the old content or the new one, never a mixture."""
        partial = path.with_name(f".{path.name}.partial")
        try:
            # Left by a process that was killed here; `write` only makes new files.
            partial.unlink(missing_ok=True)
            self.write(partial, data)
            self.rename(partial, path)
        except OSError:
            # The first error is the one to tell; a leftover is overwritten next time.
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise

    def append(self, path: Path, line: bytes) -> None:
        """Add one line in one write; a line torn by an earlier crash is cut off first.

        On a full disk the file stays as it was.
        """
        with self._open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND) as file:
            end = _cut_torn_line(file)
            if self.call(os.write, file, line) < len(line):
                os.ftruncate(file, end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def read(self, path: Path, limit: int | None = None) -> bytes:
        """The content of a plain file; of one longer than `limit` only the first `limit + 1` bytes.

        Symbolic links, pipes and folders are refused with `EINVAL` or `ELOOP`.
        """
        # Without O_NONBLOCK, opening a pipe would wait for ever.
        with self._open(path, os.O_RDONLY | os.O_NONBLOCK) as file:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is not a plain file")
            rest = status.st_size if limit is None else min(status.st_size, limit + 1)
            blocks = []
            while rest and (block := self.call(os.read, file, rest)):
                blocks.append(block)
                rest -= len(block)
            return b"".join(blocks)

    def sync(self, path: Path) -> None:
        """Wait until a folder's entries, or a file's bytes, are on the disk."""
        with self._open(path, os.O_RDONLY) as file:
            self.call(os.fsync, file)

    def rename(self, old: Path, new: Path) -> None:
        """Move within one folder, and wait until the move would survive a loss of power."""
        self.call(os.rename, old, new)
        self.sync(new.parent)

    def make(self, folder: Path) -> None:
        """Make a folder and those above it; one that exists is fine."""
        if folder.is_dir():
            return
        self.make(folder.parent)
        with suppress(FileExistsError):
            self.call(os.mkdir, folder)
        self.sync(folder.parent)

    def names(self, folder: Path) -> list[str]:
        """What lies in a folder, sorted."""
        return sorted(self.call(os.listdir, folder))

    def remove(self, path: Path) -> None:
        """Remove a file, or a folder with all in it; links are removed, not followed."""
        if path.is_symlink() or not path.is_dir():
            self.call(os.unlink, path)
            return
        for name in self.names(path):
            self.remove(path / name)
        self.call(os.rmdir, path)

    def free(self, path: Path) -> int:
        """Bytes free for us on the disk that holds `path`."""
        return self.call(shutil.disk_usage, path).free

    @contextmanager
    def _open(self, path: Path, flags: int) -> Iterator[int]:
        file = self.call(os.open, path, flags | os.O_NOFOLLOW, 0o666)
        try:
            yield file
        finally:
            os.close(file)


DISK = Storage()
"""The real disk."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def explained(doing: str, place: Path, needed: int = 0) -> Iterator[None]:
    """Turn an `OSError` into a sentence.

    Args:
        doing: the first half of the sentence, as `Saving checkpoint 30 in runs/a`.
        place: an existing path on the disk concerned.
        needed: bytes to be written, told when the disk is full.

    Raises:
        PlaceError: the disk, a permission or a quota did not allow it.
    """
    try:
        yield
    except OSError as error:
        room = _room(place, needed) if error.errno in _FULL else ""
        raise PlaceError(f"{doing} failed: {error.strerror or error}.{room}") from error


def _room(place: Path, needed: int) -> str:
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        return f" {needed:,} bytes were needed."
    return f" {needed:,} bytes were needed, {free:,} are free."


def _cut_torn_line(file: int) -> int:
    """Length of the file after the last whole line; what follows that line is cut off."""
    size = os.fstat(file).st_size
    if not size or os.pread(file, 1, size - 1) == b"\n":
        return size
    whole = os.pread(file, size, 0).rfind(b"\n") + 1
    os.ftruncate(file, whole)
    return whole
