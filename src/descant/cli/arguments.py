"""Words, options and dotted settings of one command, and the help that explains them."""

import re
import textwrap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType, NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

from descant.core import discovery
from descant.core.errors import UserError, nearest
from descant.core.schema import Setting, expected, parse, settings_of, short, show, spell
from descant.train.settings import TABLES, Settings, schema

METAVARS = {int: "INT", float: "NUMBER", str: "TEXT"}
NAMED_METAVARS = {
    "config": "FILE",
    "devices": "all|INT",
    "fail_if_worse": "RULE",
    "format": "NAME",
    "hosts": "HOST:PORT,RANK,SIZE",
    "jobs": "FILE",
    "nodes": "FILE",
    "out": "PATH",
    "preset": "NAME",
    "rules": "NAME,...",
    "run": "FOLDER",
    "vary": "SETTING=VALUES",
}
WHOLE = ("vary",)
"""Options whose text is one item with its commas; given again, they add another."""
COLUMN = 34

T = TypeVar("T")


@dataclass(frozen=True)
class Common:
    """Options of every command."""

    json: bool = False
    """Print one JSON object to standard output, for errors too."""
    quiet: bool = False
    """Print results and errors, nothing else."""
    verbose: bool = False
    """Say more about what is being done."""
    debug: bool = False
    """Show the traceback of an error."""
    color: bool = True
    """Colours; off without a terminal, with NO_COLOR and with TERM=dumb."""
    help: bool = False
    """Show this help; -h for short."""

    def validate(self) -> None:
        """Check ranges; a command with ranges says what they are.

        Raises:
            ValueError: an option is out of its range; the sentence starts with its name.
        """


@dataclass(frozen=True)
class Tables(Common):
    """Options of every command whose result is a table."""

    plain: bool = False
    """Tables as aligned text, on a terminal too."""
    md: bool = False
    """Tables as Markdown."""


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
    again: Callable[[Collection[str]], "Arguments"]
    """Read the same line again, with `names` that are never the value of a setting."""

    def check(self) -> None:
        """Refuse what could not be read.

        Raises:
            UserError: one sentence for each problem.
        """
        if self.problems:
            raise UserError(*self.problems)


def read(
    argv: Sequence[str],
    options: Any,
    most: int,
    roots: Sequence[str] = (),
    names: Collection[str] = (),
) -> Arguments:
    """Read a command line whose flags and words may stand in any order.

    Args:
        argv: what was typed after the command.
        options: the command's options at their defaults.
        most: how many words the command takes.
        roots: first parts of the settings that the command takes, such as `domain`.
        names: words that are never the value of a setting, so that `--train.switch cloud` can be
            read as a switch and a word.
    """
    known = settings_of(options)
    words: list[str] = []
    flags: list[str] = []
    problems: list[str] = []
    values: dict[str, Any] = {}
    rest = list(argv)
    while rest:
        item = rest.pop(0)
        if not _is_flag(item):
            words.append(item)
            continue
        name, equals, text = ("--help" if item == "-h" else item).lstrip("-").partition("=")
        name = name.replace("-", "_")
        if name.partition(".")[0] in roots:
            if not equals and rest and not _is_flag(rest[0]) and not _names_member(rest[0], names):
                equals, text = "=", rest.pop(0)
            flags.append(f"--{name}{equals}{text}")
            continue
        try:
            found, value = _option(name, text if equals else None, rest, known, roots)
            values[found] = _merged(found, values.get(found), value)
        except UserError as error:
            problems += error.problems
    if not problems:  # the word after a misspelt option is most likely its value
        problems += [_superfluous(word, roots) for word in words[most:]]
    made = type(options)(**values)
    try:
        made.validate()
    except ValueError as error:
        problems.append(f"--{error}")
    return Arguments(
        tuple(words[:most]),
        made,
        tuple(flags),
        tuple(problems),
        again=partial(read, argv, options, most, roots),
    )


def either_reading(arguments: Arguments, use: Callable[[Arguments], T]) -> T:
    """`use` of a command line in which the word after a setting is its value.

    In `--train.switch cloud` it is none: where that reading is refused, names of domains and
    algorithms are tried as words of their own.

    Raises:
        UserError: neither reading is accepted; the sentences are those of the first.
    """
    try:
        return use(arguments)
    except UserError as error:
        names = {*discovery.names("domains"), *discovery.names("algorithms")}
        other = arguments.again(names)
        if other.flags == arguments.flags:
            raise
        try:
            return use(other)
        except UserError:
            raise error from None


def help_text(name: str, command: ModuleType, settings: Settings | None, width: int) -> str:
    """The help of one command: examples first, then options, then every setting it takes."""
    summary, _, description = (command.__doc__ or "").strip().partition("\n")
    parts = [f"descant {name}: {summary}", f"Usage: {command.USAGE}"]
    parts.append("\n".join(["Examples:", *(f"  {example}" for example in command.EXAMPLES)]))
    if description.strip():
        parts.append(description.strip())
    common = settings_of(Common())
    own = [option for option in settings_of(command.OPTIONS).values() if option.name not in common]
    own.sort(key=lambda option: option.name in settings_of(Tables()))
    parts.append(_section("Options:", own, width))
    if settings is not None:
        known = schema(settings)
        titles = {root: _title(root, settings) for root in command.ROOTS}
        for title in dict.fromkeys(titles.values()):
            part = [s for s in known.values() if titles.get(s.name.partition(".")[0]) == title]
            parts.append(_section(title, part, width, known))
    parts.append(_section("Options of every command:", common.values(), width))
    return "\n\n".join(part for part in parts if part) + "\n"


