"""Evaluation of a run, or of a domain's rules alone, as one documented object."""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from descant.core import discovery
from descant.core.domain import Domain
from descant.core.errors import UserError, nearest
from descant.core.types import Keys
from descant.evaluate.episodes import (
    Decided,
    Mode,
    Scores,
    scenario_keys,
    score,
    score_rules,
)
from descant.evaluate.networks import pictured, shown
from descant.evaluate.objectives import (
    UTILITY,
    VIOLATION,
    Occupied,
    bounded,
    discount_of,
    occupied,
    probed,
    reached,
    standing,
    violated,
)
from descant.evaluate.statistics import (
    Interval,
    interval,
    paired_difference,
    probability_of_improvement,
)
from descant.evaluate.utilities import DISCOUNT, against_rules, rules_alone
from descant.evaluate.verdicts import measures
from descant.train.folder import RunFolder
from descant.train.trained import Trained, load_trained

SEED = 2026
"""Of the held-out scenarios, unless somebody asks for others."""

WORKERS = 2
"""Scenarios whose bounds are computed at the same time; each is work for one core."""


def evaluate_run(
    run: Path,
    *,
    scenarios: int,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
    mode: Mode = "act",
    bound: bool = True,
    replace: bool = False,
    rules: Sequence[str] = (),
) -> dict[str, Any]:
    """The learned policy and the domain's rules, or those named, on the same held-out scenarios.

    With `bound`, and where the domain knows one, also what no policy can exceed on them. Without
    overrides the result is kept in the run folder, with an episode for the report.

    Raises:
        UserError: the run cannot be used, its networks do not fit the changed domain, or there is
            no such rule.
        PlaceError: the run folder cannot be read or written.
    """
    start = time.perf_counter()
    trained = load_trained(run, overrides)
    domain = with_rules(trained.domain, rules)
    keys = scenario_keys("held-out", SEED if seed is None else seed, scenarios)
    learned, scores = _score_learned(trained, keys, mode), _score_rules(domain, keys)
    bounds = _bounds(domain, keys) if bound else None
    found = _occupied(trained, keys, mode)
    evaluation = _evaluation(domain, scores, learned, bounds) | {
        "algorithm": trained.settings.algorithm_name,
        "run": str(run),
        "iteration": trained.iteration,
        "select": trained.settings.train.select,
        "selected": list(trained.selected),
        "seeds": trained.settings.seeds,
        "mode": mode,
        "scenario_seed": SEED if seed is None else seed,
        "overrides": dict(overrides or {}),
        "ranked_by": list(measures(trained.algorithm, trained.settings.algorithm)),
        "objective": reached(trained, found, bound=bound),
        "constraint": violated(found),
        "network": shown(trained, found, keys),
    }
    against_rules(evaluation, trained, domain, found, keys, mode)
    evaluation["seconds"] = time.perf_counter() - start
    name = None if overrides else _file(RunFolder(run), evaluation, replace, bool(rules))
    evaluation["kept"] = name
    if name == "evaluation.json":
        # Last of the two, so that where there is an evaluation there is an episode.
        RunFolder(run).write_json("episode.json", _episode(domain, scores, learned))
    if name is not None:
        RunFolder(run).write_json(name, evaluation)
    return evaluation


def validate_run(run: Path) -> dict[str, Any]:
    """The learned policies, as they are meant to be used, on the run's own validation scenarios;
    kept in the run folder. Choices between runs look at these, never at held-out ones.

    Raises:
        UserError: the run cannot be used, or has no validation scenarios.
        PlaceError: the run folder cannot be read or written.
    """
    start = time.perf_counter()
    trained = load_trained(run)
    settings = trained.settings
    count, seed = settings.train.validation, settings.seed
    if not count:
        raise UserError("train.validation: expected at least 1 to score on, got 0.")
    # Nobody asks for alignment or for curves here.
    plain = dataclasses.replace(trained.domain, model=None, figures=())
    plainly = dataclasses.replace(trained, domain=plain)
    keys = scenario_keys("validation", seed, count)
    rewards = np.asarray(_score_learned(plainly, keys, "act").reward, np.float64)
    validation = {
        "format": 1,
        "kind": "validation",
        "iteration": trained.iteration,
        "selected": list(trained.selected),
        "scenarios": count,
        "scenario_seed": seed,
        "mode": "act",
        "ranked_by": list(measures(trained.algorithm, settings.algorithm)),
        "values": rewards.tolist(),
        **_standings(plainly, keys),
        "seconds": time.perf_counter() - start,
    }
    RunFolder(run).write_json("validation.json", validation)
    return validation


