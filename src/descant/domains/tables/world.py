"""Tables drawn at random, and the world they make."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.domain import Domain
from descant.core.errors import UserError
from descant.core.graph import Graph
from descant.core.network import AbstractNetwork, Reach, around
from descant.core.types import Scalar
from descant.domains.tables import Config
from descant.ops import networked
from descant.ops.graph_settings import graph_of
from descant.ops.rules import anything
from descant.ops.utility import Linear, everybody

MOST = 2**27
"""Entries of all tables together (512 MiB)."""


class Traits(NamedTuple):
    """An agent's own tables."""

    own: Float[Array, "*n S A S"]
    """Law of the next state by own state and action."""
    around: Float[Array, "*n C A S"]
    """By the states of the agent and its neighbours, as digits of a number, and the action."""
    digit: Int[Array, "*n K"]
    """What each of these states counts in that number; 0 where there is nobody."""


class Tables(AbstractNetwork):
    r"""$P_i = (1 - \epsilon) P^{own}_i(\cdot | s_i, a_i) + \epsilon P^{around}_i(\cdot | s_{N_i},
    a_i)$."""

    traits: Traits
    table: Float[Array, "N S A"]
    """Reward by own state and action."""
    near: Int[Array, "N K"]
    hops: Int[Array, "N K"]
    start: Float[Array, "N S"]
    graph: Graph = eqx.field(static=True)
    coupling: float = eqx.field(static=True)
    reach: Reach = eqx.field(static=True)
    states: int = eqx.field(static=True)
    actions: int = eqx.field(static=True)

    def law(
        self, traits: Traits, state: Int[Array, " K"], action: Int[Array, " K"]
    ) -> Float[Array, " S"]:
        """A mixture of two rows."""
        row = jnp.sum(state * traits.digit)
        own, around = traits.own[state[0], action[0]], traits.around[row, action[0]]
        return (1 - self.coupling) * own + self.coupling * around

    def reward(
        self, state: Int[Array, " N"], action: Int[Array, " N"], after: Int[Array, " N"]
    ) -> Float[Array, " N"]:
        """By table."""
        return self.table[jnp.arange(state.shape[0]), state, action]

    def figures(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> dict[str, Scalar]:
        reward = self.reward(state, action, state)
        return {"reward": jnp.mean(reward), "lowest": jnp.min(reward)}


def tables(
    graph: Graph,
    *,
    coupling: float,
    states: int = 2,
    actions: int = 2,
    sharp: float = 1.0,
    seed: int = 0,
) -> Tables:
    """Tables whose logits are normal, rewards even between 0 and 1, first states anyhow.

    Raises:
        UserError: an agent has too many neighbours for a table.
    """
    near, hops = around(graph, Reach())
    agents, width = near.shape
    if agents * actions * float(states) ** (width + 1) > MOST:
        raise UserError(
            f"domain.graph: an agent has {width - 1} neighbours; {agents} tables over so many with "
            f"{states} states each do not fit."
        )
    rng = np.random.default_rng(seed)

    def laws(*shape: int) -> Array:
        size = np.exp(sharp * rng.normal(size=(*shape, states)))
        return jnp.asarray(size / size.sum(axis=-1, keepdims=True), jnp.float32)

    return Tables(
        traits=Traits(
            own=laws(agents, states, actions),
            around=laws(agents, states**width, actions),
            digit=jnp.where(near < agents, states ** jnp.arange(width)[None], 0),
        ),
        table=jnp.asarray(rng.random((agents, states, actions)), jnp.float32),
        start=laws(agents),
        graph=graph,
        coupling=coupling,
        reach=Reach(states=1 if coupling else 0, actions=0),
        states=states,
        actions=actions,
        near=near,
        hops=hops,
    )


def build(config: Config) -> Domain:
    """Network, world, objective and rules."""
    network = tables(
        graph_of(config),
        coupling=config.coupling,
        states=config.states,
        actions=config.actions,
        sharp=config.sharp,
        seed=config.tables_seed,
    )
    table = network.table

    def greedy(state, observation, key):
        """What pays most at once."""
        return jnp.argmax(table[jnp.arange(table.shape[0]), state.local], axis=-1)

    return Domain(
        name="tables",
        env=networked.world(network, config.horizon),
        rules={"random": anything(config.actions), "greedy": greedy},
        headline="greedy",
        figures=("reward", "lowest"),
        network=network,
        objective=everybody(Linear(reward=table), network.graph.agents, each=True),
    )
