"""Run folders read for what they hold. Any part may be missing or damaged: then a sentence says so.

Reading never fails on what a file contains. A file that cannot be used leaves its part empty and a
sentence in `Record.problems`, under the file's name; a file used in part leaves both.
"""

import json
import math
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descant.core.errors import UserError, nearest
from descant.evaluate.statistics import Interval
from descant.report.markup import short
from descant.report.numbers import plural

Array = NDArray[np.float64]

LARGEST = 1e100
"""Numbers beyond this are treated as missing: sums of their squares would overflow."""

NAME = 60
"""Characters kept of a name; a longer one ends in an ellipsis."""


@dataclass(frozen=True)
class Measure:
    """What a policy has of something that scenarios have together."""

    mean: float
    interval: Interval | None
    difference: Interval | None
    """Of the reference minus it."""
    groups: dict[str, float]


@dataclass(frozen=True)
class Policy:
    """One row of an evaluation; scores are higher-is-better."""

    name: str
    learned: bool
    mean: float
    standard_error: float | None
    values: tuple[float, ...]
    difference: Interval | None
    improvement: float | None
    gap: float | None
    """To what no policy can exceed."""
    diagnostics: dict[str, float]
    outcomes: dict[str, Interval]
    """Shares of scenarios that ended so."""
    utility: Measure | None = None
    violation: Measure | None = None
    """Of constraints, summed over agents; less is better."""


@dataclass(frozen=True)
class Objective:
    """What a team has of a function of its occupancies."""

    value: float
    discount: float | None
    exact: bool
    groups: dict[str, float]
    """Mean utility of each group of agents."""
    most: float | None
    """What no policy exceeds."""


@dataclass(frozen=True)
class Constraint:
    """By how much constraints are violated."""

    total: float
    worst: float
    share: float
    """Of the agents that violate theirs."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A graph on paper, with numbers of each agent by name."""

    place: Array
    """Across and down, [N, 2]."""
    edges: NDArray[np.int64]
    exact: bool
    quantity: str
    """What the network names, of which the agents have more or less."""
    before: dict[str, Array]
    after: dict[str, Array]


@dataclass(frozen=True, eq=False)
class Network:
    """Who is near whom."""

    agents: int
    edges: int
    radii: dict[str, int]
    """Hops up to which agents hear of others, by what for."""
    state_bytes: int
    """Bytes that tell a state."""
    samples: int
    """Ticks of all rollouts of an update."""
    within: tuple[tuple[float, float], ...]
    """How many others are within 0, 1, ... hops, in the mean and at most."""
    picture: Picture | None


@dataclass(frozen=True)
class Evaluation:
    """Scores on held-out scenarios, best first."""

    policies: tuple[Policy, ...]
    reference: str
    scenarios: int | None
    scenario_seed: int | None
    iteration: int | None
    domain: str
    algorithm: str
    model: str
    alignment: dict[str, dict[str, float]]
    bound: float | None
    """A mean score that no policy can exceed on these scenarios."""
    objective: Objective | None
    """Of the learned policy, where the team wants more than a mean reward."""
    constraint: Constraint | None
    network: Network | None
    ranked_by: tuple[str, ...] = ()
    """What the run was after, what counts first in front."""
    exact: frozenset[str] = frozenset()
    """Measures that are known exactly of all policies."""

    @property
    def learned(self) -> Policy | None:
        """The learned policy, where one was evaluated."""
        return next((p for p in self.policies if p.learned), None)

    @property
    def rules(self) -> tuple[Policy, ...]:
        """The rules, best first."""
        return tuple(p for p in self.policies if not p.learned)

    @property
    def by_utility(self) -> "Evaluation | None":
        """The same with utilities for scores, best first, where there are any: where constraints
        count for the run, who violates them less is better whatever it has."""
        found = [(p, p.utility) for p in self.policies if p.utility is not None]
        if not found:
            return None
        policies = [
            replace(p, mean=u.mean, difference=u.difference, standard_error=None, improvement=None)
            for p, u in found
        ]
        return replace(self, policies=tuple(sorted(policies, key=self._worst_last)), bound=None)

    def _worst_last(self, policy: Policy) -> tuple[float, float]:
        counts = "violation" in self.ranked_by and policy.violation is not None
        return policy.violation.mean if counts and policy.violation else 0.0, -policy.mean

    def find(self, name: str) -> Policy | None:
        """The policy of a name, however it is capitalised or hyphenated."""
        return next((p for p in self.policies if same(p.name, name)), None)


