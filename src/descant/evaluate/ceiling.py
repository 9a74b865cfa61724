r"""What no policy of a small network can exceed, however much it sees and however its agents agree.

Over the joint occupancies of all policies together a concave objective has one optimum. Frank and
Wolfe's method brackets it: each round solves the joint decision process for the shadow reward at
hand, whose value less the present one bounds what is left to gain, and moves towards the solution;
Hazan et al. (2019). Product policies reach less in general, as they cannot agree on anything, and
localised ones less again: what these reach is found by climbing the exact objective.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize

from descant.core.errors import UserError
from descant.core.utility import AbstractObjective
from descant.evaluate.enumerated import Enumerated

SWEEPS = 1000
"""Improvements of a policy before something must be wrong; a handful are enough."""


LARGEST = 12.0
"""Logits that are climbed to: choices are then as good as certain."""


class Ceiling(NamedTuple):
    """Between these is the optimum."""

    reached: float
    """By some joint policy."""
    bound: float
    """By none."""


def ceiling(
    whole: Enumerated,
    objective: AbstractObjective,
    *,
    rounds: int = 2000,
    tolerance: float = 1e-4,
) -> Ceiling:
    """The bracket, after so many rounds or as soon as it is narrow enough.

    Raises:
        UserError: the objective is not concave.
    """
    if not objective.concave:
        raise UserError("objective: what no policy exceeds is only known for concave ones.")
    start = np.full((len(whole.states), len(whole.actions)), 1 / len(whole.actions))
    here, bound = whole.visited(start), np.inf
    reached = whole.valued(objective, here)
    for _ in range(rounds):
        reward = whole.everywhere(whole.shadowed(objective, here)).mean(axis=0)
        there = whole.visited(_best(whole, reward))
        reached = whole.valued(objective, here)
        bound = min(bound, reached + float(np.sum(reward * (there - here))))
        if bound - reached <= tolerance:
            break
        way = there - here
        here = here + _step(whole, objective, here, way) * way
    return Ceiling(reached, bound)


class Climbed(NamedTuple):
    """A policy that stands still, a local optimum in general."""

    value: float
    logits: Float[np.ndarray, "N C A"]


def climbed(
    whole: Enumerated,
    objective: AbstractObjective,
    logits: Float[np.ndarray, "N C A"],
    view: int = 0,
    *,
    rounds: int = 500,
) -> Climbed:
    """Where the exact gradient leads to, among tables of states up to `view` hops around an agent,
    from the logits of one: by L-BFGS-B within a box."""
    agents = len(logits)
    read = np.zeros(logits.shape, bool)
    read[np.arange(agents), whole.codes(view)] = True

    def table(x: np.ndarray) -> np.ndarray:
        full = np.zeros(logits.shape)
        full[read] = x
        return full

    # Times N, so that tolerances mean the same for any number of agents.
    def cost(x: np.ndarray) -> tuple[float, np.ndarray]:
        here = table(x)
        slope = whole.gradient(objective, here, view)[read]
        return -agents * whole.value(objective, here, view), -agents * slope

    found = optimize.minimize(
        cost,
        np.clip(logits[read], -LARGEST, LARGEST),
        jac=True,
        method="L-BFGS-B",
        bounds=optimize.Bounds(-LARGEST, LARGEST),
        options={"maxiter": rounds, "ftol": 1e-12, "gtol": 1e-7},
    )
    return Climbed(-float(found.fun) / agents, table(found.x))


def widened(
    whole: Enumerated, logits: Float[np.ndarray, "N C A"], view: int, wider: int
) -> Float[np.ndarray, "N W A"]:
    """The logits of the same policy as a table of more states."""
    agents = np.arange(len(logits))
    wide = whole.logits(wider)
    wide[agents, whole.codes(wider)] = logits[agents, whole.codes(view)]
    return wide


def _step(
    whole: Enumerated,
    objective: AbstractObjective,
    here: Float[np.ndarray, "X U"],
    way: Float[np.ndarray, "X U"],
) -> float:
    """How far along a way is best."""
    found = optimize.minimize_scalar(
        lambda step: -whole.valued(objective, here + step * way), bounds=(0, 1), method="bounded"
    )
    return float(found.x)


def _best(whole: Enumerated, reward: Float[np.ndarray, "X U"]) -> Float[np.ndarray, "X U"]:
    """The best joint policy for a reward, by policy iteration."""
    size, many = reward.shape
    chosen = np.argmax(reward, axis=1)
    for _ in range(SWEEPS):
        rows = np.arange(size)
        chain = whole.move[rows, chosen]
        matrix = np.eye(size) - whole.discount * chain
        value = np.linalg.solve(matrix, reward[rows, chosen])
        ahead = reward + whole.discount * whole.move @ value
        better = np.argmax(ahead, axis=1)
        # Of actions that are as good up to rounding, the old one stays, or this would go on.
        gain = ahead[rows, better] - ahead[rows, chosen]
        better = np.where(gain > 1e-12 * (1 + np.abs(value)), better, chosen)
        if np.array_equal(better, chosen):
            return np.eye(many)[chosen]
        chosen = better
    raise RuntimeError("policy iteration did not end.")
