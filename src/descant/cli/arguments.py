"""Words, options and dotted settings of one command, and the help that explains them."""

import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, get_origin

from descant.core.errors import UserError, nearest
from descant.core.schema import Setting, expected, parse, settings_of, short, show, spell
from descant.train.settings import Settings, schema


@dataclass(frozen=True)
class Common:
    """Options of every command."""

    json: bool = False
    """Print one JSON object to standard output, also for errors."""
    quiet: bool = False
    """Print results and errors, nothing else."""
    verbose: bool = False
    """Say more about what is being done."""
    debug: bool = False
    """Show the traceback of an error."""
    color: bool = True
    """Colours; off without a terminal, with NO_COLOR and with TERM=dumb."""
    help: bool = False
    """This help; also -h."""


@dataclass(frozen=True)
class Arguments:
    """A command line, read."""

    words: tuple[str, ...]
    """Positional arguments."""
    options: Any
    """The command's own options."""
    flags: tuple[str, ...]
    """Settings, each as `--name=value` or `--name`."""
    problems: tuple[str, ...]
    """One sentence for each thing that could not be read."""

    def check(self, most: int, usage: str) -> None:
        """Refuse what could not be read, and more words than the command knows.

        Raises:
            UserError: one sentence for each problem.
        """
        problems = list(self.problems)
        if len(self.words) > most:
            problems.append(f"{self.words[most]!r} is one word too many: {usage}.")
        if problems:
            raise UserError(*problems)


def read(
    argv: Sequence[str], options: Any, roots: Sequence[str] = (), names: Collection[str] = ()
) -> Arguments:
    """Read a command line whose flags and words may stand in any order.

    Args:
        argv: what was typed after the command.
        options: the command's options with their defaults.
        roots: first parts of the settings that the command takes, such as `domain`.
        names: what is never the value of a setting: the word after a switch may be a name.
    """
    reader = _Reader(settings_of(options), tuple(roots), names)
    rest = list(argv)
    while rest:
        reader.take(rest)
    values = {name: value for name, (value, _) in reader.values.items()}
    return Arguments(
        tuple(reader.words),
        type(options)(**values),
        tuple(reader.flags),
        tuple(reader.problems),
    )
