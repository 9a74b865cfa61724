"""By what learners are judged: the reward, or what their algorithm climbs instead of it, where the
least violation of constraints comes first. One rule for the best learner of a run and for the best
trial of a sweep."""

from collections.abc import Callable
from typing import Any

from descant.core.algorithm import AbstractAlgorithm
from descant.core.domain import Domain
from descant.core.types import Keys, PyTree, Scalar
from descant.evaluate.episodes import Decided
from descant.evaluate.objectives import UTILITY, VIOLATION, discount_of, standing
from descant.train.verdict import Verdict

REWARD = "reward"


def measures(algorithm: AbstractAlgorithm, config: Any) -> tuple[str, ...]:
    """What learners of an algorithm with these settings are ranked by, what counts first in
    front."""
    objective, constraint = algorithm.aims
    if discount_of(config) is None:
        return (REWARD,)
    first = () if constraint is None else (VIOLATION,)
    return (*first, REWARD if objective is None else UTILITY)


def verdict(
    domain: Domain,
    algorithm: AbstractAlgorithm,
    config: Any,
    learner: PyTree,
    keys: Keys,
    reward: Callable[[], Scalar],
) -> Verdict:
    """What a learner is worth on some scenarios, as it is meant to be used; `reward` is its mean
    reward on them, which is asked for only where that counts."""
    discount, (objective, constraint) = discount_of(config), algorithm.aims
    value = violation = None
    if discount is not None and (objective or constraint):
        rule = Decided(algorithm.policy(learner), "act")
        value, violation = standing(domain, rule, keys, discount, objective, constraint)
    return Verdict(reward() if value is None else value, violation)
