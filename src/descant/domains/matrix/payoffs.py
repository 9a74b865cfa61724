"""What joint actions pay: the games people know by name, and random ones."""

import numpy as np
from jaxtyping import Float

from descant.domains.matrix import Config

CLIMB = ((11, -30, 0), (-30, 7, 6), (0, 0, 5))
"""Claus & Boutilier (1998): the way to 11 leads past two punishments."""
TABLE5A = ((2, -2, -2), (-2, 0, 0), (-2, 0, 1))
"""The MAIPG paper (2024), Table 5a: 2 is best, 1 is where agents end that start undecided."""
TABLE5B = ((2, -2, -2), (-2, 0.5, 0), (-2, 0, 1))
"""Its Table 5b, with one more equilibrium."""


def payoffs(config: Config) -> Float[np.ndarray, "*A"]:
    """The table of a game, with an axis for each agent."""
    k = config.penalty
    named = {
        "climb": CLIMB,
        "penalty": ((10, 0, k), (0, 2, 0), (k, 0, 10)),  # Claus & Boutilier (1998)
        "table5a": TABLE5A,
        "table5b": TABLE5B,
    }
    if config.game in named:
        return np.array(named[config.game], np.float32)
    rng = np.random.default_rng(config.draw)
    table = rng.random((config.actions,) * config.agents, np.float32)
    return table if config.game == "random" else _monotone(rng, table)


def _monotone(rng: np.random.Generator, table: Float[np.ndarray, "*A"]) -> Float[np.ndarray, "*A"]:
    """The same entries, in an order in which every agent has one ranking of its actions, whatever
    the others do; the rankings themselves are random.

    Sorting along an axis leaves those before it sorted.
    """
    for axis in range(table.ndim):
        table = np.sort(table, axis=axis)
    for axis in range(table.ndim):
        table = np.take(table, rng.permutation(table.shape[axis]), axis=axis)
    return table
