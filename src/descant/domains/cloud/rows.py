"""A CSV file read row by row: every row becomes a record, or says where and why it cannot.

A row is one line that is not blank. Reading line by line keeps a stray quote from swallowing the
rows after it, so the line numbers are the file's and `rows in = accepted + rejected` holds for any
sequence of bytes.
"""

import codecs
import csv
import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, NoReturn, Protocol, TypeVar

import numpy as np

from descant.core.errors import UserError, nearest
from descant.domains.cloud.trace import Trace

LARGEST = 2**31 - 1
"""Largest demand or capacity; traces hold int32."""
LATEST = 1e11
"""Largest time in seconds; a Unix time in milliseconds is above it."""
BRIEFEST, LONGEST = 1e-3, 1e10
"""Shortest and longest duration of a job in seconds."""
LINE, CELL, SHOWN, COLUMNS = 65_536, 1_000, 80, 200
"""Longest line in bytes, longest cell and longest quotation in characters, most columns."""
PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
}
FOREIGN = {b"PAR1": "Parquet", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}

Parser = Callable[[str], Any]
"""Makes a value of a cell; raises ValueError with the reason."""


@dataclass(frozen=True)
class Reject:
    """A row that cannot be used."""

    file: str
    line: int
    column: str
    """Empty when the row as a whole is at fault."""
    value: str
    """What stands there, shortened, with unprintable characters escaped."""
    reason: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " + (f"{self.column}: " if self.column else "")
        return f"{place}{self.reason}, got '{self.value}'"


@dataclass(frozen=True)
class Count:
    """How many rows of a file were read, taken and left."""

    file: str
    rows_in: int
    accepted: int
    rejected: int


@dataclass(frozen=True)
class Report:
    """What an import made of its files."""

    rows: dict[str, Count]
    """`nodes` and `jobs`."""
    rejects: tuple[Reject, ...]
    notes: tuple[str, ...]
    """Facts about the trace that its user should know."""


@dataclass(frozen=True)
class Node:
    """A machine; capacity in whole units, one for each resource."""

    name: str
    capacity: tuple[int, ...]
    model: str = ""


@dataclass(frozen=True)
class Job:
    """Something to place; arrival and duration in seconds, demand in whole units."""

    name: str
    time: float
    duration: float
    demand: tuple[int, ...]
    facts: frozenset[str] = frozenset()
    """Words that notes count."""


class Named(Protocol):
    """A record with a name that no other row has."""

    @property
    def name(self) -> str:
        """Unique in its file."""
        ...


R = TypeVar("R", bound=Named)


class Fault(Exception):
    """Why one row cannot be used, and the column at fault; no column for the row as a whole."""

    def __init__(self, column: str, reason: str):
        super().__init__(reason)
        self.column = column
        self.reason = reason


@dataclass(frozen=True)
class Sheet:
    """An opened CSV file: its header, and its other lines on demand."""

    path: Path
    header: list[str]
    lines: Iterator[bytes]
    sha256: Callable[[], str]
    """Checksum of the lines read so far."""


@dataclass(frozen=True)
class Table(Generic[R]):
    """A CSV file read to its end."""

    path: Path
    sha256: str
    count: Count
    records: list[R]
    rejects: list[Reject]


def open_sheets(*paths: Path) -> list[Sheet]:
    """Open CSV files and read their headers.

    Raises:
        UserError: a file is missing, unreadable, empty, packed or not text; all of them are named.
    """
    sheets, problems = [], []
    for path in paths:
        try:
            sheets.append(_open(path))
        except UserError as error:
            problems.append(str(error))
    refuse(problems)
    return sheets


def refuse(problems: Iterable[str]) -> None:
    """Raise one UserError that holds all problems, if there are any."""
    if problems := list(problems):
        raise UserError("\n".join(problems))


def header_problems(
    sheet: Sheet, required: Iterable[str], optional: Iterable[str] = ()
) -> list[str]:
    """What is wrong with the columns: missing, unknown (with the nearest known name) or twice."""
    required = list(required)
    known = [*required, *optional]
    counts = Counter(sheet.header)
    problems = [f"column {name!r} is missing." for name in required if name not in counts]
    problems += [f"column {name!r} stands {n} times." for name, n in counts.items() if n > 1]
    for name in counts:
        if name not in known:
            problems.append(f"column {shown(name)!r} is not known.{nearest(name, known)}")
    if len(problems) > 8:
        problems[8:] = [f"{len(problems) - 8} more; expected the columns {', '.join(known)}."]
    return [f"{sheet.path}: {problem}" for problem in problems]


