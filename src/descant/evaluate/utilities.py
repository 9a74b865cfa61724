"""Policies beside one another by what the team wants of their occupancies, and by how much they
violate constraints: exactly where that is known of all of them, otherwise as the same episodes have
it of each."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from descant.core.domain import AbstractStateRule, Domain
from descant.core.types import Keys
from descant.evaluate.episodes import Mode
from descant.evaluate.objectives import (
    UTILITY,
    VIOLATION,
    Found,
    Occupied,
    discount_of,
    occupied,
    occupied_by_rules,
)
from descant.evaluate.statistics import interval, paired_difference
from descant.train.trained import Trained

DISCOUNT = 0.9
"""Of occupancies of rules alone, unless somebody asks for another."""


def against_rules(
    evaluation: dict[str, Any],
    trained: Trained,
    domain: Domain,
    found: Sequence[Occupied] | None,
    keys: Keys,
    mode: Mode,
) -> None:
    """Add to an evaluation what every policy has, given what is known of the learned ones; nothing
    where the domain wants nothing but reward."""
    discount = discount_of(trained.settings.algorithm)
    if not found or not found[0].found or discount is None:
        return
    exact = _exact(domain) and all(one.exact for one in found)
    if not exact and any(one.exact for one in found):
        policies = [trained.policy(seed) for seed in range(trained.settings.seeds)]
        found = occupied(trained, policies, keys, mode=mode, exact=False) or found
    rules = occupied_by_rules(domain, keys, discount, exact=exact) if domain.rules else []
    _judge(evaluation, discount, exact, [found, *([one] for one in rules)])


def rules_alone(evaluation: dict[str, Any], domain: Domain, keys: Keys, discount: float) -> None:
    """The same for the rules of a domain."""
    if not domain.rules or (domain.objective is None and domain.constraint is None):
        return
    exact = _exact(domain)
    found = occupied_by_rules(domain, keys, discount, exact=exact)
    _judge(evaluation, discount, exact, [[one] for one in found])


def _exact(domain: Domain) -> bool:
    rules = domain.rules.values()
    return domain.exact is not None and all(isinstance(one, AbstractStateRule) for one in rules)


def _judge(
    evaluation: dict[str, Any],
    discount: float,
    exact: bool,
    found: Sequence[Sequence[Occupied]],
) -> None:
    """Add `utility` and `violation` to all policies, and to the evaluation itself whom they are
    compared with; `found` has those of each policy, of one seed or several."""
    policies: list[dict[str, Any]] = evaluation["policies"]
    names = [policy["name"] for policy in policies]
    evaluation["measures"] = {}
    for measure, sign in ((UTILITY, 1), (VIOLATION, -1)):
        if measure not in found[0][0].found:
            continue
        each = [_averaged([one.found[measure] for one in seeds]) for seeds in found]
        best = int(np.argmax([sign * one.mean for one in each]))
        reference = 0 if policies[0]["kind"] == "learned" else best
        said = {"discount": discount, "exact": exact, "reference": names[reference]}
        evaluation["measures"][measure] = said
        for i, policy in enumerate(policies):
            gap = None if i == reference else _difference(each[reference], each[i], exact)
            policy[measure] = _told(each[i]) | {"difference": gap}
            if measure == UTILITY:
                groups = [one.groups for one in found[i]]
                means = {n: float(np.mean([g[n] for g in groups])) for n in groups[0]}
                policy[measure]["groups"] = means


def _averaged(seeds: Sequence[Found]) -> Found:
    """The mean over seeds, scenario by scenario."""
    values = [one.values for one in seeds if one.values is not None]
    mean = float(np.mean([one.mean for one in seeds]))
    return Found(mean, np.mean(values, axis=0) if len(values) == len(seeds) else None)


def _told(found: Found) -> dict[str, Any]:
    """A number with its interval over scenarios, if it has one."""
    if found.values is None:
        return {"mean": found.mean, "low": None, "high": None, "values": None}
    ends = interval(found.values)
    return {**ends, "mean": found.mean, "values": found.values.tolist()}


def _difference(one: Found, other: Found, exact: bool) -> dict[str, Any]:
    """Of what is exact there is nothing to be unsure of."""
    if one.values is not None and other.values is not None:
        return {**paired_difference(one.values, other.values)}
    gap = one.mean - other.mean
    if math.isclose(one.mean, other.mean, rel_tol=1e-9, abs_tol=1e-12):
        gap = 0.0  # What is left is rounding.
    return {"mean": gap, "low": gap if exact else None, "high": gap if exact else None}
