"""Where agents of a graph stand in a drawing of it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csgraph
from scipy.spatial.distance import cdist

from descant.core.graph import Graph

ROUNDS = 100
"""Steps of the general layout; what moves after them is hardly seen."""


class Layout(NamedTuple):
    """A drawing."""

    place: Float[np.ndarray, "N 2"]
    """Across and down, from 0, the longer side 1."""
    edges: Int[np.ndarray, "M 2"]
    """Edges to draw: not those that lead around a torus."""


def layout(graph: Graph) -> Layout:
    """Rows and columns for lattices numbered row by row, a line being a row; otherwise distances on
    paper are about those in hops, as in Kamada & Kawai (1989)."""
    sides = (rows for rows in range(1, graph.agents // 2 + 1) if graph.agents % rows == 0)
    lattices = (_lattice(graph, rows, graph.agents // rows) for rows in sides)
    place, edges = next((x for x in lattices if x), None) or (_spread(graph), graph.edges)
    return Layout(_framed(place), edges)


def _lattice(graph: Graph, rows: int, columns: int) -> Layout | None:
    """Rows and columns, where the graph is a grid, a grid with diagonals or a torus of that size;
    of a torus without the edges that lead around."""
    place = np.stack(np.divmod(np.arange(graph.agents), columns)[::-1], axis=1)
    across, down = np.abs(place[graph.edges[:, 0]] - place[graph.edges[:, 1]]).T
    straight, slanted = across + down == 1, (across == 1) & (down == 1)
    round_across = (across == columns - 1) & (down == 0) & (columns > 2)
    round_down = (down == rows - 1) & (across == 0) & (rows > 2)
    inside = rows * (columns - 1) + columns * (rows - 1)
    kinds = [int(x.sum()) for x in (straight, slanted, (round_across | round_down))]
    wanted = (
        [inside, 0, 0],
        [inside, 2 * (rows - 1) * (columns - 1), 0],
        [inside, 0, rows + columns],
    )
    if kinds not in wanted or sum(kinds) != len(graph.edges):
        return None
    return Layout(place.astype(float), graph.edges[straight | slanted])


def _spread(graph: Graph) -> Float[np.ndarray, "N 2"]:
    """Places whose distances differ little from those in hops, each counted by the inverse of its
    square, by majorisation; De Leeuw (1977). Parts that nothing joins stand side by side."""
    hops = csgraph.shortest_path(graph.adjacency.astype(float), unweighted=True)
    joined = np.isfinite(hops)
    hops[~joined] = hops[joined].max() + 2
    place = _scaled(hops) + 1e-3 * np.random.default_rng(0).normal(size=(graph.agents, 2))
    weight = 1 / (hops + np.eye(graph.agents)) ** 2 * (1 - np.eye(graph.agents))
    inverse = np.linalg.pinv(_laplacian(weight))
    for _ in range(ROUNDS):
        pull = weight * hops / np.maximum(cdist(place, place), 1e-9)
        place = inverse @ (_laplacian(pull) @ place)
    return place


def _scaled(hops: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "N 2"]:
    """Classical scaling: a start for it, the longest side across."""
    agents = len(hops)
    centre = np.eye(agents) - 1 / agents
    size, ways = np.linalg.eigh(-0.5 * centre @ hops**2 @ centre)
    kept = min(2, agents)
    found = ways[:, ::-1][:, :kept] * np.sqrt(np.maximum(size[::-1][:kept], 0))
    return np.pad(found, ((0, 0), (0, 2 - kept)))


def _laplacian(weight: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "N N"]:
    return np.diag(weight.sum(axis=1)) - weight


def _framed(place: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
    low = place.min(axis=0)
    size = float((place.max(axis=0) - low).max())
    return (place - low) / (size or 1.0)
