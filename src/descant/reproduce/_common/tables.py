"""Tables as Markdown, CSV and HTML from the same cells."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from descant.report.markup import Html, join, tag
from descant.report.numbers import NONE, number


class Measured(NamedTuple):
    """A number and the ends of its 95 % interval; None where there is one value alone."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def ends(self) -> tuple[float, float]:
        """The interval; the number itself where there is none."""
        low, high = self.low, self.high
        return (self.mean, self.mean) if low is None or high is None else (low, high)


Cell = Measured | float | int | str | None


@dataclass(frozen=True)
class Table:
    """Rows of cells; a measured cell has an interval."""

    key: str
    """File name."""
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    decimals: int = 1
    """Of numbers that are not whole."""
    words: int = 1
    """Leading columns that are text."""

    def markdown(self) -> str:
        """For people and repositories."""
        rows = [[self._text(cell) for cell in row] for row in self.rows]
        lines = [self.head, ["---"] * self.words + ["--:"] * (len(self.head) - self.words), *rows]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join(part for part in (f"**{self.title}**", body, self.caption) if part)

    def csv(self) -> str:
        """For programs: full precision, three columns for what has an interval."""
        wide = [any(isinstance(row[i], Measured) for row in self.rows) for i in self._columns()]
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        head: list[str] = []
        for name, measured in zip(self.head, wide, strict=True):
            head += [name, f"{name} low", f"{name} high"] if measured else [name]
        writer.writerow(head)
        for row in self.rows:
            cells: list[Any] = []
            for cell, measured in zip(row, wide, strict=True):
                cells += _spread(cell) if measured else [cell]
            writer.writerow(["" if cell is None else cell for cell in cells])
        return out.getvalue()

    def html(self) -> Html:
        """For the page."""
        from descant.report import tables

        rows = [[self._html(cell) for cell in row] for row in self.rows]
        return tables.table(self.head, rows, self.caption, name=self.title, words=self.words)

    def plain(self) -> dict[str, Any]:
        """In terms of JSON."""
        rows = [[c._asdict() if isinstance(c, Measured) else c for c in row] for row in self.rows]
        return {"title": self.title, "head": list(self.head), "rows": rows}

    def _columns(self) -> range:
        return range(len(self.head))

    def _text(self, cell: Cell) -> str:
        if isinstance(cell, Measured):
            return f"{self._number(cell.mean)} {self._ends(cell)}".rstrip()
        return cell.replace("|", "\\|") if isinstance(cell, str) else self._number(cell)

    def _html(self, cell: Cell) -> object:
        if not isinstance(cell, Measured):
            return cell if isinstance(cell, str) else self._number(cell)
        return join(self._number(cell.mean), " ", tag("span", self._ends(cell), class_="aside"))

    def _number(self, value: float | None) -> str:
        if value is None:
            return NONE
        if isinstance(value, int):
            return number(value, 0)
        return number(round(value, self.decimals), self.decimals)

    def _ends(self, cell: Measured) -> str:
        if cell.low is None or cell.high is None:
            return ""
        return f"[{self._number(float(cell.low))}, {self._number(float(cell.high))}]"


def _spread(cell: Cell) -> Sequence[Cell]:
    return cell if isinstance(cell, Measured) else [cell, None, None]
