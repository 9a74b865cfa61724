"""Which trial is best, and which others may be as good, by validation scenarios alone."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from functools import cmp_to_key
from typing import Any

import numpy as np

from descant.evaluate.statistics import interval, welch_difference
from descant.train.verdict import Verdict, ahead

REWARD, UTILITY, VIOLATION = "reward", "utility", "violation"

Row = dict[str, Any]
"""A trial as it stands in `sweep.json`."""


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Rows with `rank`, `mean`, `low`, `high`, `violation` and `behind`, the best first and those
    without `rewards`, `[S][E]` of seeds and scenarios, last.

    The mean is of what `measured` says; where constraints count, the trial that violates them less
    is ahead whatever its mean, as with `train.select best`. Seeds are what a setting is judged by:
    intervals are over seeds, each by its mean over scenarios. `behind` and `violates_more` are how
    far a trial stays behind the first in either, by Welch's interval; where neither leaves out 0
    the two are a tie. Equal trials share a rank.
    """
    by = measured(rows)
    found = [_summed(row, by) for row in rows]
    found.sort(key=cmp_to_key(_compared))
    for i, row in enumerate(found):
        first, before = found[0], found[i - 1]
        row |= {"behind": None, "violates_more": None}
        if row["mean"] is None:
            row["rank"] = None
            continue
        equal = i > 0 and not _compared(before, row)
        row["rank"] = before["rank"] if equal else i + 1
        if i:
            row["behind"] = welch_difference(first["seed_means"], row["seed_means"])
        if i and VIOLATION in by:
            both = row["seed_violations"], first["seed_violations"]
            row["violates_more"] = welch_difference(*both)
    return found


def measured(rows: Sequence[Row]) -> list[str]:
    """What trials are ranked by, what counts first in front: what any of them was after."""
    asked = {name for row in rows for name in row.get("ranked_by") or ()}
    value = UTILITY if UTILITY in asked else REWARD
    return [VIOLATION, value] if VIOLATION in asked else [value]


def ties(rows: Sequence[Row]) -> list[str]:
    """Names of trials that are not shown to be behind the best; `rows` are ranked."""
    return [row["trial"] for row in rows if row["rank"] == 1 or open_between(row)][1:]


def open_between(row: Row) -> bool:
    """Whether nothing shows that a trial is behind the best: neither that it violates more, nor,
    where that is open, that it has less."""
    more, behind = row.get("violates_more"), row["behind"]
    low = None if behind is None else behind["low"]
    worse = more is not None and (more["low"] or 0) > 0
    return not worse and low is not None and low <= 0


def same_world(rules: Sequence[Mapping[str, float] | None]) -> bool:
    """Whether all trials met the same scenarios: rules, which learn nothing, got the same score in
    all of them. Not known where there are no rules; that counts as no."""
    first, *others = rules
    return bool(first) and all(
        other is not None
        and other.keys() == first.keys()
        and all(_close(first[n], other[n]) for n in first)
        for other in others
    )


def same_wants(wants: Sequence[Mapping[str, Sequence[float]]]) -> bool:
    """Whether all trials wanted the same beyond reward: their objectives and constraints say the
    same of some occupancies."""
    return all(
        one.keys() == wants[0].keys()
        and all(
            len(one[name]) == len(wants[0][name]) and all(map(_close, one[name], wants[0][name]))
            for name in one
        )
        for one in wants
    )


def _close(a: float, b: float) -> bool:
    """Two programs may round differently."""
    return math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6)


def to_csv(rows: Sequence[Row]) -> str:
    """The ranked rows for programs, one line per trial, in full precision."""
    names = list(dict.fromkeys(name for row in rows for name in row["values"]))
    columns = ("violation", "mean", "low", "high", "seconds", "state", "message")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["rank", "trial", *names, *columns])
    for row in rows:
        values = [row["values"].get(name) for name in names]
        writer.writerow([row["rank"], row["trial"], *values, *(row[name] for name in columns)])
    return out.getvalue()


def _summed(row: Row, by: Sequence[str]) -> Row:
    rewards, utility, short = (row.get(name) for name in ("rewards", UTILITY, VIOLATION))
    dropped = ("rewards", UTILITY, VIOLATION)
    row = {name: value for name, value in row.items() if name not in dropped}
    # A trial whose domain wants something else has nothing of what the others are ranked by.
    found = utility if UTILITY in by else rewards
    if rewards is None or found is None:
        nothing = dict.fromkeys(("seed_means", "seed_violations", "mean", "low", "high"))
        return {**row, **nothing, VIOLATION: None}
    seeds = np.asarray(found, np.float64).reshape(len(rewards), -1).mean(axis=1)
    # Who has no constraints violates none.
    violations = None if VIOLATION not in by else short or [0.0] * len(rewards)
    return {
        **row,
        "seed_means": seeds.tolist(),
        "seed_violations": violations,
        **interval(seeds),
        VIOLATION: None if violations is None else float(np.mean(violations)),
    }


def _compared(one: Row, other: Row) -> int:
    """Below 0 where the first is ahead; who has no mean comes last."""
    if one["mean"] is None or other["mean"] is None:
        return (one["mean"] is None) - (other["mean"] is None)
    a, b = (Verdict(row["mean"], row[VIOLATION]) for row in (one, other))
    return int(ahead(b, a)) - int(ahead(a, b))
