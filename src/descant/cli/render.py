"""The comparison of policies as a table."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from descant.cli.output import plain

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {"better": "green", "worse": "red", "even": "dim"}


def shown(evaluation: Mapping[str, Any], *, terminal: bool) -> "str | Table":
    """The comparison as people read it: a coloured table on a terminal, aligned text elsewhere."""
    finite = plain(evaluation)
    return coloured(finite) if terminal else comparison(finite)


def comparison(evaluation: Mapping[str, Any]) -> str:
    """The policies of an evaluation as aligned text: the reference first, then by mean reward.

    The difference is the reference minus the policy of the row, paired over the scenarios, with its
    95 % interval; above 0 the reference is better.
    """
    rows = [_header(evaluation), *_rows(evaluation)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [_aligned(row, widths) for row in rows]
    return "\n".join([title(evaluation), "", *lines])


def coloured(evaluation: Mapping[str, Any]) -> "Table":
    """The same table for a terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title(evaluation), box=box.SIMPLE_HEAD, title_justify="left")
    for i, name in enumerate(_header(evaluation)):
        table.add_column(Text(name), justify="left" if i in (0, 4, 5) else "right", no_wrap=True)
    for *cells, verdict in _rows(evaluation):
        style = COLOURS.get(verdict, "")
        table.add_row(*map(Text, cells), Text(verdict, style=style))
    return table


def title(evaluation: Mapping[str, Any]) -> str:
    """What was compared on what."""
    seeds = evaluation.get("seeds") or 1
    learners = f", {seeds} learners" if seeds > 1 else ""
    changed = "".join(f", {n} = {v}" for n, v in (evaluation.get("overrides") or {}).items())
    return (
        f"{evaluation['domain']}: reward on {evaluation['scenarios']} held-out scenarios"
        f"{learners}{changed}, higher is better"
    )


def verdict(low: float, high: float) -> str:
    """What the interval of reference minus policy says about the reference."""
    if low > 0:
        return "better"
    return "worse" if high < 0 else "even"


def ordered(evaluation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Learned policies first, in their own order, then rules from the best mean to the worst."""
    policies: Sequence[Mapping[str, Any]] = evaluation["policies"]
    learned = [policy for policy in policies if policy["kind"] == "learned"]
    rules = [policy for policy in policies if policy["kind"] != "learned"]
    return learned + sorted(rules, key=_worst_last)


def _header(evaluation: Mapping[str, Any]) -> list[str]:
    reference = evaluation["reference"]
    return ["policy", "mean", "std", f"{reference} minus it", "95 % interval", f"{reference} is"]


def _rows(evaluation: Mapping[str, Any]) -> list[list[str]]:
    policies = ordered(evaluation)
    places = _places([policy["mean"] for policy in policies])
    return [_row(policy, places) for policy in policies]


def _row(policy: Mapping[str, Any], places: int) -> list[str]:
    own = [policy["name"], *(_number(policy[name], places) for name in ("mean", "std"))]
    difference = policy["difference"] or {"mean": None, "low": None, "high": None}
    mean, low, high = (difference[name] for name in ("mean", "low", "high"))
    gap = "" if mean is None else f"{mean:+.{places}f}"
    if low is None or high is None:
        return [*own, gap, "", ""]
    interval = f"[{low:+.{places}f}, {high:+.{places}f}]"
    return [*own, gap, interval, verdict(low, high)]


def _places(means: Sequence[float | None]) -> int:
    """Decimal places that give the largest mean four digits; all numbers get the same."""
    largest = max((abs(mean) for mean in means if mean), default=1.0)
    return min(max(3 - math.floor(math.log10(largest)), 0), 8)


def _number(value: float | None, places: int) -> str:
    return "-" if value is None else f"{value:.{places}f}"


def _worst_last(policy: Mapping[str, Any]) -> float:
    mean = policy["mean"]
    return math.inf if mean is None else -mean


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    left = (0, 4, 5)
    cells = (
        cell.ljust(width) if i in left else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()
