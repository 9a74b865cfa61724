"""The comparison of policies as a table."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from descant.cli.output import plain

if TYPE_CHECKING:
    from rich.table import Table

COLOURS = {"better": "green", "worse": "red", "even": "dim"}
WORDS = 2
"""Columns at the end that are text, to the left as the first; all others are numbers."""


def shown(evaluation: Mapping[str, Any], form: str) -> "str | Table":
    """The comparison as people read it: a coloured table for a `terminal`, `plain` aligned text,
    or a table in Markdown, `md`."""
    draw = {"terminal": coloured, "plain": comparison, "md": markdown}[form]
    return draw(plain(evaluation))


def laid_out(
    name: str, rows: Sequence[Sequence[str]], words: Collection[int], form: str
) -> "str | Table":
    """A table under its name, as `shown` does it: the first row is its head, the columns of `words`
    are text, and the last one says how a row compares."""
    return {"terminal": _drawn, "plain": _text, "md": _markdown}[form](name, rows, words)


def comparison(evaluation: Mapping[str, Any]) -> str:
    """The policies of an evaluation as aligned text: the reference first, then by mean reward.

    Where episodes have outcomes, such as battles won, they come first, as shares of scenarios. The
    difference is the reference minus the policy of the row, paired over the scenarios, with its
    95 % interval; above 0 the reference is better. Where a bound is known it is the last row, and
    the gap to it is what a policy could still gain at most, also as a share of its own score.
    """
    return _below(_text(*_parts(evaluation)), evaluation)


def coloured(evaluation: Mapping[str, Any]) -> "Table":
    """The same table for a terminal."""
    table = _drawn(*_parts(evaluation))
    table.caption, table.caption_justify = utility(evaluation), "left"
    return table


def markdown(evaluation: Mapping[str, Any]) -> str:
    """The same table in Markdown."""
    return _below(_markdown(*_parts(evaluation)), evaluation)


def title(evaluation: Mapping[str, Any]) -> str:
    """What was compared on what."""
    seeds = evaluation.get("seeds") or 1
    learners = f", {seeds} learners" if seeds > 1 else ""
    changed = "".join(f", {n} = {v}" for n, v in (evaluation.get("overrides") or {}).items())
    return (
        f"{evaluation['domain']}: reward on {evaluation['scenarios']} held-out scenarios"
        f"{learners}{changed}, higher is better"
    )


def utility(evaluation: Mapping[str, Any]) -> str | None:
    """What the learned policy has of the team's objective, where there is one: in all, by groups of
    agents, and against what no policy exceeds; and by how much it violates constraints."""
    said = [_objective(evaluation.get("objective")), _constraint(evaluation.get("constraint"))]
    return " ".join(one for one in said if one) or None


def _objective(found: Mapping[str, Any] | None) -> str | None:
    if not found:
        return None
    groups = ", ".join(f"{name} {value:.4g}" for name, value in found["groups"].items())
    said = (
        f"Utility of the learned policy ({'exact' if found['exact'] else 'estimated'}, discount "
        f"{found['discount']:g}): {found['value']:.5g}"
    ) + (f" ({groups})" if len(found["groups"]) > 1 else "")
    if gap := found.get("gap"):
        share = "" if gap["relative"] is None else f", {gap['relative']:.2%}".replace("%", " %")
        most = found["optimum"]["bound"]
        said += f"; no policy exceeds {most:.5g}, so the gap is at most {gap['mean']:.2g}{share}"
    return f"{said}."


def _constraint(short: Mapping[str, Any] | None) -> str | None:
    if not short:
        return None
    if not short["total"]:
        return "All agents keep their constraints."
    return (
        f"Constraints are violated by {short['total']:.3g} in all, {short['worst']:.2g} at most, "
        f"by {short['share']:.0%}".replace("%", " %")
        + " of the agents."
    )


def _below(table: str, evaluation: Mapping[str, Any]) -> str:
    """A table with the sentence under it."""
    said = utility(evaluation)
    return f"{table}\n\n{said}" if said else table


def verdict(low: float, high: float) -> str:
    """What the interval of reference minus policy says about the reference."""
    if low > 0:
        return "better"
    return "worse" if high < 0 else "even"


def decimals(means: Sequence[float | None]) -> int:
    """Decimal places that give the largest mean four digits; all numbers get the same."""
    largest = max((abs(mean) for mean in means if mean), default=1.0)
    return min(max(3 - math.floor(math.log10(largest)), 0), 8)


def number(value: float | None, places: int) -> str:
    """A number with so many decimal places; `-` where there is none."""
    return "-" if value is None else f"{value:.{places}f}"


def share(found: Mapping[str, float | None] | None) -> str:
    """`62.5 % [53.0, 71.0]`: in how many episodes it came to that, and the interval of it."""
    mean, low, high = (found[name] if found else None for name in ("mean", "low", "high"))
    if mean is None:
        return "-"
    said = f"{100 * mean:.1f} %"
    return said if low is None or high is None else f"{said} [{100 * low:.1f}, {100 * high:.1f}]"


def ordered(evaluation: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Learned policies first, in their own order, then rules from the best mean to the worst."""
    policies: Sequence[Mapping[str, Any]] = evaluation["policies"]
    learned = [policy for policy in policies if policy["kind"] == "learned"]
    rules = [policy for policy in policies if policy["kind"] != "learned"]
    return learned + sorted(rules, key=_worst_last)


