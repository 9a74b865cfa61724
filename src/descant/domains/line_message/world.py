"""The line, what agents want, their rules."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.core.domain import Domain
from descant.core.graph import Graph
from descant.core.network import AbstractNetwork, Reach, around
from descant.core.types import Scalar
from descant.core.utility import AbstractUtility
from descant.domains.line_message import Config
from descant.ops import networked
from descant.ops.graphs import line
from descant.ops.rules import always, anything
from descant.ops.utility import Entropy, Linear, Margin, Mean, Shortfall, Weighted, everybody


class LineMessage(AbstractNetwork):
    """The last agent sets its message by acting. One between raises its own by acting: surely if
    the next has it, with luck if not. The first copies the second."""

    traits: Bool[Array, "N 3"]
    """Whether the agent is the first, whether it is the last, and whether its second neighbour in
    the list, and not its first, is the next on the line."""
    near: Int[Array, "N K"]
    hops: Int[Array, "N K"]
    start: Float[Array, "N 2"]
    pay: Float[Array, " N"]
    graph: Graph = eqx.field(static=True)
    luck: float = eqx.field(static=True)
    reach: Reach = eqx.field(static=True, default=Reach(states=1, actions=0, acts=False))
    states: int = eqx.field(static=True, default=2)
    actions: int = eqx.field(static=True, default=2)

    def law(
        self, traits: Bool[Array, " 3"], state: Int[Array, " K"], action: Int[Array, " K"]
    ) -> Float[Array, " S"]:
        """Copied, set, or raised."""
        first, last, second = traits
        following = jnp.where(second, state[-1], state[1])
        raised = action[0] * jnp.where(following == 1, 1.0, self.luck)
        one = jnp.where(first, following, jnp.where(last, action[0], raised))
        return jnp.stack([1 - one, one])

    def reward(
        self, state: Int[Array, " N"], action: Int[Array, " N"], after: Int[Array, " N"]
    ) -> Float[Array, " N"]:
        """Pay for the message that the tick leaves."""
        return self.pay * after

    def figures(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> dict[str, Scalar]:
        return {"messages": jnp.mean(state * 1.0), "first": state[0] * 1.0}


def line_message(config: Config) -> LineMessage:
    """The network; all begin with the message."""
    graph = line(config.agents)
    near, hops = around(graph, Reach())
    who = jnp.arange(config.agents)
    between = (who > 0) & (who < config.agents - 1)
    return LineMessage(
        # Neighbours are listed in ascending order: of one between, the second is the next.
        traits=jnp.stack([who == 0, who == config.agents - 1, between], axis=-1),
        near=near,
        hops=hops,
        start=jnp.broadcast_to(jnp.array([0.0, 1.0]), (config.agents, 2)),
        pay=jnp.where(who == 0, 1.0, config.helper),
        graph=graph,
        luck=config.luck,
    )


def objective(config: Config, network: LineMessage) -> Mean:
    """Pay by state, and the charge for entropy that falls short."""
    agents = config.agents
    table = jnp.zeros((agents, 2, 2)).at[:, 1].set(network.pay[:, None])
    wants: AbstractUtility = Linear(reward=table)
    if config.entropy and config.weight:
        floor = Shortfall(utility=Entropy(), least=config.entropy, weight=config.weight)
        wants = Weighted(parts=(wants, floor), weights=(1.0, 1.0))
    return everybody(wants, agents, each=True)


def constraint(config: Config) -> Mean | None:
    """Least entropies, where there are any."""
    if not config.entropy:
        return None
    return everybody(Margin(utility=Entropy(), least=config.entropy), config.agents)


def build(config: Config) -> Domain:
    """Network, world, objective and rules."""
    network = line_message(config)
    return Domain(
        name="line-message",
        env=networked.world(network, config.horizon),
        rules={
            "always": always(1),
            "random": anything(2),
            "never": always(0),
        },
        headline="always",
        figures=("messages", "first"),
        network=network,
        objective=objective(config, network),
        constraint=constraint(config),
    )
