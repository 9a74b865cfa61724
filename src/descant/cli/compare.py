"""Compare the learned policies of several runs on the scenarios they were evaluated on.

Differences are the first run minus the others, paired over the scenarios. With --fail-if-worse the
exit code is 1 when the policy of any run is worse than a rule, with its whole 95 % interval.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descant.cli import config, render
from descant.cli.arguments import Arguments, Tables
from descant.cli.output import Output
from descant.cli.runs import find_run, read_evaluation
from descant.core.errors import UserError, nearest

USAGE = "descant compare RUN RUN ... [OPTIONS]"
EXAMPLES = (
    "descant compare runs/cloud-dgpg-20-s0 runs/cloud-mappo-20-s0",
    "descant compare runs/cloud-dgpg-20-s0 --fail-if-worse best-fit",
)
WORDS = 100
ROOTS = ()


@dataclass(frozen=True)
class Options(Tables):
    """Options of `descant compare`."""

    fail_if_worse: str | None = None
    """Exit with 1 when a policy is worse than this rule."""


OPTIONS = Options()


def main(arguments: Arguments, output: Output) -> int:
    """Compare and, where asked, check against a rule."""
    arguments.check()
    runs = _runs(arguments)
    evaluations = {str(run): read_evaluation(run) for run in runs}
    _same_scenarios(runs, evaluations)
    rule = arguments.options.fail_if_worse
    worse = _worse(evaluations, rule) if rule else {}
    compared = _comparison(evaluations)
    record = {"kind": "comparison", **compared}
    if rule:
        record["check"] = {"rule": rule, "passed": not worse, "worse": worse}
    output.result(record, render.shown(compared, output.form))
    for run, difference in worse.items():
        output.say(
            f"{run} is worse than {rule}: learned minus {rule} is {difference['mean']:+.4g}, "
            f"95 % interval [{difference['low']:+.4g}, {difference['high']:+.4g}]."
        )
    output.next(shlex.join(["descant", "report", *evaluations, "--out", "report.html"]))
    return 1 if worse else 0


def _runs(arguments: Arguments) -> list[Path]:
    if not arguments.words:
        raise UserError("RUN: expected run folders, got nothing.")
    if len(arguments.words) == 1 and not arguments.options.fail_if_worse:
        raise UserError("RUN: expected at least two run folders, or --fail-if-worse RULE.")
    twice = [word for i, word in enumerate(arguments.words) if word in arguments.words[:i]]
    if twice:
        raise UserError(f"{twice[0]}: is given twice.")
    return [find_run(word) for word in arguments.words]


def _same_scenarios(runs: Sequence[Path], evaluations: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse runs that met different scenarios: their differences would not be paired."""
    first, *others = runs
    world = _world(first, evaluations[str(first)])
    problems = []
    for run in others:
        if _met_the_same(evaluations[str(first)], evaluations[str(run)]):
            continue
        other = _world(run, evaluations[str(run)])
        differing = [name for name in {**world, **other} if world.get(name) != other.get(name)]
        problems += [
            f"{name}: {first} has {world.get(name)!r}, {run} has {other.get(name)!r}."
            for name in differing
        ]
    if problems:
        raise UserError(
            *problems, "Only runs evaluated on the same scenarios compare; see descant evaluate."
        )


def _met_the_same(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether one rule, which knows nothing of what was learned, got the same score on every
    scenario: then settings that differ, as the model that guides, are none of the world's."""
    if any(a[name] != b[name] for name in ("domain", "scenarios", "scenario_seed")):
        return False
    scores = [
        next((p["values"] for p in one["policies"] if p["name"] == a.get("headline")), [])
        for one in (a, b)
    ]
    # Two programs may round differently.
    return bool(scores[0]) and all(
        math.isclose(x, y, rel_tol=1e-4, abs_tol=1e-6) for x, y in zip(*scores, strict=True)
    )


def _world(run: Path, evaluation: Mapping[str, Any]) -> dict[str, Any]:
    settings = config.flatten(config.from_toml(run / "config.toml"))
    world = {name: value for name, value in settings.items() if name.startswith("domain.")}
    names = ("domain", "scenarios", "scenario_seed", "mode")
    return {name: evaluation[name] for name in names} | world


def _comparison(evaluations: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    from descant.evaluate.statistics import paired_difference

    learned = {run: _policy(run, evaluation, "learned") for run, evaluation in evaluations.items()}
    first, *_ = learned
    policies = [
        {
            **policy,
            "name": run,
            "difference": None
            if run == first
            else paired_difference(learned[first]["values"], policy["values"], seed=0),
        }
        for run, policy in learned.items()
    ]
    shared = {name: evaluations[first][name] for name in ("domain", "scenarios", "scenario_seed")}
    # Same scenarios, same bound; one of the runs may have been evaluated without.
    bounds = (evaluation.get("bound") for evaluation in evaluations.values())
    shared["bound"] = next((bound for bound in bounds if bound), None)
    return {**shared, "reference": first, "policies": policies}


def _worse(evaluations: Mapping[str, Mapping[str, Any]], rule: str) -> dict[str, Any]:
    """Runs whose learned policy is worse than the rule, with the difference learned minus rule."""
    worse = {}
    for run, evaluation in evaluations.items():
        difference = _policy(run, evaluation, rule)["difference"]
        if difference["high"] is not None and difference["high"] < 0:
            worse[run] = difference
    return worse


def _policy(run: str, evaluation: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    policies = {policy["name"]: policy for policy in evaluation["policies"]}
    if name in policies:
        return policies[name]
    rules = [known for known in policies if known != "learned"]
    raise UserError(
        f"{run}: its evaluation has no policy {name!r}.{nearest(name, rules)} "
        f"Known: {', '.join(rules)}."
    )