def _parts(evaluation: Mapping[str, Any]) -> tuple[str, list[list[str]], set[int]]:
    """Title, rows, and which columns are text."""
    rows = [_header(evaluation), *_rows(evaluation)]
    columns = len(rows[0])
    return title(evaluation), rows, {0, *range(columns - WORDS, columns)}


def _text(name: str, rows: Sequence[Sequence[str]], words: Collection[int]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join([name, "", *(_aligned(row, widths, words) for row in rows)])


def _drawn(name: str, rows: Sequence[Sequence[str]], words: Collection[int]) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    header, *body = rows
    table = Table(title=name, box=box.SIMPLE_HEAD, title_justify="left")
    for i, column in enumerate(header):
        table.add_column(Text(column), justify="left" if i in words else "right", no_wrap=True)
    for *cells, verdict in body:
        style = COLOURS.get(verdict, "")
        table.add_row(*map(Text, cells), Text(verdict, style=style))
    return table


def _markdown(name: str, rows: Sequence[Sequence[str]], words: Collection[int]) -> str:
    header, *body = rows
    sides = [":--" if i in words else "--:" for i in range(len(header))]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in (header, sides, *body)]
    return "\n".join([name, "", *(f"| {' | '.join(row)} |" for row in escaped)])


def _header(evaluation: Mapping[str, Any]) -> list[str]:
    reference = evaluation["reference"]
    gap = ["gap to bound"] if evaluation.get("bound") else []
    words = [f"{reference} minus it", "95 % interval", f"{reference} is"]
    return ["policy", *_outcomes(evaluation), "mean", "std", *gap, *words]


def _outcomes(evaluation: Mapping[str, Any]) -> list[str]:
    """What becomes of episodes, such as battles won; evaluations of old do not say."""
    policies = evaluation["policies"]
    return list(dict.fromkeys(name for policy in policies for name in policy.get("outcomes", ())))


def _rows(evaluation: Mapping[str, Any]) -> list[list[str]]:
    policies = ordered(evaluation)
    bound = evaluation.get("bound")
    places = decimals([policy["mean"] for policy in policies])
    outcomes = _outcomes(evaluation)
    rows = [_row(policy, places, outcomes, bounded=bool(bound)) for policy in policies]
    if bound:
        before = ["bound", *[""] * len(outcomes), number(bound["mean"], places)]
        rows.append([*before, *[""] * (len(rows[0]) - len(before))])
    return rows


def _row(
    policy: Mapping[str, Any], places: int, outcomes: Sequence[str], *, bounded: bool
) -> list[str]:
    ends = [share(policy.get("outcomes", {}).get(name)) for name in outcomes]
    own = [policy["name"], *ends, *(number(policy[name], places) for name in ("mean", "std"))]
    if bounded:
        own.append(_gap(policy.get("gap"), places))
    difference = policy["difference"] or {"mean": None, "low": None, "high": None}
    mean, low, high = (difference[name] for name in ("mean", "low", "high"))
    gap = "" if mean is None else f"{mean:+.{places}f}"
    if low is None or high is None:
        return [*own, gap, "", ""]
    interval = f"[{low:+.{places}f}, {high:+.{places}f}]"
    return [*own, gap, interval, verdict(low, high)]


def _gap(gap: Mapping[str, float | None] | None, places: int) -> str:
    """`1.53 (4.0 %)`; the share is left out where the score is 0."""
    if gap is None or gap["mean"] is None:
        return "-"
    share = "" if gap["relative"] is None else f" ({gap['relative']:.1%})".replace("%", " %")
    return f"{gap['mean']:.{places}f}{share}"


def _worst_last(policy: Mapping[str, Any]) -> float:
    mean = policy["mean"]
    return math.inf if mean is None else -mean


def _aligned(row: Sequence[str], widths: Sequence[int], words: Collection[int]) -> str:
    cells = (
        cell.ljust(width) if i in words else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()