@dataclass(frozen=True, eq=False)
class Metrics:
    """Values by iteration `[T]` and seed `[T, S]`; NaN where nothing finite was recorded."""

    iteration: Array = field(default_factory=lambda: np.zeros(0))
    series: dict[str, Array] = field(default_factory=dict)

    def first(self, *names: str) -> tuple[str, Array] | None:
        """The first of some series that holds any value."""
        found = ((n, self.series[n]) for n in names if n in self.series)
        return next(((n, x) for n, x in found if np.isfinite(x).any()), None)


@dataclass(frozen=True, eq=False)
class Record:
    """A run folder."""

    path: Path
    name: str
    config: dict[str, str]
    facts: dict[str, Any]
    metrics: Metrics
    timing: Metrics
    evaluation: Evaluation | None
    episode: dict[str, dict[str, Array]]
    checkpoints: tuple[int, ...]
    quarantined: int
    problems: dict[str, str]


def read(path: Path) -> Record:
    """Everything a run folder holds.

    Raises:
        UserError: there is no such folder.
    """
    if not path.is_dir():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise UserError(
            f"{path}: there is no such run folder.{nearest(path.name, siblings)} "
            "A run folder is what `descant train --run` writes."
        )
    problems: dict[str, str] = {}
    checkpoints, quarantined = _checkpoints(path, problems)
    return Record(
        path=path,
        name=path.resolve().name or str(path),
        config=_config(path / "config.toml", problems),
        facts=_object(path / "run.json", problems),
        metrics=_metrics(path / "metrics.jsonl", problems),
        timing=_metrics(path / "timing.jsonl", problems),
        evaluation=_evaluation(path / "evaluation.json", problems),
        episode=_episode(path / "episode.json", problems),
        checkpoints=checkpoints,
        quarantined=quarantined,
        problems=problems,
    )


def same(a: str, b: str) -> bool:
    """Whether two names differ only in case, hyphens, underscores and spaces."""
    return re.sub(r"[-_ ]", "", a).casefold() == re.sub(r"[-_ ]", "", b).casefold()


