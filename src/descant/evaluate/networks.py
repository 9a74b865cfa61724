"""What there is to show of a run on a network: how many others agents hear, and where they spend
their time, on a drawing of the graph."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from descant.core.domain import Domain
from descant.core.errors import UserError
from descant.core.graph import Graph
from descant.core.network import AbstractNetwork, AbstractSystem
from descant.core.types import Keys
from descant.core.utility import exact_local
from descant.evaluate.layout import layout
from descant.evaluate.objectives import Occupied, occupied
from descant.train.trained import Trained

MOST = 400
"""Agents that are drawn."""
RADII = 4
"""Hops up to which it is told how many others there are."""


def shown(trained: Trained, found: Sequence[Occupied] | None, keys: Keys) -> dict[str, Any] | None:
    """What the report says of the network, given where agents spend their time under each seed's
    policy; None where the domain is none."""
    domain = trained.domain
    if domain.network is None:
        return None
    graph, radii = domain.network.graph, trained.algorithm.radii
    counted = isinstance(domain.network, AbstractNetwork)
    return {
        "agents": graph.agents,
        "edges": len(graph.edges),
        "radii": dict(radii),
        "state_bytes": 1 if counted else 4 * domain.network.width,
        "samples": trained.settings.train.rollouts * domain.env.spec.horizon,
        "within": _within(graph, max([RADII, *radii.values()])),
        "picture": _picture(trained, found[0], keys) if found and pictured(domain) else None,
    }


def pictured(domain: Domain) -> bool:
    """Whether the domain is a network of few enough agents to draw."""
    network = domain.network
    return network is not None and network.graph.agents <= MOST


def _within(graph: Graph, most: int) -> list[dict[str, Any]]:
    """How many others are within each radius, as far as can be counted and as it grows."""
    try:
        others = graph.others(most)
    except UserError:
        return _within(graph, most - 1)
    mean, largest = others.mean(axis=0), others.max(axis=0)
    last = int(np.argmax(mean == mean[-1]))
    return [
        {"radius": radius, "mean": float(mean[radius]), "most": int(largest[radius])}
        for radius in range(last + 1)
    ]


def _picture(trained: Trained, after: Occupied, keys: Keys) -> dict[str, Any] | None:
    """Shares of time of each agent at the first seed's start and at its end."""
    network = trained.domain.network
    before = occupied(trained, [trained.untrained()], keys)
    if network is None or before is None:
        return None
    place, edges = layout(network.graph)
    return {
        "exact": after.exact,
        "quantity": network.quantity.name,
        "place": place.round(4).tolist(),
        "edges": edges.tolist(),
        "before": _shares(trained.domain, network, before[0].occupancy),
        "after": _shares(trained.domain, network, after.occupancy),
    }


def _shares(
    domain: Domain, network: AbstractSystem, occupancy: Float[np.ndarray, "N S A"]
) -> dict[str, list[float]]:
    """Of each agent: the network's quantity, actions other than 0, what it has of the objective."""
    shares = {
        "quantity": occupancy.sum(axis=2) @ network.quantity.levels,
        "actions": 1 - occupancy.sum(axis=1)[:, 0],
    }
    if domain.objective is not None:
        shares["utility"] = exact_local(domain.objective, occupancy)
    return {name: share.round(6).tolist() for name, share in shares.items()}