def _standings(trained: Trained, keys: Keys) -> dict[str, Any]:
    """Utility and violation of each seed's policy, where the domain wants more than reward, and
    what tells whether other runs were after the same."""
    domain, discount = trained.domain, discount_of(trained.settings.algorithm)
    wanted = domain.objective, domain.constraint
    if discount is None or wanted == (None, None):
        return {}

    def one(learner):
        rule = Decided(trained.algorithm.policy(learner), "act")
        return standing(domain, rule, keys, discount, *wanted)

    found = jax.jit(lambda learners: jax.lax.map(one, learners))(trained.learners)
    said = zip((UTILITY, VIOLATION), found, strict=True)
    return {
        **{name: np.asarray(x, np.float64).tolist() for name, x in said if x is not None},
        "wanted": probed(domain),
    }


def _file(
    folder: RunFolder, evaluation: Mapping[str, Any], replace: bool, named: bool = False
) -> str:
    """Where to keep an evaluation: one of other scenarios, or without some of the rules, does not
    take the run's own place."""
    world = ("scenarios", "scenario_seed", "mode", "iteration")
    played = _played(evaluation)
    try:
        kept = folder.read_json("evaluation.json")
        other = [name for name in world if kept[name] != evaluation[name]]
        fewer = not set(_played(kept)) <= set(played)
    except (UserError, KeyError, TypeError):
        # Missing or damaged.
        other, fewer = [], False
    if replace or not (other or fewer) or "iteration" in other:
        return "evaluation.json"
    says = [str(evaluation[name]) for name in world[:3]] + (["+".join(played)] if named else [])
    return f"evaluation-{'-'.join(says)}.json"


def _played(evaluation: Mapping[str, Any]) -> list[str]:
    """Names of the rules in an evaluation."""
    return [policy["name"] for policy in evaluation["policies"] if policy["kind"] == "rule"]


def evaluate_domain(
    domain_name: str,
    domain_config: Any,
    *,
    scenarios: int,
    seed: int | None = None,
    bound: bool = True,
    rules: Sequence[str] = (),
    discount: float | None = None,
) -> dict[str, Any]:
    """The rules of a domain, or those named, on held-out scenarios, against the best of them and,
    with `bound`, what no policy can exceed, where the domain knows it. Utilities of occupancies are
    those at a discount, 0.9 if none is given.

    Raises:
        UserError: the configuration cannot be used, or there is no such rule.
    """
    start = time.perf_counter()
    discount = DISCOUNT if discount is None else discount
    made = discovery.load("domains", domain_name).make(domain_config)
    domain = with_rules(made, rules)
    keys = scenario_keys("held-out", SEED if seed is None else seed, scenarios)
    scores = _score_rules(domain, keys)
    evaluation = _evaluation(domain, scores, None, _bounds(domain, keys) if bound else None) | {
        "scenario_seed": SEED if seed is None else seed,
        "objective": bounded(domain, discount) if bound else None,
    }
    rules_alone(evaluation, domain, keys, discount)
    return evaluation | {"seconds": time.perf_counter() - start}


def with_rules(domain: Domain, names: Sequence[str], setting: str = "--rules") -> Domain:
    """The domain with these of its rules, in its own order; with all where none is named. `setting`
    is where the names were given.

    Raises:
        UserError: there is no such rule.
    """
    known = domain.rules
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        raise UserError(
            *(f"{setting}: {domain.name!r} has no rule {n!r}.{nearest(n, known)}" for n in unknown)
        )
    played = {name: rule for name, rule in known.items() if name in names or not names}
    return dataclasses.replace(domain, rules=played)


def _score_learned(trained: Trained, keys: Any, mode: Mode) -> Scores:
    """Scores of each seed's policy, [S, E]."""

    def scored(keys, learners):
        def one(learner):
            rule = Decided(trained.algorithm.policy(learner), mode)
            return score(trained.domain, rule, keys)

        return jax.lax.map(one, learners)

    return in_parts(scored, keys, trained.learners)


def _score_rules(domain: Domain, keys: Any) -> Scores:
    """Scores of each rule, [rules, E]."""
    return in_parts(lambda keys: score_rules(domain, keys), keys)


