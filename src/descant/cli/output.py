"""Results to standard output, everything else to standard error; colours where they are welcome."""

import json
import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console


class Output:
    """Where one command writes."""

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        color: bool = True,
        argv: Sequence[str] = (),
    ):
        self.argv = argv
        """What was typed."""
        self.json = json
        self.quiet = quiet
        self.color = color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.warned: set[str] = set()
        """Warnings of libraries that were passed on."""
        self.folder: Path | None = None
        """The run folder once it is known; a crash file goes there."""

    @cached_property
    def console(self) -> "Console":
        """For people: standard error, silent when `quiet`."""
        return self._console(stderr=True, quiet=self.quiet)

    @cached_property
    def results(self) -> "Console":
        """For results: standard output."""
        return self._console(stderr=False, quiet=False)

    @property
    def form(self) -> Literal["terminal", "plain", "md"]:
        """How tables are written: with colours, as aligned text, or as Markdown."""
        if "--md" in self.argv:
            return "md"
        return "terminal" if self.results.is_terminal and "--plain" not in self.argv else "plain"

    @property
    def width(self) -> int:
        """Columns of help texts."""
        return max(min(shutil.get_terminal_size((100, 24)).columns, 100), 60)

    def say(self, text: str) -> None:
        """One remark to standard error."""
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def next(self, command: str) -> None:
        """The command that is useful now."""
        self.say(f"Next: {command}")

    def result(self, record: Mapping[str, Any], shown: Any) -> None:
        """The result: the record as one JSON object, or something that people read."""
        if self.json:
            print(json.dumps({"format": 1, **plain(record)}, allow_nan=False), flush=True)
        elif isinstance(shown, str):
            print(shown.rstrip("\n"), flush=True)
        else:
            self.results.print(shown)

    def refuse(self, message: str, problems: Sequence[str], code: int) -> None:
        """The error that a command ends with, as one JSON object or on standard error."""
        if self.json:
            print(_error(message, problems, code), flush=True)
        else:
            print(*problems, sep="\n", file=sys.stderr, flush=True)

    def last(self, code: int) -> None:
        """The JSON object of a command that a signal ends at once."""
        if self.json:
            # Past Python's buffers, which somebody who hangs in a write may have locked.
            said = "Interrupted." if code == 130 else "Terminated."
            os.write(sys.stdout.fileno(), f"{_error(said, [said], code)}\n".encode())

    def _console(self, *, stderr: bool, quiet: bool) -> "Console":
        from rich.console import Console

        return Console(
            stderr=stderr,
            quiet=quiet,
            highlight=False,
            color_system="auto" if self.color else None,
        )


def _error(message: str, problems: Sequence[str], code: int) -> str:
    record = {"format": 1, "kind": "error", "code": code, "message": message}
    return json.dumps({**record, "problems": list(problems)})


def plain(value: Any) -> Any:
    """A value in terms of JSON; what is not a finite number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
