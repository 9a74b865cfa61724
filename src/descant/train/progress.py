"""What a person sees while a run trains: a banner, then a live table or a line now and then."""

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

COLUMNS = ("iteration", "done", "left", "return", "gap", "gradient", "skipped", "steps/s")
LINES = 12
"""Rows of the live table that stay in sight."""
PAUSE = 10.0
"""Seconds between lines where there is no terminal."""


class Progress:
    """A live table on a terminal, a line every ten seconds elsewhere."""

    def __init__(self, console: Console, total: int, done: int, rule: tuple[str, float] | None):
        self._console = console
        self._total = total
        self._first = done
        self._rule = rule
        self._start = time.perf_counter()
        self._spoke = 0.0
        self._rows: list[list[str]] = []
        self._live: Live | None = None

    def __enter__(self) -> "Progress":
        if self._console.is_terminal and not self._console.quiet:
            self._live = Live(self._table(), console=self._console, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._live.update(self._table())
            self._live.__exit__(*error)

    def show(self, row: Mapping[str, Any], steps_per_second: float) -> None:
        """Take in one iteration's metrics."""
        cells = self._cells(row, steps_per_second)
        self._rows = [*self._rows, cells][-LINES:]
        if self._live is not None:
            self._live.update(self._table())
        elif time.perf_counter() - self._spoke > PAUSE or row["iteration"] == self._total:
            self._spoke = time.perf_counter()
            named = [f"{n} {c}" for n, c in zip(self._headings(), cells, strict=True)]
            self._console.print("  ".join(named), soft_wrap=True)

    def _cells(self, row: Mapping[str, Any], steps_per_second: float) -> list[str]:
        iteration = row["iteration"]
        spent = time.perf_counter() - self._start
        left = spent / max(iteration - self._first, 1) * (self._total - iteration)
        returns = [x for x in row["return"] if x is not None]
        mean = sum(returns) / len(returns) if returns else float("nan")
        spread = f" ± {(max(returns) - min(returns)) / 2:.1f}" if len(returns) > 1 else ""
        gap = "" if self._rule is None else f"{mean - self._rule[1]:+.2f}"
        return [
            f"{iteration}/{self._total}",
            f"{iteration / self._total:.0%}",
            _span(left),
            f"{mean:.2f}{spread}",
            gap,
            _mean(row.get("gradient_norm", []), ".2g"),
            _mean(row.get("skipped", []), ".0f"),
            f"{steps_per_second:,.0f}",
        ]

    def _headings(self) -> list[str]:
        rule = "" if self._rule is None else f"to {self._rule[0]}"
        return [rule if name == "gap" else name for name in COLUMNS]

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for name in self._headings():
            table.add_column(name, justify="right", no_wrap=True)
        for row in self._rows:
            table.add_row(*row)
        if not self._rows:
            table.add_row("compiling (only the first run of this size) ...")
        return table


def _mean(values: list[float | None], form: str) -> str:
    known = [x for x in values if x is not None]
    return format(sum(known) / len(known), form) if known else "-"


def _span(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