def numeric(value: object) -> float | None:
    """A finite number that can be computed with, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= LARGEST else None


def whole(value: object) -> int | None:
    """A whole number, or None."""
    found = numeric(value)
    return int(found) if found is not None and found == math.floor(found) else None


def _text(path: Path, problems: dict[str, str]) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        problems[path.name] = f"There is no {path.name}."
    except OSError as error:
        problems[path.name] = f"{path.name} cannot be read ({error.strerror})."
    else:
        if text.strip():
            return text
        problems[path.name] = f"{path.name} is empty."
    return ""


def _object(path: Path, problems: dict[str, str]) -> dict[str, Any]:
    """A JSON object, or an empty one and a problem."""
    text = _text(path, problems)
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        problems[path.name] = f"{path.name} is damaged: {_reason(error)}."
        return {}
    if isinstance(found, dict):
        return found
    problems[path.name] = f"{path.name} is damaged: an object was expected."
    return {}


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON at line {error.lineno}, column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).rstrip(".")


def _config(path: Path, problems: dict[str, str]) -> dict[str, str]:
    """Configuration by dotted name, as the command line spells it."""
    text = _text(path, problems)
    if not text:
        return {}
    try:
        found = dict(_leaves(tomllib.loads(text)))
    except (ValueError, RecursionError) as error:
        problems[path.name] = f"{path.name} is damaged: {_reason(error)}."
        return {}
    return {name.removeprefix("settings."): value for name, value in found.items()}


def _leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, _plain(value)


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "(none)"
    return str(value)


def _metrics(path: Path, problems: dict[str, str]) -> Metrics:
    """Rows by iteration; a row written twice counts as it was written last."""
    lines = _text(path, problems).rstrip().split("\n")
    rows: dict[int, dict[str, Any]] = {}
    bad: list[int] = []
    for position, line in enumerate(lines, start=1):
        row = _row(line)
        if row is not None:
            rows[row["iteration"]] = row
        elif line.strip():
            bad.append(position)
    if bad == [len(lines)]:
        problems[path.name] = f"The last line of {path.name} is torn and was left out."
    elif bad:
        problems[path.name] = (
            f"{path.name}: {plural(len(bad), 'line')} of {len(lines)} could not be read and "
            f"{'was' if len(bad) == 1 else 'were'} left out, the first at line {bad[0]}."
        )
    order = sorted(rows)
    names = {name: None for i in order for name in rows[i] if name != "iteration"}
    series = {name: _matrix([rows[i].get(name) for i in order]) for name in names}
    return Metrics(np.array(order, dtype=np.float64), series)


def _row(line: str) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    usable = isinstance(row, dict) and whole(row.get("iteration")) is not None
    return row if usable else None


def _matrix(rows: list[object]) -> Array:
    """`[T, S]`, as wide as the widest row; NaN fills what is missing."""
    lists = [row if isinstance(row, list) else [row] for row in rows]
    width = max(map(len, lists), default=0)
    filled = [[numeric(v) for v in row] + [None] * (width - len(row)) for row in lists]
    return np.array(filled, dtype=np.float64).reshape(len(rows), width)


def _evaluation(path: Path, problems: dict[str, str]) -> Evaluation | None:
    found = _object(path, problems)
    listed = found.get("policies")
    rows = listed if isinstance(listed, list) else []
    policies = [policy for policy in map(_policy, rows) if policy is not None]
    if found and not policies:
        problems[path.name] = f"{path.name} lists no policy with a name and a finite mean."
    if not policies:
        return None
    said = []
    if len(policies) < len(rows):
        lost = f"{len(rows) - len(policies)} of {plural(len(rows), 'policy row')}"
        said.append(f"{lost} had no name or no finite mean and were left out")
    reference = _name(found.get("reference"))
    if any(p.learned and not same(p.name, reference) for p in policies):
        policies = [
            replace(p, difference=None, improvement=None, utility=None, violation=None)
            for p in policies
        ]
        said.append("its differences do not refer to the learned policy and were left out")
    alignment = found.get("alignment")
    alignment = alignment if isinstance(alignment, dict) else {}
    shares = _nested(alignment.get("policies"))
    usual = {p: v for p, v in shares.items() if all(0 <= share <= 1 for share in v.values())}
    if usual != shares:
        said.append("alignment outside 0 to 1 was left out")
    if said:
        problems[path.name] = f"{path.name}: {'; '.join(said)}."
    return Evaluation(
        policies=tuple(sorted(policies, key=lambda p: -p.mean)),
        reference=reference,
        scenarios=whole(found.get("scenarios")),
        scenario_seed=whole(found.get("scenario_seed")),
        iteration=whole(found.get("iteration")),
        domain=_name(found.get("domain")),
        algorithm=_name(found.get("algorithm")),
        model=_name(alignment.get("model")),
        alignment=usual,
        bound=_mean(found.get("bound")),
        objective=_objective(found.get("objective")),
        constraint=_constraint(found.get("constraint")),
        network=_network(found.get("network")),
        ranked_by=_names(found.get("ranked_by")),
        exact=_exact(found.get("measures")),
    )


def _objective(found: object) -> Objective | None:
    value = numeric(found.get("value")) if isinstance(found, dict) else None
    if not isinstance(found, dict) or value is None:
        return None
    optimum = found.get("optimum")
    return Objective(
        value=value,
        discount=numeric(found.get("discount")),
        exact=found.get("exact") is True,
        groups=_numbers(found.get("groups")),
        most=numeric(optimum.get("bound")) if isinstance(optimum, dict) else None,
    )


def _constraint(found: object) -> Constraint | None:
    given = _numbers(found)
    names = ("total", "worst", "share")
    return Constraint(*(given[n] for n in names)) if given.keys() >= set(names) else None


def _network(found: object) -> Network | None:
    if not isinstance(found, dict):
        return None
    agents, edges, samples = (whole(found.get(name)) for name in ("agents", "edges", "samples"))
    if agents is None or edges is None or samples is None:
        return None
    listed = found.get("within")
    rows = [_numbers(row) for row in listed] if isinstance(listed, list) else []
    whole_rows = all(row.keys() >= {"mean", "most"} for row in rows)
    return Network(
        agents=agents,
        edges=edges,
        radii={name: int(radius) for name, radius in _numbers(found.get("radii")).items()},
        state_bytes=whole(found.get("state_bytes")) or 1,
        samples=samples,
        within=tuple((row["mean"], row["most"]) for row in rows) if whole_rows else (),
        picture=_picture(found.get("picture"), agents),
    )


def _picture(found: object, agents: int) -> Picture | None:
    """A drawing that is whole: every agent has a place, and every edge joins two that exist."""
    if not isinstance(found, dict):
        return None
    place, edges = (_pairs(found.get(name)) for name in ("place", "edges"))
    if len(place) != agents or not np.isfinite(place).all() or not np.isfinite(edges).all():
        return None
    if edges.size and (edges.min() < 0 or edges.max() >= agents):
        return None
    before, after = (_per_agent(found.get(name), agents) for name in ("before", "after"))
    quantity = _name(found.get("quantity"))
    return Picture(
        place, edges.astype(np.int64), found.get("exact") is True, quantity, before, after
    )


def _pairs(rows: object) -> Array:
    """Rows of two numbers; NaN where one is no number."""
    found = _matrix(rows) if isinstance(rows, list) else np.zeros((0, 2))
    return found if found.shape[1] == 2 else found.reshape(-1)[:0].reshape(0, 2)


def _per_agent(found: object, agents: int) -> dict[str, Array]:
    pairs = found.items() if isinstance(found, dict) else ()
    series = {_name(k): _matrix(v)[:, 0] for k, v in pairs if isinstance(v, list) and v}
    return {k: v for k, v in series.items() if v.size == agents and np.isfinite(v).all()}


def _name(value: object) -> str:
    return short(value, NAME) if isinstance(value, str) else ""


def _policy(row: object) -> Policy | None:
    if not isinstance(row, dict) or not _name(row.get("name")):
        return None
    mean = numeric(row.get("mean"))
    if mean is None:
        return None
    values = row.get("values")
    values = [numeric(v) for v in values] if isinstance(values, list) else []
    finite = tuple(v for v in values if v is not None)
    return Policy(
        name=_name(row["name"]),
        learned=row.get("kind") == "learned",
        mean=mean,
        standard_error=numeric(row.get("standard_error")),
        values=finite if len(finite) == len(values) else (),
        difference=_interval(row.get("difference")),
        improvement=numeric(row.get("probability_of_improvement")),
        gap=_mean(row.get("gap")),
        diagnostics=_numbers(row.get("diagnostics")),
        outcomes=_intervals(row.get("outcomes")),
        utility=_measure(row.get("utility")),
        violation=_measure(row.get("violation")),
    )


def _names(found: object) -> tuple[str, ...]:
    return tuple(map(_name, found)) if isinstance(found, list) else ()


def _exact(found: object) -> frozenset[str]:
    pairs = found.items() if isinstance(found, dict) else ()
    return frozenset(n for n, m in pairs if isinstance(m, dict) and m.get("exact") is True)


def _measure(found: object) -> Measure | None:
    interval = _interval(found)
    if interval is None or not isinstance(found, dict):
        return None
    own = None if interval["low"] is None else interval
    groups = _numbers(found.get("groups"))
    return Measure(interval["mean"], own, _interval(found.get("difference")), groups)


def _mean(value: object) -> float | None:
    return numeric(value.get("mean")) if isinstance(value, dict) else None


def _interval(value: object) -> Interval | None:
    if not isinstance(value, dict):
        return None
    mean, low, high = (numeric(value.get(end)) for end in ("mean", "low", "high"))
    if mean is None:
        return None
    if low is None or high is None:
        low = high = None
    return {"mean": mean, "low": low, "high": high}


def _intervals(value: object) -> dict[str, Interval]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {_name(key): found for key, v in pairs if (found := _interval(v)) is not None}


def _numbers(value: object) -> dict[str, float]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {_name(key): found for key, v in pairs if (found := numeric(v)) is not None}


def _nested(value: object) -> dict[str, dict[str, float]]:
    pairs = value.items() if isinstance(value, dict) else ()
    return {_name(key): found for key, v in pairs if (found := _numbers(v))}


def _episode(path: Path, problems: dict[str, str]) -> dict[str, dict[str, Array]]:
    """Series by policy and name, each `[T]`."""
    found = _object(path, problems).get("series")
    pairs = found.items() if isinstance(found, dict) else ()
    series = {
        _name(policy): {
            _name(name): _matrix(values)[:, 0]
            for name, values in named.items()
            if isinstance(values, list) and values and not isinstance(values[0], list)
        }
        for policy, named in pairs
        if isinstance(named, dict)
    }
    if path.name not in problems and not any(series.values()):
        problems[path.name] = f"{path.name} holds no series."
    return series


def _checkpoints(path: Path, problems: dict[str, str]) -> tuple[tuple[int, ...], int]:
    folder = path / "checkpoints"
    try:
        names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    except OSError:
        names = []
    steps = sorted(int(name) for name in names if re.fullmatch(r"[0-9]{1,18}", name))
    if not steps:
        problems["checkpoints"] = "There is no checkpoint; the policy itself cannot be loaded."
    return tuple(steps), sum(name.startswith("quarantine") for name in names)
