"""Who goes where: the one-to-one assignment of least cost."""

from functools import cache
from itertools import combinations
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.ops.ordering import best


class Level(NamedTuple):
    """All sets of k targets, and what they are without one of theirs."""

    without: Int[np.ndarray, "S k"]
    """Among the sets of the level below."""
    target: Int[np.ndarray, "S k"]
    """The one left out."""


@cache
def levels(targets: int) -> tuple[Level, ...]:
    """Sets of 1, 2, ... targets, up to all."""
    found: list[Level] = []
    below: dict[tuple[int, ...], int] = {(): 0}
    for size in range(1, targets + 1):
        sets = list(combinations(range(targets), size))
        without = [[below[s[:i] + s[i + 1 :]] for i in range(size)] for s in sets]
        found.append(Level(np.array(without), np.array(sets)))
        below = {s: index for index, s in enumerate(sets)}
    return tuple(found)


def assign(cost: Float[Array, "N N"]) -> Int[Array, " N"]:
    r"""The target of each agent (rows of `cost`) such that the sum of costs is least.

    Exact, by dynamic programming over sets of targets: the first k agents take the set $S$ at
    $f(S) = \min_{j \in S} f(S \setminus j) + c_{kj}$; $N 2^{N-1}$ steps instead of $N!$.
    """
    least, last = jnp.zeros((1,)), []
    for agent, level in enumerate(levels(cost.shape[0])):
        total = least[level.without] + cost[agent][level.target]
        last.append(best(-total))
        least = jnp.min(total, axis=-1)
    taken, subset = [], jnp.int32(0)
    for level, choice in zip(reversed(levels(cost.shape[0])), reversed(last), strict=True):
        chosen = choice[subset]
        taken.append(jnp.asarray(level.target)[subset, chosen])
        subset = jnp.asarray(level.without)[subset, chosen]
    return jnp.stack(taken[::-1])
