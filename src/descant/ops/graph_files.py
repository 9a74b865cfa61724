"""Graphs from files: edge lists, and GML as network collections publish it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from descant.core.errors import UserError
from descant.core.graph import Graph

WORD = re.compile(r'"[^"]*"|\[|\]|#[^\n]*|[^\s\[\]"]+|"')


class Network(NamedTuple):
    """A graph and what its file calls the agents."""

    graph: Graph
    names: tuple[str, ...]


class _Word(NamedTuple):
    text: str
    line: int


def read(path: Path) -> Network:
    """The graph in a file: GML if its name ends in `.gml`, otherwise an edge list.

    Directions and weights of edges are not read; an edge that is there both ways counts once.

    Raises:
        UserError: the file cannot be read, or a line is not what the format asks for.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error}).") from error
    return _gml(path, text) if path.suffix.lower() == ".gml" else _edge_list(path, text)


def _edge_list(path: Path, text: str) -> Network:
    """Two names a line, apart by spaces or a comma; what follows them is not read. A name alone is
    an agent without neighbours. `#` and `%` begin comments. Names that are all whole numbers are
    sorted, others stand in the order of their first appearance."""
    names: dict[str, int] = {}
    ends: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = re.split(r"[#%]", line)[0].replace(",", " ").split()
        for word in words[:2]:
            names.setdefault(word, len(names))
        if len(words) > 1:
            if words[0] == words[1]:
                raise UserError(
                    f"{path}:{number}: expected two different agents, got {words[0]!r} twice."
                )
            ends.append((words[0], words[1]))
    return _network(path, list(names), ends)


def _network(path: Path, names: list[str], ends: list[tuple[str, str]]) -> Network:
    if not names:
        raise UserError(f"{path}: expected at least one agent, found none.")
    if all(re.fullmatch(r"-?\d+", name) for name in names):
        names = sorted(names, key=int)
    place = {name: i for i, name in enumerate(names)}
    edges = np.array([[place[a], place[b]] for a, b in ends], np.int64).reshape(-1, 2)
    return Network(Graph(len(names), edges), tuple(names))


def _gml(path: Path, text: str) -> Network:
    words = _words(path, text)
    graph = [value for key, value in _entries(path, words, closed=False) if key.text == "graph"]
    if len(graph) != 1 or not isinstance(graph[0], list):
        raise UserError(f"{path}: expected one `graph [ ... ]`, found {len(graph)}.")
    names: list[str] = []
    ends: list[tuple[str, str]] = []
    edges = []
    for key, value in graph[0]:
        if key.text == "node":
            name = _field(path, key, value, "id")
            if name in names:
                raise UserError(f"{path}:{key.line}: node {name} is there for the second time.")
            names.append(name)
        if key.text == "edge":
            edges.append(
                (key, _field(path, key, value, "source"), _field(path, key, value, "target"))
            )
    known = set(names)
    for key, source, target in edges:
        for name in (source, target):
            if name not in known:
                raise UserError(
                    f"{path}:{key.line}: expected an edge between nodes of the file, "
                    f"but there is no node with id {name}."
                )
        if source == target:
            raise UserError(f"{path}:{key.line}: expected two different nodes, got {source} twice.")
        ends.append((source, target))
    return _network(path, names, ends)


def _field(path: Path, key: _Word, value: Any, name: str) -> str:
    found = [v for k, v in value if k.text == name] if isinstance(value, list) else []
    if len(found) != 1 or not re.fullmatch(r"[+-]?\d+", str(found[0])):
        raise UserError(
            f"{path}:{key.line}: expected `{key.text} [ ... {name} NUMBER ... ]` with one whole "
            f"number as {name}."
        )
    return str(int(found[0]))


def _words(path: Path, text: str) -> Iterator[_Word]:
    line, at = 1, 0
    for match in WORD.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        if match.group() == '"':
            raise UserError(f"{path}:{line}: expected a closing quotation mark, found none.")
        if not match.group().startswith("#"):
            yield _Word(match.group(), line)


def _entries(path: Path, words: Iterator[_Word], *, closed: bool) -> list[tuple[_Word, Any]]:
    """Keys with their values, up to the bracket that closes them or the end of the file."""
    entries = []
    for key in words:
        if key.text == "]" and closed:
            return entries
        if not re.fullmatch(r"[A-Za-z]\w*", key.text):
            raise UserError(f"{path}:{key.line}: expected a key, found {key.text!r}.")
        value = next(words, None)
        if value is None or value.text == "]":
            raise UserError(f"{path}:{key.line}: expected a value after {key.text!r}.")
        inner = _entries(path, words, closed=True) if value.text == "[" else value.text
        entries.append((key, inner))
    if closed:
        raise UserError(f"{path}: expected a closing bracket `]` before the end of the file.")
    return entries