def number(low: float, high: float, *, whole: bool = False) -> Parser:
    """A finite number from `low` to `high`; an int where `whole` numbers are asked for."""

    def parse(cell: str) -> float:
        value = float(cell) if _NUMBER.fullmatch(cell) else math.nan
        if not math.isfinite(value) or (whole and value != int(value)):
            raise ValueError(f"expected a {'whole' if whole else 'finite'} number")
        if not low <= value <= high:
            raise ValueError(f"expected {low:,.15g} to {high:,.15g}")
        return int(value) if whole else value

    return parse


def optional(parser: Parser) -> Parser:
    """What `parser` makes of a cell, or None where it is empty."""
    return lambda cell: parser(cell) if cell else None


def name(cell: str) -> str:
    """Printable text that is not empty."""
    if not cell:
        raise ValueError("expected a name")
    return text(cell)


def text(cell: str) -> str:
    """Printable text, or nothing."""
    if not cell.isprintable():
        raise ValueError("expected printable text")
    return cell


def one_of(*known: str) -> Parser:
    """One of some words."""

    def parse(cell: str) -> str:
        if cell not in known:
            raise ValueError(f"expected one of {', '.join(known)}")
        return cell

    return parse


def lasting(column: str, seconds: float) -> float:
    """A duration that a job can have.

    Raises:
        Fault: it is too short or too long.
    """
    if not BRIEFEST <= seconds <= LONGEST:
        raise Fault(column, f"expected a job that lasts {BRIEFEST:g} to {LONGEST:g} seconds")
    return seconds


def read(
    sheet: Sheet, parsers: dict[str, Parser], build: Callable[[dict[str, Any]], R]
) -> Table[R]:
    """Read a sheet to its end.

    `parsers` say how the cell of each column is read; `build` makes a record of the values and may
    raise Fault. The first fault of a row rejects it, and so does a name that an accepted row has.
    """
    records: list[R] = []
    rejects: list[Reject] = []
    lines: dict[str, int] = {}
    key = next(column for column, parser in parsers.items() if parser is name)
    for line, raw in enumerate(sheet.lines, start=2):
        if not raw.strip():
            continue
        cells: dict[str, str] = {}
        try:
            cells.update(_cells(raw, sheet.header))
            record = build({column: _value(column, cells, parsers) for column in parsers})
            if lines.setdefault(record.name, line) != line:
                raise Fault(key, f"expected a name of its own; line {lines[record.name]} has it")
        except Fault as fault:
            value = shown(cells.get(fault.column, raw[:CELL].decode("utf-8", "replace").strip()))
            rejects.append(Reject(str(sheet.path), line, fault.column, value, fault.reason))
        else:
            records.append(record)
    total = len(records) + len(rejects)
    count = Count(str(sheet.path), total, len(records), len(rejects))
    return Table(sheet.path, sheet.sha256(), count, records, rejects)


def enough(table: Table[R], share: float) -> Table[R]:
    """The table, if no more than a share of its rows was rejected and one at least was not.

    Raises:
        UserError: too many rows were rejected; the first five are shown.
    """
    count = table.count
    if count.accepted and count.rejected <= share * count.rows_in:
        return table
    if not count.rows_in:
        raise UserError(f"{count.file}: has a header and no rows.")
    raise UserError(
        f"{count.file}: {count.rejected:,} of {count.rows_in:,} rows cannot be used; "
        f"{share:.0%} may be left out. The first of them:\n"
        + "\n".join(f"  {reject}" for reject in table.rejects[:5])
    )


def fitting(
    nodes: Table[Node], columns: Iterable[str], units: Iterable[str]
) -> Callable[..., None]:
    """A check that a demand is not nothing and that some node, when empty, has room for it."""
    columns, units = tuple(columns), tuple(units)
    shapes = np.array(sorted({node.capacity for node in nodes.records}))
    largest = shapes.max(axis=0)

    @cache
    def together(demand: tuple[int, ...]) -> bool:
        return bool((shapes >= demand).all(axis=1).any())

    def check(demand: tuple[int, ...]) -> None:
        if not any(demand):
            raise Fault("", "expected a demand above zero for some resource")
        for column, unit, asked, most in zip(columns, units, demand, largest, strict=True):
            if asked > most:
                raise Fault(
                    column, f"{asked:,} {unit} fit on no node; the largest has {int(most):,}"
                )
        if not together(demand):
            raise Fault("", "no single node has room for all of these resources at once")

    return check


