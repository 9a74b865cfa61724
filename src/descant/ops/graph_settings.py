"""Settings of a graph, as all networked domains have them; light, so that help needs no arrays."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.graph import Graph


@dataclass(frozen=True)
class GraphSettings:
    """Agents on a graph."""

    agents: int = 0
    """Agents; 0 takes 100, or as many as the file has."""
    graph: Literal["ring", "line", "grid", "torus", "king", "tree", "small-world", "geometric"] = (
        "ring"
    )
    """Who is next to whom; grid, torus and king (eight neighbours) are as near to a square as the
    number of agents allows."""
    degree: int = 4
    """Neighbours in a small world, on average in `geometric`; in a tree, those below an agent."""
    rewire: float = 0.1
    """Share of a small world's edges that lead anywhere."""
    graph_seed: int = 0
    """Of what is random in the graph."""
    edges: str = ""
    """A file with the graph instead: an edge list, or GML if its name ends in `.gml`."""

    def __post_init__(self) -> None:
        """Make the file's path absolute: a run must find it from any folder."""
        if self.edges:
            object.__setattr__(self, "edges", str(Path(self.edges).absolute()))

    def check_graph(self) -> None:
        """Check ranges; whether the graph itself can be made shows when it is.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        if self.agents < 0:
            raise UserError(f"domain.agents: expected at least 0, got {self.agents}.")
        if self.degree < 1:
            raise UserError(f"domain.degree: expected at least 1, got {self.degree}.")
        if not 0 <= self.rewire <= 1:
            raise UserError(f"domain.rewire: expected 0 to 1, got {self.rewire}.")
        if self.graph_seed < 0:
            raise UserError(f"domain.graph_seed: expected at least 0, got {self.graph_seed}.")


def graph_of(settings: GraphSettings) -> Graph:
    """The graph.

    Raises:
        UserError: it cannot be made with so many agents, or the file cannot be read.
    """
    from descant.ops import graph_files, graphs

    if settings.edges:
        graph = graph_files.read(Path(settings.edges)).graph
        if settings.agents not in (0, graph.agents):
            raise UserError(
                f"domain.agents: {settings.edges} has {graph.agents} agents, got "
                f"{settings.agents}; leave the number out."
            )
        return graph
    agents, degree, seed = settings.agents or 100, settings.degree, settings.graph_seed
    makers = {
        "ring": lambda: graphs.ring(agents),
        "line": lambda: graphs.line(agents),
        "grid": lambda: graphs.grid(*graphs.sides(agents, 2)),
        "torus": lambda: graphs.torus(*graphs.sides(agents, 3)),
        "king": lambda: graphs.king(*graphs.sides(agents, 2)),
        "tree": lambda: graphs.tree(agents, degree),
        "small-world": lambda: graphs.small_world(agents, degree, settings.rewire, seed),
        "geometric": lambda: graphs.geometric(agents, degree, seed),
    }
    try:
        return makers[settings.graph]()
    except UserError as error:
        raise UserError(f"domain.graph: {error}") from error
