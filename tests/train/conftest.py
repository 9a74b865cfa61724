"""Disks that fail: in one system call, or in all from a moment on, as when the power is lost."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from descant.train.storage import Storage


class Faulty(Storage):
    """The n-th system call fails with `number`; without one, the n-th write stops half way."""

    def __init__(self, nth: int, number: int | None):
        self.nth, self.number, self.calls = nth, number, 0

    @property
    def fired(self) -> bool:
        return self.calls >= self.nth

    def call(self, operation, /, *args):
        self.calls += self.number is not None or operation is os.write
        if self.calls != self.nth:
            return operation(*args)
        if self.number is not None:
            raise OSError(self.number, os.strerror(self.number))
        if operation is os.write:
            return operation(args[0], args[1][: max(1, len(args[1]) // 2)])
        return operation(*args)


class Crash(BaseException):
    """The process is gone: no handler for ordinary errors may see this."""


class Crashing(Storage):
    """The process dies at the n-th system call, a write half way; then the power may go, too.

    What was not forced to the disk is lost or kept by chance: bytes until their file is synced,
    names and renames until their folder is.
    """

    def __init__(self, nth: int):
        self.nth, self.calls = nth, 0
        self.content: set[str] = set()
        self.entries: set[str] = set()
        self.moves: list[tuple[str, str]] = []

    def call(self, operation, /, *args):
        self.calls += 1
        if self.calls < self.nth:
            result = operation(*args)
            self._note(operation, args, result)
            return result
        if operation is os.write and self.calls == self.nth:
            os.write(args[0], args[1][: len(args[1]) // 2])
            self._note(operation, args, None)
        raise Crash

    def _note(self, operation, args, result):
        if operation is os.write:
            self.content.add(_path(args[0]))
        elif operation is os.fsync:
            path = _path(args[0])
            self.content.discard(path)
            self.entries = {name for name in self.entries if str(Path(name).parent) != path}
            self.moves = [move for move in self.moves if str(Path(move[1]).parent) != path]
        elif operation is os.open and args[1] & os.O_CREAT:
            self.entries.add(_path(result))
        elif operation is os.rename:
            old, new = map(str, args)
            self.moves.append((old, new))
            self.content = {_moved(path, old, new) for path in self.content}
            self.entries = {_moved(path, old, new) for path in self.entries}

    def lose_power(self, rng: np.random.Generator) -> None:
        for path in sorted(self.content):
            if Path(path).exists():
                os.truncate(path, int(rng.integers(Path(path).stat().st_size + 1)))
        for path in sorted(self.entries):
            if Path(path).exists() and rng.random() < 0.5:
                Path(path).unlink()
        for old, new in reversed(self.moves):
            if Path(new).exists() and not Path(old).exists() and rng.random() < 0.5:
                shutil.move(new, old)


def _path(file: int) -> str:
    return str(Path(f"/proc/self/fd/{file}").readlink())


def _moved(path: str, old: str, new: str) -> str:
    return new + path.removeprefix(old) if path.startswith(old) else path


@pytest.fixture
def faulty():
    return Faulty


@pytest.fixture
def crashing():
    return Crashing


@pytest.fixture
def crash():
    return Crash
