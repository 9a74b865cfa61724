"""The comparison of policies as tables."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from descant.cli.output import plain

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

COLOURS = {"better": "green", "worse": "red", "even": "dim"}
WORDS = 2
"""Columns at the end that are text, to the left as the first; all others are numbers."""


def shown(evaluation: Mapping[str, Any], form: str) -> "str | RenderableType":
    """The comparison as people read it: coloured tables for a `terminal`, `plain` aligned text, or
    tables in Markdown, `md`.

    A table for each measure: the reward, and where the domain wants more than that the utility and
    the violation of constraints; first what the run was after. Policies stand from best to worst,
    the learned one in front. Differences are the reference minus the policy of the row, paired over
    the scenarios, with their 95 % interval. Where episodes have outcomes, such as battles won, they
    come first, as shares of scenarios; where a bound is known it is the last row, and the gap to it
    is what a policy could still gain at most, also as a share of its own score.
    """
    told = plain(evaluation)
    parts = [laid_out(*table, form) for table in _tables(told)]
    said = utility(told)
    if form != "terminal":
        return "\n\n".join([*map(str, parts), *([said] if said else [])])
    from rich.console import Group
    from rich.text import Text

    return Group(*parts, *([Text(said)] if said else []))


def laid_out(
    name: str, rows: Sequence[Sequence[str]], words: Collection[int], form: str
) -> "str | Table":
    """A table under its name, as `shown` does it: the first row is its head, the columns of `words`
    are text, and the last one says how a row compares."""
    return {"terminal": _drawn, "plain": _text, "md": _markdown}[form](name, rows, words)


def title(evaluation: Mapping[str, Any]) -> str:
    """What was compared on what."""
    return f"{_met(evaluation, 'reward')}, higher is better"


def _met(evaluation: Mapping[str, Any], what: str) -> str:
    seeds = evaluation.get("seeds") or 1
    learners = f", {seeds} learners" if seeds > 1 else ""
    changed = "".join(f", {n} = {v}" for n, v in (evaluation.get("overrides") or {}).items())
    scenarios = evaluation["scenarios"]
    return f"{evaluation['domain']}: {what} on {scenarios} held-out scenarios{learners}{changed}"


def utility(evaluation: Mapping[str, Any]) -> str | None:
    """What tables do not say of the learned policy: its utility by groups of agents, and which
    share of agents violates constraints."""
    found, short = evaluation.get("objective"), evaluation.get("constraint")
    said = [_groups(found), _constraint(short)]
    return " ".join(one for one in said if one) or None


def _groups(found: Mapping[str, Any] | None) -> str | None:
    groups = (found or {}).get("groups") or {}
    if len(groups) < 2:
        return None
    listed = ", ".join(f"{name} {value:.4g}" for name, value in groups.items())
    return f"Utility of the learned policy by group of agents: {listed}."


def _constraint(short: Mapping[str, Any] | None) -> str | None:
    if not short:
        return None
    if not short["total"]:
        return "Under the learned policy all agents keep their constraints."
    return (
        f"Under the learned policy {short['share']:.0%}".replace("%", " %")
        + f" of the agents violate their constraints, by {short['worst']:.2g} at most."
    )


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
    return _ranked(evaluation["policies"], lambda policy: policy["mean"])


def _ranked(
    policies: Sequence[Mapping[str, Any]], score: Callable[[Mapping[str, Any]], float | None]
) -> list[Mapping[str, Any]]:
    def worst_last(policy: Mapping[str, Any]) -> float:
        found = score(policy)
        return math.inf if found is None else -found

    learned = [policy for policy in policies if policy["kind"] == "learned"]
    rules = [policy for policy in policies if policy["kind"] != "learned"]
    return learned + sorted(rules, key=worst_last)


Laid = tuple[str, list[list[str]], set[int]]
"""Title, rows, and which columns are text."""


def _tables(evaluation: Mapping[str, Any]) -> list[Laid]:
    """One for each measure; what the run was after is in front."""
    found = {"reward": _parts(evaluation)}
    for measure, said in (evaluation.get("measures") or {}).items():
        found[measure] = _measured(evaluation, measure, said)
    first = [name for name in evaluation.get("ranked_by") or () if name in found]
    return [found[name] for name in dict.fromkeys([*first, *found])]


def _parts(evaluation: Mapping[str, Any]) -> Laid:
    rows = [_header(evaluation), *_rows(evaluation)]
    columns = len(rows[0])
    return title(evaluation), rows, {0, *range(columns - WORDS, columns)}


def _measured(evaluation: Mapping[str, Any], measure: str, said: Mapping[str, Any]) -> Laid:
    """Policies by their utility, of which more is better, or their violations, of which less is."""
    more = measure == "utility"
    found = [policy for policy in evaluation["policies"] if policy.get(measure)]
    sign = 1 if more else -1
    policies = _ranked(found, lambda policy: sign * policy[measure]["mean"])
    places = decimals([policy[measure]["mean"] for policy in policies])
    exact, reference = said["exact"], said["reference"]
    bounds = (evaluation.get("objective") or {}).get("optimum") or {}
    # What episodes that are cut off have may exceed what is true of ones without an end.
    most = bounds.get("bound") if more and exact else None
    head = ["policy", measure]
    head += [] if most is None else ["gap to bound"]
    head += [f"{reference} minus it", *([] if exact else ["95 % interval"]), f"{reference} is"]
    rows = [head]
    for policy in policies:
        one = policy[measure]
        cells = [policy["name"], number(one["mean"], places)]
        if most is not None:
            # Where a utility has its zero is anybody's choice, so there is no share of it.
            cells.append(number(most - one["mean"], places))
        apart = _apart(one["difference"], places, more=more)
        rows.append([*cells, *(apart[::2] if exact else apart)])
    if most is not None:
        rows.append(["bound", number(most, places), *[""] * (len(head) - 2)])
    what = measure if more else "violation of constraints, summed over agents,"
    where = f"{evaluation['domain']}: {what}, exact" if exact else _met(evaluation, what)
    name = f"{where}, at discount {said['discount']:g}, {'higher' if more else 'lower'} is better"
    return name.replace(",,", ","), rows, {0, *range(len(head) - (1 if exact else 2), len(head))}


def _apart(
    difference: Mapping[str, float | None] | None, places: int, *, more: bool = True
) -> list[str]:
    """How far the reference is from a policy, the interval of that, and what it says."""
    mean, low, high = (difference[n] if difference else None for n in ("mean", "low", "high"))
    gap = "" if mean is None else f"{mean:+.{places}f}"
    if low is None or high is None:
        return [gap, "", ""]
    said = verdict(low, high) if more else verdict(-high, -low)
    return [gap, f"[{low:+.{places}f}, {high:+.{places}f}]", said]


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
    return [*own, *_apart(policy["difference"], places)]


def _gap(gap: Mapping[str, float | None] | None, places: int) -> str:
    """`1.53 (4.0 %)`; the share is left out where the score is 0."""
    if gap is None or gap["mean"] is None:
        return "-"
    share = "" if gap["relative"] is None else f" ({gap['relative']:.1%})".replace("%", " %")
    return f"{gap['mean']:.{places}f}{share}"


def _aligned(row: Sequence[str], widths: Sequence[int], words: Collection[int]) -> str:
    cells = (
        cell.ljust(width) if i in words else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()
