"""The infection, what agents want, their rules."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from descant.core.domain import Domain, Rule
from descant.core.graph import Graph
from descant.core.network import AbstractNetwork, Reach, around, listed
from descant.core.types import Key, Observation, Scalar
from descant.core.utility import AbstractUtility
from descant.domains.epidemic import Config
from descant.ops import networked
from descant.ops.graph_settings import graph_of
from descant.ops.neighbourhood import near_escape
from descant.ops.networked import State
from descant.ops.rules import always
from descant.ops.utility import Fair, Imitation, Linear, Mean, Penalty, Weighted, everybody


class Epidemic(AbstractNetwork):
    r"""Susceptible (0) and infected (1): who is susceptible is infected with chance $1 - (1 -
    \iota) \prod_{j \in N_i} (1 - \beta \tau^{a_i + a_j} s_j)$, who is infected recovers with chance
    $\rho + h a_i$."""

    traits: Bool[Array, "N K"]
    """Who of those around is a neighbour."""
    near: Int[Array, "N K"]
    hops: Int[Array, "N K"]
    start: Float[Array, "N 2"]
    graph: Graph = eqx.field(static=True)
    config: Config = eqx.field(static=True)
    reach: Reach = eqx.field(static=True, default=Reach(states=1, actions=1))
    states: int = eqx.field(static=True, default=2)
    actions: int = eqx.field(static=True, default=2)

    def law(
        self, traits: Bool[Array, " K"], state: Int[Array, " K"], action: Int[Array, " K"]
    ) -> Float[Array, " S"]:
        """Caught from outside or from a neighbour, unless each contact fails."""
        calm = self._calm(action)
        passed = self.config.contagion * calm[0] * calm * state
        escaped = jnp.prod(1 - jnp.where(traits, passed, 0.0))
        return self._mixed(state[0], action[0], escaped)

    def chances(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> Float[Array, "N S"]:
        """The same for all, neighbour by neighbour, which is many times faster."""
        calm = self._calm(action)
        own = self.config.contagion * calm
        escaped = near_escape(calm * state, self.near, self.traits * own[:, None])
        return self._mixed(state, action, escaped)

    def _calm(self, action: Int[Array, "*n"]) -> Float[Array, "*n"]:
        """What is left of contagion on one side of a contact."""
        return jnp.where(action > 0, self.config.shield, 1.0)

    def _mixed(
        self, state: Int[Array, "*n"], action: Int[Array, "*n"], escaped: Float[Array, "*n"]
    ) -> Float[Array, "*n 2"]:
        config = self.config
        caught = 1 - (1 - config.imported) * escaped
        kept = 1 - config.recovery - config.healing * action
        infected = jnp.where(state == 1, kept, caught)
        return jnp.stack([1 - infected, infected], axis=-1)

    def reward(
        self, state: Int[Array, " N"], action: Int[Array, " N"], after: Int[Array, " N"]
    ) -> Float[Array, " N"]:
        """Minus infection and the cost of protection."""
        return -(state + self.config.cost * action)

    def figures(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> dict[str, Scalar]:
        return {"infected": jnp.mean(state * 1.0), "protected": jnp.mean(action * 1.0)}


def epidemic(graph: Graph, config: Config) -> Epidemic:
    """The infection on a graph."""
    near, hops = around(graph, Reach(states=1, actions=1))
    first = jnp.array([1 - config.start, config.start])
    return Epidemic(
        traits=hops == 1,
        near=near,
        hops=hops,
        start=jnp.broadcast_to(first, (graph.agents, 2)),
        graph=graph,
        config=config,
    )


def objective(config: Config, agents: int) -> Mean:
    """What the team wants."""
    burden = np.array([[0.0, config.cost], [1.0, 1.0 + config.cost]])
    protected = np.array([[0.0, 1.0], [0.0, 1.0]])
    linear = Linear(reward=-burden)
    wants: dict[str, AbstractUtility] = {
        "linear": linear,
        "target": Imitation(target=np.array([1 - config.target, config.target])),
        "budget": Weighted(
            parts=(linear, Penalty(cost=protected, budget=config.budget, weight=10.0)),
            weights=(1.0, 1.0),
        ),
        "fair": Fair(reward=1.0 + config.cost - burden),
    }
    return everybody(wants[config.utility], agents)


def near_infection(network: Epidemic) -> Rule:
    """Those protect themselves who are infected or have a neighbour who is."""

    def rule(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
        return jnp.max(listed(state.local, network.near), axis=-1).astype(jnp.int32)

    return rule


def build(config: Config) -> Domain:
    """Network, world, objective and rules."""
    graph = graph_of(config)
    network = epidemic(graph, config)
    return Domain(
        name="epidemic",
        env=networked.world(network, config.horizon),
        rules={
            "open": always(0),
            "protect": always(1),
            "when-ill": networked.where([False, True]),
            "near-infection": near_infection(network),
        },
        headline="when-ill",
        figures=("infected", "protected"),
        network=network,
        objective=objective(config, graph.agents),
    )
