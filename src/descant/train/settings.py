"""Everything that decides a run, as one value; written to and read from the run's `config.toml`."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from descant.core import discovery
from descant.core.errors import DescantError, UserError, nearest
from descant.core.schema import (
    Setting,
    build,
    check,
    expected,
    find,
    parse,
    settings_of,
    show,
)
from descant.train.config import Train

TABLES = ("domain", "algorithm", "train")
TOP = ("domain", "algorithm", "seed", "seeds")


@dataclass(frozen=True)
class Settings:
    """The configuration of one run."""

    domain_name: str
    """Name of the domain, or the path of a `.py` file."""
    domain: Any
    """The domain's `Config`."""
    algorithm_name: str
    """Name of the algorithm, or the path of a `.py` file."""
    algorithm: Any
    """The algorithm's `Config`."""
    train: Train = field(default_factory=Train)
    """The training loop."""
    seed: int = 0
    """Seed of the whole run; the same seed gives the same numbers."""
    seeds: int = 1
    """Independent learners trained side by side in one run."""

    def validate(self) -> None:
        """Check the seeds; the three tables check themselves.

        Raises:
            UserError: a seed does not fit 32 bits, or there are no seeds.
        """
        if not 0 <= self.seed < 2**32:
            raise UserError(f"seed: expected 0 to {2**32 - 1}, got {self.seed}.")
        if self.seeds < 1:
            raise UserError(f"seeds: expected at least 1, got {self.seeds}.")


@dataclass(frozen=True)
class Given:
    """One value that somebody gave, under which name and where."""

    name: str
    value: Any
    where: str = ""
    """What to say before the name in a message: `run.toml:3: `, `--`."""
    text: bool = False
    """Whether the value is still to be read from its text."""


def defaults(domain: str, algorithm: str) -> Settings:
    """The settings of a domain and an algorithm when nobody says otherwise.

    Raises:
        UserError: there is no such domain or algorithm, or a file of the user's cannot be loaded.
    """
    found, problems = [], []
    for kind, name in (("domains", domain), ("algorithms", algorithm)):
        try:
            found.append(_default(kind, name))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return Settings(domain, found[0], algorithm, found[1])


def schema(settings: Settings) -> dict[str, Setting]:
    """Every setting by dotted name: `domain.servers`, `algorithm.base.clip`, `seed`."""
    found: dict[str, Setting] = {}
    for table in TABLES:
        found |= settings_of(getattr(settings, table), table)
    own = settings_of(settings)
    return found | {name: own[name] for name in ("seed", "seeds")}


def flatten(settings: Settings) -> dict[str, Any]:
    """The value of every setting by dotted name."""
    return {name: setting.default for name, setting in schema(settings).items()}


def assemble(start: Settings, *layers: Sequence[Given], problems: Iterable[str] = ()) -> Settings:
    """`start` with layers of given values laid over it, later layers above earlier ones.

    Raises:
        UserError: one sentence per value that does not fit, after the `problems` known before.
    """
    problems = list(problems)
    known = schema(start)
    values: dict[str, Any] = {}
    where: dict[str, str] = {}
    for layer in layers:
        seen: set[str] = set()
        for given in layer:
            if given.value == {} and _is_table(given.name, known):
                continue
            try:
                name, value = _read(given, known, seen)
            except UserError as error:
                problems += error.problems
            else:
                values[name], where[name] = value, given.where
    settings, wrong = _build(start, values, where)
    if problems or wrong:
        raise UserError(*problems, *wrong)
    return settings


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """A copy with some values replaced, by dotted name: `with_values(s, {"domain.servers": 50})`.

    Raises:
        UserError: there is no such setting, or a value does not fit it.
    """
    return assemble(settings, [Given(name, value) for name, value in values.items()])


def difference(old: Settings, new: Settings) -> list[str]:
    """What changed, one line per setting: `domain.servers: 20 -> 50`."""
    lines = []
    skipped: tuple[str, ...] = ()
    for table in ("domain", "algorithm"):
        before, after = getattr(old, f"{table}_name"), getattr(new, f"{table}_name")
        if before != after:
            lines.append(f"{table}: {before} -> {after}")
            skipped += (f"{table}.",)
    a, b = flatten(old), flatten(new)
    for name in [*a, *(n for n in b if n not in a)]:
        if a.get(name) != b.get(name) and not name.startswith(skipped):
            lines.append(f"{name}: {show(a.get(name))} -> {show(b.get(name))}")
    return lines