def in_parts(score: Callable[..., Scores], keys: Any, *given: Any) -> Scores:
    """`score(keys, *given)` with its scenarios dealt out to the cores of a CPU: an episode is a
    program of small loops, which keeps one core busy and no more."""
    count = keys.shape[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    most = (cores or 1) if jax.default_backend() == "cpu" else 1
    parts = next(n for n in range(min(most, count), 0, -1) if count % n == 0)
    each = keys.reshape(parts, -1)
    run = jax.jit(score).lower(each[0], *given).compile()
    with ThreadPoolExecutor(parts) as pool:
        scores = list(pool.map(lambda keys: jax.device_get(run(keys, *given)), each))
    # The series are those of the first scenario.
    joined = jax.tree.map(
        lambda *x: np.concatenate(x, axis=-1), *(part._replace(series={}) for part in scores)
    )
    return joined._replace(series=scores[0].series)


def _bounds(domain: Domain, keys: Any) -> dict[str, Any] | None:
    """What no policy can exceed on each scenario, from the state in which its episode begins."""
    bound = domain.bound
    if bound is None:
        return None
    start = time.perf_counter()
    # As `episodes.play` draws it.
    reset = jax.jit(lambda key: domain.env.reset(jax.random.split(key)[0])[0])

    def one(key: Any) -> float:
        return bound(jax.device_get(reset(key)))

    with ThreadPoolExecutor(WORKERS) as pool:
        values = list(pool.map(one, keys))
    seconds = time.perf_counter() - start
    return {"mean": float(np.mean(values)), "values": values, "seconds": seconds}


def _occupied(trained: Trained, keys: Keys, mode: Mode) -> list[Occupied] | None:
    """Where agents spend their time under each seed's policy, if anything is made of that."""
    domain = trained.domain
    if domain.objective is None and domain.constraint is None and not pictured(domain):
        return None
    policies = [trained.policy(seed) for seed in range(trained.settings.seeds)]
    return occupied(trained, policies, keys, mode=mode)


def _evaluation(
    domain: Domain, rules: Scores, learned: Scores | None, bounds: dict[str, Any] | None
) -> dict[str, Any]:
    names = list(domain.rules)
    rewards = dict(zip(names, np.asarray(rules.reward, np.float64), strict=True))
    outcomes = domain.env.spec.outcomes
    reference = max(rewards, key=lambda name: float(np.mean(rewards[name])))
    policies = [
        _policy(name, "rule", rewards[name], jax.tree.map(lambda x, i=i: x[i], rules), outcomes)
        for i, name in enumerate(names)
    ]
    if learned is not None:
        reference = "learned"
        per_seed = np.asarray(learned.reward, np.float64)
        rewards = {"learned": per_seed.mean(axis=0), **rewards}
        mine = _policy("learned", "learned", rewards["learned"], learned, outcomes)
        policies = [mine | {"seed_means": per_seed.mean(axis=1).tolist()}, *policies]
    for policy in policies:
        policy |= _compare(rewards, reference, policy["name"])
        policy["gap"] = None if bounds is None else _gap(bounds["mean"], policy["mean"])
    return {
        "format": 1,
        "kind": "evaluation",
        "domain": domain.name,
        "algorithm": None,
        "run": None,
        "iteration": None,
        "seeds": 0 if learned is None else 1,
        "mode": None,
        "scenarios": rules.reward.shape[1],
        "headline": domain.headline,
        "reference": reference,
        "bound": bounds,
        "policies": policies,
        "alignment": {"policies": {policy["name"]: policy.pop("alignment") for policy in policies}}
        if domain.model is not None
        else None,
    }


def _policy(
    name: str, kind: str, values: np.ndarray, scores: Scores, outcomes: Sequence[str]
) -> dict[str, Any]:
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {
        "name": name,
        "kind": kind,
        "mean": float(np.mean(values)),
        "std": spread,
        "standard_error": None if spread is None else spread / len(values) ** 0.5,
        "values": values.tolist(),
        "diagnostics": {k: float(np.mean(v)) for k, v in scores.diagnostics.items()},
        "outcomes": {k: _by_scenario(scores.diagnostics[k]) for k in outcomes},
        "alignment": {k: float(np.mean(v)) for k, v in scores.alignment.items()},
    }


def _by_scenario(values: ArrayLike) -> Interval:
    """The mean of [E], or of [S, E], with its interval over scenarios; seeds are averaged first."""
    return interval(np.atleast_2d(np.asarray(values, np.float64)).mean(axis=0))


def _compare(rewards: Mapping[str, np.ndarray], reference: str, name: str) -> dict[str, Any]:
    if name == reference:
        return {"difference": None, "probability_of_improvement": None}
    ours, theirs = rewards[reference], rewards[name]
    return {
        "difference": paired_difference(ours, theirs),
        "probability_of_improvement": probability_of_improvement(ours, theirs),
    }


def _gap(bound: float, mean: float) -> dict[str, float | None]:
    """What a policy could still gain at most, also as a share of its own score."""
    gap = bound - mean
    return {"mean": gap, "relative": gap / abs(mean) if mean else None}


def _episode(domain: Domain, rules: Scores, learned: Scores) -> dict[str, Any]:
    """One held-out episode of the first learner and of the rule that everybody compares with."""
    series = {"learned": {name: y[0] for name, y in learned.series.items()}}
    if domain.headline in domain.rules:
        index = list(domain.rules).index(domain.headline)
        series[domain.headline] = {name: y[index] for name, y in rules.series.items()}
    return {
        "names": list(domain.figures),
        "horizon": domain.env.spec.horizon,
        "series": {
            name: {figure: np.asarray(y, np.float64).round(6).tolist() for figure, y in by.items()}
            for name, by in series.items()
        },
    }
