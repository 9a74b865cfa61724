"""The voters, what they want, their rules."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.domain import Domain
from descant.core.graph import Graph
from descant.core.network import AbstractNetwork, Reach, around
from descant.core.types import Scalar
from descant.core.utility import AbstractUtility
from descant.domains.voter import Config
from descant.ops import networked
from descant.ops.graph_settings import graph_of
from descant.ops.neighbourhood import near_sum
from descant.ops.rules import always, anything
from descant.ops.utility import Coverage, Entropy, Imitation, Linear, Margin, Mean, dealt, everybody


class Voter(AbstractNetwork):
    r"""Noisy voters, $\Pr(s_i' = 1) = \alpha \sum_j W_{ij} s_j + (1 - \alpha) (p_0 + (p_1 - p_0)
    a_i)$, with the weights $W$ of a row adding to one."""

    traits: Float[Array, "N K"]
    """Weight of each of those around; an agent without neighbours looks at itself."""
    near: Int[Array, "N K"]
    hops: Int[Array, "N K"]
    start: Float[Array, "N 2"]
    graph: Graph = eqx.field(static=True)
    alpha: float = eqx.field(static=True)
    low: float = eqx.field(static=True)
    """$p_0$."""
    high: float = eqx.field(static=True)
    """$p_1$."""
    cost: float = eqx.field(static=True)
    reach: Reach = eqx.field(static=True, default=Reach(states=1, actions=0))
    states: int = eqx.field(static=True, default=2)
    actions: int = eqx.field(static=True, default=2)

    def law(
        self, traits: Float[Array, " K"], state: Int[Array, " K"], action: Int[Array, " K"]
    ) -> Float[Array, " S"]:
        """Copied, or chance that leans to 1 where the agent pushes."""
        return self._mixed(jnp.sum(traits * state), action[0])

    def chances(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> Float[Array, "N S"]:
        """The same for all, neighbour by neighbour, which is many times faster."""
        copied = near_sum(state.astype(self.traits.dtype), self.near, self.traits)
        return self._mixed(copied, action)

    def _mixed(self, copied: Float[Array, "*n"], action: Int[Array, "*n"]) -> Float[Array, "*n 2"]:
        chance = self.low + (self.high - self.low) * action
        one = self.alpha * copied + (1 - self.alpha) * chance
        return jnp.stack([1 - one, one], axis=-1)

    def reward(
        self, state: Int[Array, " N"], action: Int[Array, " N"], after: Int[Array, " N"]
    ) -> Float[Array, " N"]:
        """Opinion 1, less the cost of pushing."""
        return state - self.cost * action

    def figures(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> dict[str, Scalar]:
        return {"ones": jnp.mean(state * 1.0), "pushing": jnp.mean(action * 1.0)}


def voters(
    graph: Graph,
    *,
    alpha: float,
    low: float = 0.1,
    high: float = 0.9,
    start: float = 0.5,
    cost: float = 0.0,
    weight: Float[np.ndarray, "N N"] | None = None,
) -> Voter:
    """Voters on a graph; all neighbours weigh the same unless a matrix of weights says otherwise.

    Raises:
        ValueError: a row of weights does not add to one, or gives weight to who is no neighbour.
    """
    near, hops = around(graph, Reach())
    traits = _even(graph) if weight is None else _listed(graph, np.asarray(weight))
    first = np.array([1 - start, start], np.float32)
    return Voter(
        traits=jnp.asarray(traits, jnp.float32),
        start=jnp.broadcast_to(first, (graph.agents, 2)),
        graph=graph,
        alpha=alpha,
        low=low,
        high=high,
        cost=cost,
        near=near,
        hops=hops,
    )


def _even(graph: Graph) -> Float[np.ndarray, "N K"]:
    hops = graph.balls(1).distance
    degree = graph.degree[:, None]
    itself = (hops == 0) & (degree == 0)
    return (hops == 1) / np.maximum(degree, 1) + itself


def _listed(graph: Graph, weight: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "N K"]:
    near = graph.balls(1).member
    wide = np.concatenate([weight, np.zeros((graph.agents, 1))], axis=1)
    traits = np.take_along_axis(wide, near, axis=1)
    if not np.allclose(traits.sum(axis=1), 1) or not np.allclose(weight.sum(axis=1), 1):
        raise ValueError("weight: expected rows that add to one over an agent and its neighbours.")
    return traits


def rewards(cost: float) -> Float[np.ndarray, "2 2"]:
    """The reward per state and action."""
    return np.array([[0.0, -cost], [1.0, 1.0 - cost]])


def objective(config: Config, agents: int) -> Mean:
    """What the team wants."""
    target = np.array([1 - config.target, config.target])
    wants: dict[str, AbstractUtility] = {
        "kl": Imitation(target=target, delta=config.delta),
        "entropy": Entropy(delta=config.delta),
        "linear": Linear(reward=rewards(config.cost)),
        "coverage": Coverage(target=target, delta=config.delta),
    }
    if config.utility == "thirds":
        return dealt(agents, {name: wants[name] for name in ("kl", "entropy", "linear")})
    return everybody(wants[config.utility], agents)


def constraint(config: Config, agents: int) -> Mean | None:
    """Least entropies, where there are any."""
    if not config.entropy:
        return None
    return everybody(Margin(utility=Entropy(delta=config.delta), least=config.entropy), agents)


def build(config: Config) -> Domain:
    """Network, world, objective, rules, and exact answers."""
    from descant.domains.voter.exact import Exact

    graph = graph_of(config)
    network = voters(
        graph,
        alpha=config.alpha,
        low=config.low,
        high=config.high,
        start=config.start,
        cost=config.cost,
    )
    return Domain(
        name="voter",
        env=networked.world(network, config.horizon),
        rules={
            "rest": always(0),
            "push": always(1),
            "random": anything(2),
            "correct": networked.where([True, False]),
        },
        headline="push",
        figures=("ones", "pushing"),
        network=network,
        objective=objective(config, graph.agents),
        constraint=constraint(config, graph.agents),
        exact=lambda discount: Exact(network, discount),
    )
