"""Which trial is best, and which others may be as good, by validation scenarios alone."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from descant.evaluate.statistics import interval, welch_difference

Row = dict[str, Any]
"""A trial as it stands in `sweep.json`."""


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Rows with `rank`, `mean`, `low`, `high` and `behind`, the best first and those without
    `rewards`, `[S][E]` of seeds and scenarios, last.

    Seeds are what a setting is judged by: the interval of the mean is over seeds, each by its mean
    over scenarios. `behind` is how far a trial stays behind the first, by Welch's interval; where
    that holds 0 the two are a tie. Equal means share a rank.
    """
    found = [_summed(row) for row in rows]
    found.sort(key=lambda row: math.inf if row["mean"] is None else -row["mean"])
    for i, row in enumerate(found):
        first, before = found[0], found[i - 1]
        if row["mean"] is None:
            row |= {"rank": None, "behind": None}
            continue
        equal = i > 0 and before["mean"] == row["mean"]
        row["rank"] = before["rank"] if equal else i + 1
        row["behind"] = welch_difference(first["seed_means"], row["seed_means"]) if i else None
    return found


def ties(rows: Sequence[Row]) -> list[str]:
    """Names of trials that are not shown to be behind the best; `rows` are ranked."""
    return [row["trial"] for row in rows if row["rank"] == 1 or _open(row["behind"])][1:]


def same_world(rules: Sequence[Mapping[str, float] | None]) -> bool:
    """Whether all trials met the same scenarios: rules, which learn nothing, got the same score in
    all of them. Not known where there are no rules; that counts as no."""
    first, *others = rules
    return bool(first) and all(
        other is not None
        and other.keys() == first.keys()
        # Two programs may round differently.
        and all(math.isclose(first[n], other[n], rel_tol=1e-4, abs_tol=1e-6) for n in first)
        for other in others
    )


def to_csv(rows: Sequence[Row]) -> str:
    """The ranked rows for programs, one line per trial, in full precision."""
    names = list(dict.fromkeys(name for row in rows for name in row["values"]))
    columns = ("mean", "low", "high", "seconds", "state", "message")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["rank", "trial", *names, *columns])
    for row in rows:
        values = [row["values"].get(name) for name in names]
        writer.writerow([row["rank"], row["trial"], *values, *(row[name] for name in columns)])
    return out.getvalue()


def _summed(row: Row) -> Row:
    rewards = row["rewards"]
    row = {name: value for name, value in row.items() if name != "rewards"}
    if rewards is None:
        return {**row, "seed_means": None, "mean": None, "low": None, "high": None}
    seeds = np.mean(rewards, axis=1)
    return {**row, "seed_means": seeds.tolist(), **interval(seeds)}


def _open(behind: Mapping[str, float | None] | None) -> bool:
    low = None if behind is None else behind["low"]
    return low is not None and low <= 0
