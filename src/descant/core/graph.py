"""Who is near whom: agents on a graph, and those around each by distance.

Distance is the number of hops. Agents that no path joins are at no distance: they are in nobody's
ball, however large its radius. A radius beyond the diameter gives everybody the agents they can
reach, which truncates nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Shaped
from scipy import sparse
from scipy.sparse import csgraph

from descant.core.errors import UserError

MOST = 2**29
"""Pairs of neighbours that lists may hold (2 GiB of indices)."""


class Pairs(NamedTuple):
    """Everybody's ball, one row per centre and member: the shape for graphs in which few agents
    have most of the neighbours. Sorted by centre, then distance, then member."""

    centre: Int[np.ndarray, " P"]
    member: Int[np.ndarray, " P"]
    distance: Int[np.ndarray, " P"]


class Balls(NamedTuple):
    """Everybody's ball side by side: the shape for graphs in which all have about as many
    neighbours. Each row begins with the agent itself, nearest first."""

    member: Int[np.ndarray, "N K"]
    """`N`, the number of agents, where there is none: an array over agents gets one more entry for
    it to read, for -1 would read the last agent."""
    distance: Int[np.ndarray, "N K"]
    """Hops to each; radius + 1 where there is none."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Agents and the edges between them; has no direction and does not change.

    Edges may be given in any order, any way round and more than once.

    Raises:
        UserError: there are no agents, or an edge names one that does not exist or joins an agent
            to itself.
    """

    agents: int
    edges: Int[np.ndarray, "M 2"]
    """Each once, the lower agent first, sorted; read-only."""

    def __post_init__(self) -> None:
        if self.agents < 1:
            raise UserError(f"graph: expected at least one agent, got {self.agents}.")
        # A fraction is no agent: it must not be cut down to one.
        edges = np.asarray(self.edges).astype(np.int64, casting="same_kind")
        edges = np.sort(edges.reshape(-1, 2), axis=1)
        outside = edges[((edges < 0) | (edges >= self.agents)).any(axis=1)]
        if len(outside):
            raise UserError(
                f"graph: edge {_shown(outside)} names an agent that does not exist; there are "
                f"{self.agents}, numbered from 0."
            )
        loops = edges[edges[:, 0] == edges[:, 1]]
        if len(loops):
            raise UserError(f"graph: edge {_shown(loops)} joins an agent to itself.")
        key = np.unique(edges[:, 0] * self.agents + edges[:, 1])
        edges = np.stack(np.divmod(key, self.agents), axis=1).astype(np.int32)
        edges.flags.writeable = False
        object.__setattr__(self, "edges", edges)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return self.agents == other.agents and np.array_equal(self.edges, other.edges)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.agents, self.edges.tobytes()))

    @cached_property
    def adjacency(self) -> sparse.csr_array:
        """Whether two agents are neighbours, both ways, [N, N]."""
        first, second = self.edges.T
        rows, columns = np.concatenate([first, second]), np.concatenate([second, first])
        shape = (self.agents, self.agents)
        return sparse.csr_array((np.ones(len(rows), bool), (rows, columns)), shape=shape)

    @cached_property
    def degree(self) -> Int[np.ndarray, " N"]:
        """Neighbours of each agent; 0 for one that is isolated."""
        return np.diff(self.adjacency.indptr)

    @cached_property
    def component(self) -> Int[np.ndarray, " N"]:
        """Which connected part each agent is in, numbered from 0."""
        return csgraph.connected_components(self.adjacency, directed=False)[1]

    def pairs(self, radius: int) -> Pairs:
        """Everybody's ball as one list.

        Raises:
            UserError: the radius is negative, or the list would be too long.
        """
        layers = [layer.tocoo() for layer in self._layers(radius)]
        centre = np.concatenate([layer.coords[0] for layer in layers])
        member = np.concatenate([layer.coords[1] for layer in layers])
        distance = np.repeat(np.arange(len(layers)), [layer.nnz for layer in layers])
        order = np.lexsort((member, distance, centre))
        return Pairs(*(x[order].astype(np.int32) for x in (centre, member, distance)))

    def balls(self, radius: int) -> Balls:
        """Everybody's ball side by side.

        Raises:
            UserError: the radius is negative, or the lists would be too long.
        """
        centre, member, distance = self.pairs(radius)
        size = np.bincount(centre, minlength=self.agents)
        widest = int(size.max())
        if self.agents * widest > MOST:
            raise UserError(
                f"graph: at radius {radius} one agent has {widest} others around it; lists that "
                f"wide for each of {self.agents} do not fit. Use `pairs`, or a smaller radius."
            )
        slot = np.arange(len(centre)) - np.repeat(np.cumsum(size) - size, size)
        nearby = np.full((self.agents, widest), self.agents, np.int32)
        hops = np.full((self.agents, widest), radius + 1, np.int32)
        nearby[centre, slot], hops[centre, slot] = member, distance
        return Balls(nearby, hops)

    def rings(self, radius: int) -> tuple[Int[np.ndarray, "N _"], ...]:
        """Lists of those at distance 0, 1, ... up to the radius, padded as in `Balls`.

        Raises:
            UserError: the radius is negative, or the lists would be too long.
        """
        member, distance = self.balls(radius)
        return tuple(_packed(member, distance == d, self.agents) for d in range(radius + 1))

    def others(self, radius: int) -> Int[np.ndarray, "N R"]:
        """How many others are up to 0, 1, ... hops from each agent, a column for each radius.

        Raises:
            UserError: the radius is negative, or there would be too many to look at.
        """
        found = np.zeros((self.agents, radius + 1), np.int64)
        for hops, layer in enumerate(self._layers(radius)):
            found[:, hops] = np.diff(layer.indptr)
        return np.cumsum(found, axis=1) - 1

    def _layers(self, radius: int) -> Iterator[sparse.csr_array]:
        """Who is at distance 0, 1, ...; ends with the radius or when nobody is left."""
        if radius < 0:
            raise UserError(f"radius: expected at least 0, got {radius}.")
        nobody = sparse.csr_array((self.agents, self.agents), dtype=bool)
        last, layer = nobody, sparse.csr_array(sparse.eye_array(self.agents, dtype=bool))
        found = 0
        for hops in range(radius + 1):
            yield layer
            found += layer.nnz
            ahead = found + int(self.degree[layer.indices].sum())
            if hops < radius and ahead > MOST:
                raise UserError(
                    f"radius: {radius} hops on this graph give up to {ahead:.1e} pairs of agents "
                    f"already at distance {hops + 1}; lists hold {MOST:.1e}. Use a smaller radius."
                )
            # What is a hop from a layer is in the one before, in itself, or in the next.
            following = sparse.csr_array(layer @ self.adjacency) if hops < radius else nobody
            last, layer = layer, _without(_without(following, last), layer)
            if not layer.nnz:
                return


def _without(some: sparse.csr_array, others: sparse.csr_array) -> sparse.csr_array:
    kept = sparse.csr_array(some.astype(np.int8) - some.multiply(others).astype(np.int8))
    kept.eliminate_zeros()
    return sparse.csr_array(kept, dtype=bool)


def _packed(
    member: Int[np.ndarray, "N K"], kept: Shaped[np.ndarray, "N K"], nobody: int
) -> Int[np.ndarray, "N _"]:
    """The kept entries of each row, moved to its front."""
    width = int(kept.sum(axis=1).max())
    order = np.argsort(~kept, axis=1, kind="stable")[:, :width]
    chosen = np.take_along_axis(member, order, axis=1)
    return np.where(np.take_along_axis(kept, order, axis=1), chosen, np.int32(nobody))


def _shown(edges: np.ndarray) -> str:
    first, second = edges[0]
    return f"({first}, {second})"
