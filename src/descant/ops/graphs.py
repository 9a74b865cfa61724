"""Graphs by name: lines, rings, lattices, trees, small worlds, points in the plane."""

import math

import numpy as np
from scipy.spatial import KDTree

from descant.core.errors import UserError
from descant.core.graph import Graph


def line(agents: int) -> Graph:
    """Each next to the one before."""
    first = np.arange(agents - 1)
    return Graph(agents, np.stack([first, first + 1], axis=1))


def ring(agents: int) -> Graph:
    """A line whose ends meet.

    Raises:
        UserError: there are fewer than three agents.
    """
    if agents < 3:
        raise UserError(f"ring: expected at least 3 agents, got {agents}.")
    first = np.arange(agents)
    return Graph(agents, np.stack([first, (first + 1) % agents], axis=1))


def grid(rows: int, columns: int) -> Graph:
    """A rectangle of agents with up to four neighbours each."""
    return Graph(rows * columns, _steps(rows, columns, ((0, 1), (1, 0)), wrap=False))


def torus(rows: int, columns: int) -> Graph:
    """A rectangle whose opposite sides meet: four neighbours each.

    Raises:
        UserError: a side is shorter than three.
    """
    if min(rows, columns) < 3:
        raise UserError(f"torus: expected sides of at least 3, got {rows} x {columns}.")
    return Graph(rows * columns, _steps(rows, columns, ((0, 1), (1, 0)), wrap=True))


def king(rows: int, columns: int) -> Graph:
    """A rectangle of agents with up to eight neighbours each, as a king moves."""
    ways = ((0, 1), (1, 0), (1, 1), (1, -1))
    return Graph(rows * columns, _steps(rows, columns, ways, wrap=False))


def tree(agents: int, branching: int = 2) -> Graph:
    """Every agent has so many below it, level by level, as far as agents go."""
    if branching < 1:
        raise UserError(f"tree: expected at least 1 below each agent, got {branching}.")
    child = np.arange(1, agents)
    return Graph(agents, np.stack([(child - 1) // branching, child], axis=1))


def small_world(agents: int, degree: int = 4, rewire: float = 0.1, seed: int = 0) -> Graph:
    """A ring of agents with `degree` nearest neighbours, of whose edges a share is led elsewhere.

    Watts & Strogatz (1998): an edge keeps one end, and the other moves to any agent that is not yet
    a neighbour.

    Raises:
        UserError: the degree is odd, below 2 or not below the number of agents, or the share is
            outside 0 to 1.
    """
    if degree < 2 or degree % 2 or degree >= agents:
        raise UserError(
            f"small world: expected an even degree from 2 to below {agents} agents, got {degree}."
        )
    if not 0 <= rewire <= 1:
        raise UserError(f"small world: expected a share to rewire from 0 to 1, got {rewire}.")
    rng = np.random.default_rng(seed)
    near: list[set[int]] = [set() for _ in range(agents)]
    hop, start = np.meshgrid(np.arange(1, degree // 2 + 1), np.arange(agents), indexing="ij")
    edges = np.stack([start.ravel(), (start + hop).ravel() % agents], axis=1)
    for first, second in edges.tolist():
        near[first].add(second)
        near[second].add(first)
    moved = np.flatnonzero(rng.random(len(edges)) < rewire)
    for at in moved:
        first, second = edges[at].tolist()
        if len(near[first]) == agents - 1:
            continue
        while (other := int(rng.integers(agents))) == first or other in near[first]:
            pass
        near[first].remove(second)
        near[second].remove(first)
        near[first].add(other)
        near[other].add(first)
        edges[at, 1] = other
    return Graph(agents, edges)


def geometric(agents: int, degree: int = 6, seed: int = 0) -> Graph:
    """Points anywhere in the unit square, joined where they are close: about `degree` neighbours
    each, fewer near the sides; some may be isolated.

    Raises:
        UserError: the degree is not above 0.
    """
    if not degree > 0:
        raise UserError(f"geometric: expected a degree above 0, got {degree}.")
    points = np.random.default_rng(seed).random((agents, 2))
    radius = math.sqrt(degree / (math.pi * agents))
    return Graph(agents, KDTree(points).query_pairs(radius, output_type="ndarray"))


def sides(agents: int, least: int) -> tuple[int, int]:
    """Rows and columns of the rectangle of so many agents that is nearest to a square.

    Raises:
        UserError: its sides cannot both be at least so long; the nearest number of agents for which
            they can is named.
    """

    def shorter(count: int) -> int:
        return next(s for s in range(math.isqrt(count), 0, -1) if count % s == 0)

    if shorter(agents) < least:
        other = next(n for d in range(1, agents + 10) for n in (agents - d, agents + d)
                     if n >= least**2 and shorter(n) >= least)  # fmt: skip
        raise UserError(
            f"{agents} agents make no rectangle with sides of at least {least}; {other} would."
        )
    return shorter(agents), agents // shorter(agents)


def _steps(rows: int, columns: int, ways: tuple[tuple[int, int], ...], *, wrap: bool) -> np.ndarray:
    """Edges from every place of a rectangle to those some steps away."""
    if min(rows, columns) < 1:
        raise UserError(f"rectangle: expected sides of at least 1, got {rows} x {columns}.")
    row, column = np.divmod(np.arange(rows * columns), columns)
    edges = []
    for down, right in ways:
        below, beside = row + down, column + right
        inside = (below >= 0) & (below < rows) & (beside >= 0) & (beside < columns)
        end = (below % rows) * columns + beside % columns
        edge = np.stack([row * columns + column, end], axis=1)
        edges.append(edge if wrap else edge[inside])
    return np.concatenate(edges)
