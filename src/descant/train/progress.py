"""What a person sees while a run trains: a line for each phase, and a live table in between."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from descant.train.signals import Stop

COLUMNS = ("iteration", "done", "left", "return", "gap", "gradient", "skipped", "ticks/s")
SPARE = ("ticks/s", "gradient", "done", "skipped")
"""Columns that a narrow terminal goes without, the first one first."""
LINES = 12
"""Rows of the live table that stay in sight."""
PAUSE = 10.0
"""Seconds between lines where there is no terminal."""
RECENT = 20
"""Iterations that the time left is judged by."""
BARS = "▁▂▃▄▅▆▇█"
CURVE = 40
"""Columns of the curve of returns."""


@contextmanager
def phase(console: Console, text: str) -> Iterator[None]:
    """One line for what takes a while, ending with how long it took: `Compiling ... 12 s`."""
    start = time.perf_counter()

    def now() -> str:
        return f"{text} ... {span(time.perf_counter() - start)}"

    if console.quiet:
        yield
    elif console.is_terminal:
        with Live(_Clock(now), console=console, transient=True, **_LIVE):
            yield
        console.print(now(), markup=False, style="dim")
    else:
        console.print(f"{text} ...", end=" ", markup=False, soft_wrap=True)
        try:
            yield
        finally:
            console.print(span(time.perf_counter() - start), markup=False)


# Results go to standard output; while a table is live they must not land in it.
_LIVE = {"refresh_per_second": 4, "redirect_stdout": False}


class _Clock:
    """A spinner whose text is asked for anew each time it is drawn."""

    def __init__(self, text: Callable[[], str]):
        self._text = text
        self._spinner = Spinner("dots")

    def __rich__(self) -> Spinner:
        self._spinner.update(text=Text(self._text(), style="dim"))
        return self._spinner


class Progress:
    """A live table on a terminal, a line every ten seconds elsewhere.

    Args:
        console: where to.
        total: iterations in all.
        done: iterations that an earlier start has done.
        rule: the best rule and its mean reward, for the gap.
        returns: mean returns of those earlier iterations, for the curve.
    """

    def __init__(
        self,
        console: Console,
        total: int,
        done: int,
        rule: tuple[str, float] | None,
        returns: Iterable[float] = (),
    ):
        self._console = console
        self._total = total
        self._done = done
        self._rule = rule
        self._spoke = -math.inf
        self._seconds: list[float] = []
        self._returns = list(returns)
        self._judged = math.nan
        self._rows: list[dict[str, Text]] = []
        self._note = "Ctrl-C saves and stops."
        self._live: Live | None = None

    def __enter__(self) -> "Progress":
        if self._console.is_terminal and not self._console.quiet:
            self._live = Live(self, console=self._console, **_LIVE)
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._note = ""
            self._live.__exit__(*error)

    @contextmanager
    def heard(self, stop: Stop) -> Iterator[None]:
        """What there is to say of a signal is said below the table; a plain write would tear it."""
        before = stop.say
        if self._live is not None:
            stop.say = self._say
        try:
            yield
        finally:
            stop.say = before

    def _say(self, text: str) -> None:
        self._note = text
        if self._live is not None:
            self._live.refresh()

    def show(self, row: Mapping[str, Any], seconds: float, speed: float) -> None:
        """Take in one iteration's metrics, how long it took, and ticks per second."""
        self._done = row["iteration"]
        self._seconds = [*self._seconds, seconds][-RECENT:]
        self._returns.append(_mean(row.get("return", [])))
        judged = _mean(row.get("validation", []))
        self._judged = judged if math.isfinite(judged) else self._judged
        cells = self._cells(row, speed)
        self._rows = [*self._rows, cells][-LINES:]
        now = time.perf_counter()
        if self._live is not None:
            self._live.refresh()
        elif now - self._spoke > PAUSE or self._done == self._total:
            self._spoke = now
            self._console.print(self._sentence(cells), soft_wrap=True)

    def __rich__(self) -> RenderableType:
        bar = Table.grid(padding=(0, 2))
        bar.add_row(
            ProgressBar(total=self._total, completed=self._done, width=CURVE),
            Text(f"{self._done / self._total:.0%}"),
            Text(f"{self._left()} left" if self._done < self._total else "done"),
        )
        parts: list[RenderableType] = [self._table()] if self._rows else []
        if curve := sparkline(self._returns, CURVE):
            places = f".{_places(self._returns[-1])}f"
            ends = " to ".join(_number(self._returns[i], places) for i in (0, -1))
            parts.append(Text.assemble((curve, "cyan"), f"  return, {ends}"))
        note = [Text(self._note, style="dim")] if self._note else []
        return Group(*parts, bar, *note)

    def _cells(self, row: Mapping[str, Any], speed: float) -> dict[str, Text]:
        mean, known = self._returns[-1], _known(row.get("return", []))
        places = _places(mean)
        spread = f" ± {_number(_deviation(known), f'.{places}f')}" if len(known) > 1 else ""
        # On the rule's own scenarios where that is known, else from training's.
        reached = self._judged if "validation" in row else mean
        gap = math.nan if self._rule is None else reached - self._rule[1]
        skipped = _mean(row.get("skipped", []))
        return {
            "iteration": Text(f"{self._done}/{self._total}"),
            "done": Text(f"{self._done / self._total:.0%}"),
            "left": Text(self._left()),
            "return": Text(f"{_number(mean, f'.{places}f')}{spread}"),
            "gap": Text(_number(gap, f"+.{places}f"), style="green" if gap >= 0 else "yellow"),
            "gradient": Text(_number(_mean(row.get("gradient_norm", [])), ".2g")),
            "skipped": Text(_number(skipped, ".0f"), style="bold red" if skipped > 0 else ""),
            "ticks/s": Text(_number(speed, ",.0f")),
        }

    def _left(self) -> str:
        """Time left, by the recent iterations; the first of a start is slow and counts little."""
        if not self._seconds:
            return "?"
        return span(sorted(self._seconds)[len(self._seconds) // 2] * (self._total - self._done))

    def _headings(self) -> dict[str, str]:
        gap = {"gap": f"to {self._rule[0]}"} if self._rule else {}
        return {name: gap.get(name, name) for name in COLUMNS if name != "gap" or gap}

    def _sentence(self, cells: Mapping[str, Text]) -> str:
        parts = [
            f"{heading} {cells[name].plain}"
            for name, heading in self._headings().items()
            if name not in ("iteration", "done", "left")
        ]
        place = f"{cells['iteration'].plain} ({cells['done'].plain})"
        left = f", {cells['left'].plain} left" if self._done < self._total else ""
        return f"Iteration {place}{left}: {', '.join(parts)}"

    def _table(self) -> Table:
        headings = self._headings()
        table = self._made(headings)
        wide = self._console.options.update(max_width=1000)
        for spare in SPARE:
            if self._console.measure(table, options=wide).maximum <= self._console.width:
                break
            del headings[spare]
            table = self._made(headings)
        return table

    def _made(self, headings: Mapping[str, str]) -> Table:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in headings.values():
            table.add_column(Text(heading, style="dim"), justify="right", no_wrap=True)
        for row in self._rows[-max(self._console.height - 6, 3) :]:
            table.add_row(*(row[name] for name in headings))
        return table


def sparkline(values: Iterable[float], width: int) -> str:
    """A curve of at most `width` characters; nothing for fewer than two values."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        return ""
    count = min(width, len(known))
    edges = [i * len(known) // count for i in range(count + 1)]
    means = [sum(known[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    step = (high - low) / (len(BARS) - 1) or 1.0
    return "".join(BARS[round((mean - low) / step)] for mean in means)


def span(seconds: float) -> str:
    """A length of time as people say it: `0.4 s`, `12 s`, `3:05`, `1:02:03`."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _known(values: Iterable[float | None]) -> list[float]:
    return [x for x in values if x is not None and math.isfinite(x)]


def _mean(values: Iterable[float | None]) -> float:
    known = _known(values)
    return sum(known) / len(known) if known else math.nan


def _deviation(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((x - mean) ** 2 for x in values) / (len(values) - 1))


def _places(value: float) -> int:
    """Decimal places that give it four digits."""
    size = abs(value) if math.isfinite(value) and value else 1.0
    return min(max(3 - math.floor(math.log10(size)), 0), 6)


def _number(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "-"