def _option(
    name: str,
    text: str | None,
    rest: list[str],
    known: Mapping[str, Setting],
    roots: Sequence[str],
) -> tuple[str, Any]:
    positive = name.removeprefix("no_")
    if text is None and positive in known and known[positive].kind is bool:
        return positive, name == positive
    if name not in known:
        raise UserError(_unknown(name, known, roots))
    kind = known[name].kind
    if text is None and rest and not _is_flag(rest[0]):
        text = rest.pop(0)
    try:
        if text is None:
            raise ValueError
        return name, (text,) if name in WHOLE else parse(kind, text)
    except ValueError:
        got = "nothing" if text is None else show(text)
        wanted = NAMED_METAVARS[name] if name in WHOLE else expected(kind).removesuffix(" or none")
        raise UserError(f"{_flag(name)}: expected {wanted}, got {got}.") from None


def _merged(name: str, old: Any, new: Any) -> Any:
    if isinstance(old, tuple):
        return old + new
    if old is not None and old != new:
        raise UserError(f"{_flag(name)}: is given twice, as {show(old)} and as {show(new)}.")
    return new


def _unknown(name: str, known: Iterable[str], roots: Sequence[str]) -> str:
    root, dot, rest = name.partition(".")
    if dot and not roots:
        return f"{_flag(name)}: this command takes no settings."
    if dot and (table := root.removeprefix("no_")) != root and table in roots:
        return f"{_flag(name)}: a switch is turned off by {_flag(f'{table}.no_{rest}')}."
    if dot:
        close = "" if root in TABLES else nearest(root, roots)
        begin = ", ".join(root for root in roots if root in TABLES)
        return f"--{name}: settings of this command begin with {begin}.{close}"
    flags = [_flag(k) for k in [*known, *(r for r in roots if r not in TABLES)]]
    return f"{_flag(name)}: there is no such option.{nearest(_flag(name), flags)}"


def _superfluous(word: str, roots: Sequence[str]) -> str:
    root, dot, rest = word.partition(".")
    if dot and "=" in rest and root in roots:
        return f"{word}: write --{word}"
    return f"{word!r} is one word too many."


def _names_member(word: str, names: Collection[str]) -> bool:
    return word in names or (bool(names) and word.endswith(".py"))


def _is_flag(item: str) -> bool:
    return re.match(r"--?[A-Za-z]", item) is not None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}" if len(name) > 1 else f"-{name}"


def _title(root: str, settings: Settings) -> str:
    if root in ("domain", "algorithm"):
        name = getattr(settings, f"{root}_name").rpartition("/")[2]
        return f"The {root} {name}:"
    return "Training:"


def _section(
    title: str, settings: Iterable[Setting], width: int, known: Mapping[str, Setting] | None = None
) -> str:
    rows = [_row(setting, width, known or {}) for setting in settings]
    return "\n".join([title, *rows]) if rows else ""


def _row(setting: Setting, width: int, known: Mapping[str, Setting]) -> str:
    left = f"  {_left(setting, short(setting.name, known) if known else setting.name)}"
    shown = spell(setting.default)
    if setting.kind is bool:
        shown = "on" if setting.default else ""
    default = f" [{shown}]" if shown not in ("", "none") else ""
    meaning = textwrap.wrap(setting.meaning + default, max(width - COLUMN, 30))
    if len(left) < COLUMN - 1 and meaning:
        meaning[0] = left.ljust(COLUMN) + meaning[0]
        return "\n".join([meaning[0], *(" " * COLUMN + line for line in meaning[1:])])
    return "\n".join([left, *(" " * COLUMN + line for line in meaning)])


def _left(setting: Setting, name: str) -> str:
    table, _, leaf = name.rpartition(".")
    if setting.kind is bool:
        leaf = f"no-{leaf}" if setting.default else leaf
    flag = _flag(f"{table}.{leaf}" if table else leaf)
    metavar = NAMED_METAVARS.get(name) or _metavar(setting.kind)
    return f"{flag} {metavar}".rstrip()


def _metavar(kind: Any) -> str:
    arguments = [a for a in get_args(kind) if a is not NoneType]
    if get_origin(kind) is Literal:
        return "{" + ",".join(spell(option) for option in arguments) + "}"
    if get_origin(kind) is tuple:
        inner = _metavar(arguments[0])
        return f"{inner},..." if arguments[1:] == [...] else ",".join(map(_metavar, arguments))
    if arguments:
        return "|".join(_metavar(part) for part in arguments)
    return METAVARS.get(kind, "")
