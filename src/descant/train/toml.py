"""A run's `config.toml`: written from settings, and read strictly, with the line of each value."""

import json
import re
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from descant.core.errors import UserError, nearest
from descant.core.schema import show
from descant.train.settings import TABLES, Given, Settings, assemble, defaults, flatten

TOP = ("domain", "algorithm", "seed", "seeds")
DEPTH = 20
"""Tables nested deeper are not looked into; no configuration is, and Python's stack is finite."""


def to_toml(settings: Settings) -> str:
    """The settings as the text of a `config.toml`; `from_toml` reads it back as the same value."""
    lines = [
        f"domain = {_toml(settings.domain_name)}",
        f"algorithm = {_toml(settings.algorithm_name)}",
        f"seed = {settings.seed}",
        f"seeds = {settings.seeds}",
    ]
    table = ""
    for name, value in _by_table(flatten(settings)).items():
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
    values = {name: said.value for name, said in names.items()}
    where = {name: said.where for name, said in names.items()}
    return assemble(defaults(**values, where=where), given, problems=problems)


def of_run(config: Path) -> Settings:
    """Settings from the `config.toml` of a run, which leaves nothing to defaults.

    Raises:
        UserError: the file cannot be read, does not fit, or lacks a value: another version of
            descant wrote it, and today's default need not be what the run went by.
    """
    settings = from_toml(config)
    said = {value.name for value in given_in_toml(read_text(config), str(config))[1]}
    lacks = [name for name in flatten(settings) if "." in name and name not in said]
    if lacks:
        raise UserError(
            f"{config}: lacks {', '.join(lacks)}, so another version of descant made this run. Use "
            f"that version, or write into the file what the run went by."
        )
    return settings


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


def given_in_toml(text: str, label: str = "") -> tuple[dict[str, Given], list[Given], list[str]]:
    """What a file says: names of domain and algorithm, values, and problems of its layout.

    Raises:
        UserError: the text is not TOML.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"{label or 'config'}:{_line_of(error, text)}"
        raise UserError(f"{where}: this is not valid TOML: {error}.") from None
    where = partial(_where, label, _lines(text))
    names, given, problems = {}, [], []
    for key, value in data.items():
        if key in ("seed", "seeds"):
            given.append(Given(key, value, where((key,))))
        elif key in ("domain", "algorithm") and isinstance(value, str):
            names[key] = Given(key, value, where((key,)))
        elif key == "settings" and isinstance(value, dict):
            given += [
                Given(".".join(path), leaf, where((key, *path))) for path, leaf in _flat(value)
            ]
        else:
            problems.append(f"{where((key,))}{_misplaced(key, value)}")
    return names, given, problems


def _line_of(error: Exception, text: str) -> int:
    line = re.search(r"at line (\d+)", str(error))
    return int(line[1]) if line else text.rstrip().count("\n") + 1


def _misplaced(key: str, value: Any) -> str:
    if key in TABLES and isinstance(value, dict):
        return f"{key}: its settings belong under [settings.{key}]."
    if key in TOP:
        return f"{key}: expected a text, got {show(value)}."
    if key == "settings":
        return f"settings: expected a table, got {show(value)}."
    return f"{key}: there is no such key.{nearest(key, (*TOP, 'settings'))}"


def _flat(
    table: Mapping[str, Any], path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for key, value in table.items():
        if isinstance(value, dict) and value and len(path) < DEPTH:
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


def _by_table(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values grouped by table, those of a table before those of the tables nested in it."""
    order = {table: rank for rank, table in enumerate(TABLES)}

    def rank(name: str) -> tuple[int, int, str]:
        table = name.rpartition(".")[0]
        return order.get(table.partition(".")[0], -1), table.count("."), table

    return {name: values[name] for name in sorted(values, key=rank)}


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