def assemble(
    nodes: Table[Node],
    jobs: Table[Job],
    *,
    resources: tuple[str, ...],
    units: tuple[str, ...],
    source: dict[str, Any],
    notes: tuple[str, ...] = (),
) -> tuple[Trace, Report]:
    """Nodes in the order of their file and jobs in order of arrival, as a trace and its report."""
    ordered = sorted(jobs.records, key=lambda job: job.time)
    first = ordered[0].time
    files = {
        kind: {
            "file": table.path.name,
            "sha256": table.sha256,
            "rows_in": table.count.rows_in,
            "accepted": table.count.accepted,
            "rejected": table.count.rejected,
        }
        for kind, table in (("nodes", nodes), ("jobs", jobs))
    }
    trace = Trace(
        resources=resources,
        units=units,
        names=tuple(node.name for node in nodes.records),
        model=tuple(node.model for node in nodes.records),
        capacity=np.array([node.capacity for node in nodes.records], np.int32),
        time=np.array([job.time - first for job in ordered], np.float64),
        demand=np.array([job.demand for job in ordered], np.int32),
        duration=np.array([job.duration for job in ordered], np.float32),
        source={**source, **files, "first_arrival": first, "notes": list(notes)},
    )
    rejects = (*nodes.rejects, *jobs.rejects)
    return trace, Report({"nodes": nodes.count, "jobs": jobs.count}, rejects, notes)


def shown(cell: str) -> str:
    """A cell as a message may quote it: escaped, and cut to a readable length."""
    escaped = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in cell[: SHOWN + 1])
    return escaped if len(escaped) <= SHOWN else escaped[:SHOWN] + "…"


# Plain decimal digits: float() alone would also take "1_000", "nan" and digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def _open(path: Path) -> Sheet:
    try:
        if not path.exists():
            siblings = path.parent.iterdir() if path.parent.is_dir() else ()
            close = nearest(path.name, (entry.name for entry in siblings))
            raise UserError(f"{path}: there is no such file.{close}")
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "no regular file"
            raise UserError(f"{path}: is {kind}; a CSV file was expected.")
        with path.open("rb") as file:
            start = file.read(6)
    except OSError as error:
        _unreadable(path, error)
    _plain(path, start)
    digest = hashlib.sha256()
    lines = _lines(path, digest.update)
    first = next(lines, b"")
    try:
        header = [cell.strip() for cell in _split(first.removeprefix(codecs.BOM_UTF8))]
    except Fault as fault:
        raise UserError(f"{path}:1: the header cannot be read: {fault.reason}.") from fault
    if not any(header):
        raise UserError(f"{path}:1: is empty; a header with column names was expected.")
    if len(header) > COLUMNS or any(len(cell) > CELL for cell in header):
        raise UserError(
            f"{path}:1: expected a header of at most {COLUMNS} columns, "
            f"with names of at most {CELL:,} characters."
        )
    return Sheet(path, header, lines, digest.hexdigest)


def _plain(path: Path, start: bytes) -> None:
    for magic, kind in PACKED.items():
        if start.startswith(magic):
            raise UserError(f"{path}: is {kind}-compressed; unpack it and import the CSV file.")
    for magic, kind in FOREIGN.items():
        if start.startswith(magic):
            raise UserError(f"{path}: is {kind}; save it as CSV in UTF-8.")


def _lines(path: Path, feed: Callable[[bytes], None]) -> Iterator[bytes]:
    """Lines of a file; of a line that is too long, as much as shows that it is."""
    try:
        with path.open("rb") as file:
            while raw := file.readline(LINE + 1):
                feed(raw)
                rest = raw
                while not rest.endswith(b"\n") and (rest := file.readline(LINE)):
                    feed(rest)
                yield raw
    except OSError as error:
        _unreadable(path, error)


def _unreadable(path: Path, error: OSError) -> NoReturn:
    raise UserError(f"{path}: cannot be read: {error.strerror}.") from error


def _split(raw: bytes) -> list[str]:
    if len(raw) > LINE:
        raise Fault("", f"expected a line of at most {LINE:,} bytes")
    if b"\0" in raw:
        raise Fault("", "expected text without NUL bytes")
    try:
        return next(csv.reader([raw.decode().rstrip("\r\n")], strict=True), [])
    except UnicodeDecodeError:
        raise Fault("", "expected text in UTF-8") from None
    except csv.Error as error:
        raise Fault("", f"expected comma-separated cells ({error})") from None


def _cells(raw: bytes, header: list[str]) -> dict[str, str]:
    cells = _split(raw)
    if len(cells) != len(header):
        raise Fault("", f"expected {len(header)} cells, got {len(cells)}")
    return {column: cell.strip() for column, cell in zip(header, cells, strict=True)}


def _value(column: str, cells: dict[str, str], parsers: dict[str, Parser]) -> Any:
    cell = cells[column]
    if len(cell) > CELL:
        raise Fault(column, f"expected at most {CELL:,} characters")
    try:
        return parsers[column](cell)
    except ValueError as error:
        raise Fault(column, str(error)) from None