def to_toml(settings: Settings) -> str:
    """The settings as the text of a `config.toml`; `from_toml` reads it back as the same value."""
    lines = [
        f"domain = {_toml(settings.domain_name)}",
        f"algorithm = {_toml(settings.algorithm_name)}",
        f"seed = {settings.seed}",
        f"seeds = {settings.seeds}",
    ]
    table = ""
    for name, value in _tables_last(flatten(settings)).items():
        parent, _, leaf = name.rpartition(".")
        if not parent:
            continue
        if parent != table:
            table = parent
            lines += ["", f"[{'.'.join(map(_key, ('settings', *parent.split('.'))))}]"]
        lines.append(f"{_key(leaf)} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def from_toml(source: str | Path) -> Settings:
    """Settings from the text of a `config.toml`, or from the file when given a path.

    Raises:
        UserError: the file cannot be read, or names or values do not fit; all are told.
    """
    text = read_text(source) if isinstance(source, Path) else source
    names, given, problems = given_in_toml(text, str(source) if isinstance(source, Path) else "")
    missing = [name for name in ("domain", "algorithm") if name not in names]
    if missing:
        raise UserError(*problems, *(f"{name}: is missing; expected a name." for name in missing))
    return assemble(defaults(**names), given, problems=problems)


def read_text(path: Path) -> str:
    """The text of a configuration file.

    Raises:
        UserError: there is no such file, or it is not a text file one may read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {(error.strerror or '').lower()}.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: expected a TOML file in UTF-8; byte {error.start} is not."
        ) from None


def given_in_toml(text: str, label: str = "") -> tuple[dict[str, str], list[Given], list[str]]:
    """What a file says: names of domain and algorithm, values, and problems of its layout.

    Raises:
        UserError: the text is not TOML.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        line = re.search(r"at line (\d+)", str(error))
        where = ":".join(filter(None, (label or "config", line and line[1])))
        raise UserError(f"{where}: this is not valid TOML: {error}.") from None
    where = partial(_where, label, _lines(text))
    names, given, problems = {}, [], []
    for key, value in data.items():
        if key in ("seed", "seeds"):
            given.append(Given(key, value, where((key,))))
        elif key in ("domain", "algorithm") and isinstance(value, str):
            names[key] = value
        elif key == "settings" and isinstance(value, dict):
            given += [
                Given(".".join(path), leaf, where((key, *path))) for path, leaf in _flat(value)
            ]
        else:
            problems.append(f"{where((key,))}{_misplaced(key, value)}")
    return names, given, problems


def _misplaced(key: str, value: Any) -> str:
    if key in TABLES and isinstance(value, dict):
        return f"{key}: its settings belong under [settings.{key}]."
    if key in TOP:
        return f"{key}: expected a text, got {show(value)}."
    if key == "settings":
        return f"settings: expected a table, got {show(value)}."
    return f"{key}: there is no such key.{nearest(key, (*TOP, 'settings'))}"


def _read(given: Given, known: Mapping[str, Setting], seen: set[str]) -> tuple[str, Any]:
    matches = find(given.name, known)
    if len(matches) > 1:
        raise UserError(f"{given.where}{given.name}: say which: {' or '.join(matches)}.")
    if not matches:
        raise UserError(f"{given.where}{_unknown(given, known)}")
    (name,) = matches
    if name in seen:
        raise UserError(f"{given.where}{name}: is given twice.")
    seen.add(name)
    kind = known[name].kind
    try:
        return name, (parse if given.text else check)(kind, given.value)
    except ValueError:
        hint = nearest(given.value, _choices(kind)) if isinstance(given.value, str) else ""
        raise UserError(
            f"{given.where}{name}: expected {expected(kind)}, got {show(given.value)}.{hint}"
        ) from None


def _unknown(given: Given, known: Mapping[str, Setting]) -> str:
    if _is_table(given.name, known):
        return f"{given.name}: expected a table of settings, got {show(given.value)}."
    return f"{given.name}: there is no such setting.{nearest(given.name, known)}"


def _is_table(name: str, known: Iterable[str]) -> bool:
    return name in TABLES or any(other.startswith(f"{name}.") for other in known)


def _choices(kind: Any) -> list[str]:
    return re.findall(r"'([^']*)'", expected(kind))


def _build(
    start: Settings, values: dict[str, Any], where: Mapping[str, str]
) -> tuple[Settings, list[str]]:
    """Build; after a refusal, again without the refused values, so that all refusals are told."""
    values, wrong = dict(values), []
    while True:
        try:
            return build(start, values), list(dict.fromkeys(wrong))
        except UserError as error:
            culprits = set()
            for problem in error.problems:
                name = problem.partition(":")[0]
                name = next(iter(find(name, where)), name)
                wrong.append(f"{where.get(name, '')}{problem}")
                culprits |= _culprits(name, values)
        if not culprits:
            return start, list(dict.fromkeys(wrong))
        values = {name: value for name, value in values.items() if name not in culprits}


def _culprits(name: str, values: Mapping[str, Any]) -> set[str]:
    """The given values behind a refusal: the named one, else all of its table."""
    if name in values:
        return {name}
    return {n for n in values if n.split(".")[0] == name.split(".")[0]}


@cache
def _default(kind: str, name: str) -> Any:
    try:
        return discovery.load(kind, name).Config()
    except DescantError:
        raise
    except Exception as error:
        if not name.endswith(".py"):
            raise
        raise UserError(f"{name}: cannot be loaded: {type(error).__name__}: {error}.") from error


def _flat(
    table: Mapping[str, Any], path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for key, value in table.items():
        if isinstance(value, dict) and value:
            found += _flat(value, (*path, key))
        else:
            found.append(((*path, key), value))
    return found


def _where(label: str, lines: Mapping[tuple[str, ...], int], path: tuple[str, ...]) -> str:
    """`label:line: ` of a key, or of the closest table around it; nothing without a label."""
    around = (lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in lines)
    line = next(around, None)
    return "".join(f"{part}:" for part in (label, line) if part) + " " if label else ""


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Line of each table and key of a TOML text, as far as a glance at each line tells."""
    table: tuple[str, ...] = ()
    found: dict[tuple[str, ...], int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            table = _path(header[1])
            found.setdefault(table, number)
        elif key := re.match(r"\s*([\w.\"' -]+?)\s*=", line):
            found.setdefault((*table, *_path(key[1])), number)
    return found


def _path(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip(" \t\"'") for part in dotted.split("."))


def _tables_last(values: Mapping[str, Any]) -> dict[str, Any]:
    """Own values of a table before its nested tables, as TOML wants them."""
    tables = list(dict.fromkeys(name.rpartition(".")[0] for name in values))
    return {n: values[n] for table in tables for n in values if n.rpartition(".")[0] == table}


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _toml(value: Any) -> str:
    if value is None:
        return '"none"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)
