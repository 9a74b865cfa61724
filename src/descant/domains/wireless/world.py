"""Users and access points, what agents want, their rules."""

from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Shaped

from descant.core.domain import Domain, Rule
from descant.core.graph import Graph
from descant.core.network import AbstractNetwork, Reach, around
from descant.core.types import Key, Observation, Scalar
from descant.domains.wireless import Config
from descant.ops import graphs, networked
from descant.ops.networked import State
from descant.ops.rules import always, anything
from descant.ops.utility import Determinism, Margin, Mean, everybody

CORNERS = ((-1, -1), (0, -1), (-1, 0), (0, 0))
"""Upper left, lower left, upper right, lower right of a cell: what is added to its row and column
for those of the point, numbered by the cell up and left of it."""
OWN = {
    "a": {"rows": 3, "columns": 4, "users": 2, "persistence": 0.2, "horizon": 10},
    "b": {"rows": 5, "columns": 5, "users": 1, "persistence": 0.9, "horizon": 12},
}
"""What 0 stands for."""


class Traits(NamedTuple):
    """What a user knows of points."""

    point: Int[Array, "*n K 5"]
    """The point that each of those around reaches by resting and from each corner, from 1; 0 where
    there is none."""
    luck: Float[Array, "*n 5"]
    """That of the points which the user itself reaches so."""


class Wireless(AbstractNetwork):
    r"""A state is a set of packets: bit $m$ says that one is left with $m + 1$ ticks to be sent in.
    Actions are to rest, or a corner to send the earliest packet to; with `picks`, a packet and a
    corner. What waits then loses a tick, and a new packet may come."""

    traits: Traits
    near: Int[Array, "N K"]
    hops: Int[Array, "N K"]
    start: Float[Array, "N S"]
    graph: Graph = eqx.field(static=True)
    states: int = eqx.field(static=True)
    actions: int = eqx.field(static=True)
    arrival: float = eqx.field(static=True)
    picks: bool = eqx.field(static=True)
    """Whether users choose the packet."""
    sharers: Int[Array, "P U"]
    """Who reaches each point from which corner, as corner times N plus user."""
    reach: Reach = eqx.field(static=True, default=Reach(states=0, actions=1, reward=1))

    def law(
        self, traits: Traits, state: Int[Array, " K"], action: Int[Array, " K"]
    ) -> Float[Array, " S"]:
        """What waits is sent or not, then time passes."""
        corner = self.corner(action)
        point = jnp.take_along_axis(traits.point, corner[:, None], axis=1)[:, 0]
        met = (point[0] > 0) & jnp.any(point[1:] == point[0])
        chance, packet = self._passes(traits.luck, state[0], action[0], met)
        return self._after(state[0], chance, packet)

    def chances(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> Float[Array, "N S"]:
        """The same for all, point by point: who shares one is counted once for everybody there."""
        return self._after(state, *self._passes(self.traits.luck, state, action, self._met(action)))

    def reward(
        self, state: Int[Array, " N"], action: Int[Array, " N"], after: Int[Array, " N"]
    ) -> Float[Array, " N"]:
        """The chance that a packet gets through: its mean is that of success, with less noise."""
        return self._passes(self.traits.luck, state, action, self._met(action))[0]

    def figures(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> dict[str, Scalar]:
        return {
            "delivered": jnp.mean(self.reward(state, action, state)),
            "sent": jnp.mean((action > 0) * 1.0),
            "collided": jnp.mean(self._met(action) * 1.0),
        }

    def corner(self, action: Int[Array, "*n"]) -> Int[Array, "*n"]:
        """Where to, from 1; 0 for rest."""
        return jnp.where(action > 0, 1 + (action.astype(jnp.int32) - 1) % len(CORNERS), 0)

    def _met(self, action: Int[Array, " N"]) -> Bool[Array, " N"]:
        """Whether somebody else sends to the point that a user sends to."""
        corner = self.corner(action)
        chosen = corner[None] == jnp.arange(1, 1 + len(CORNERS))[:, None]
        busy = jnp.sum(chosen.reshape(-1)[self.sharers], axis=1, dtype=jnp.int32)
        point = _picked(self.traits.point[:, 0], corner)
        return (point > 0) & (busy[point - 1] > 1)

    def _passes(
        self,
        luck: Float[Array, "*n 5"],
        state: Int[Array, "*n"],
        action: Int[Array, "*n"],
        met: Bool[Array, "*n"],
    ) -> tuple[Float[Array, "*n"], Int[Array, "*n"]]:
        """The chance that a packet gets through, and its bit."""
        waiting, own = state.astype(jnp.int32), action.astype(jnp.int32)
        earliest = waiting & -waiting
        packet = 1 << ((own - 1) // len(CORNERS)) if self.picks else earliest
        packet = jnp.where(own > 0, packet, 0)
        fits = ((waiting & packet) > 0) & ~met
        return jnp.where(fits, _picked(luck, self.corner(own)), 0.0), packet

    def _after(
        self, state: Int[Array, "*n"], chance: Float[Array, "*n"], packet: Int[Array, "*n"]
    ) -> Float[Array, "*n S"]:
        """The law of what waits next."""
        waiting, half = state.astype(jnp.int32), self.states // 2
        sent = jax.nn.one_hot((waiting & ~packet) >> 1, half)
        kept = jax.nn.one_hot(waiting >> 1, half)
        old = chance[..., None] * sent + (1 - chance)[..., None] * kept
        return jnp.concatenate([(1 - self.arrival) * old, self.arrival * old], axis=-1)


def _picked(table: Shaped[Array, "*n 5"], corner: Int[Array, "*n"]) -> Shaped[Array, "*n"]:
    """Entries by corner; masks, for looking up is slow where there are so few."""
    which = corner[..., None] == jnp.arange(table.shape[-1]).reshape((1,) * corner.ndim + (-1,))
    return jnp.sum(jnp.where(which, table, 0), axis=-1)


def wireless(config: Config) -> Wireless:
    """Users and points of a configuration whose sizes are given."""
    graph = users(config)
    reach = Reach(states=0, actions=1, reward=1)
    near, hops = around(graph, reach)
    point, states, picks = points(config), 2**config.deadline, config.variant == "a"
    wide = np.concatenate([point, np.zeros_like(point[:1])])
    return Wireless(
        traits=Traits(jnp.asarray(wide[near]), jnp.asarray(lucks(config)[point], jnp.float32)),
        near=near,
        hops=hops,
        start=jnp.full((graph.agents, states), 1 / states),
        graph=graph,
        states=states,
        actions=1 + len(CORNERS) * (config.deadline if picks else 1),
        arrival=config.arrival,
        picks=picks,
        sharers=jnp.asarray(_sharers(point)),
        reach=reach,
    )


def _sharers(point: Int[np.ndarray, "N 5"]) -> Int[np.ndarray, "P U"]:
    corner, user = np.nonzero(point[:, 1:].T)
    order = np.argsort(point[user, 1 + corner], kind="stable")
    # Every point has four cells around it, of as many users each.
    return (corner * len(point) + user)[order].reshape(int(point.max()), -1).astype(np.int32)


def users(config: Config) -> Graph:
    """Who shares a point with whom: those of a cell and of the eight around it."""
    count = config.users
    cells = graphs.king(config.rows, config.columns)
    alone = np.arange(cells.agents)
    pairs = np.concatenate([cells.edges, np.stack([alone, alone], axis=1)])
    one, other = np.divmod(np.arange(count * count), count)
    first = pairs[:, :1] * count + one
    second = pairs[:, 1:] * count + other
    edges = np.stack([first.ravel(), second.ravel()], axis=1)
    return Graph(cells.agents * count, edges[edges[:, 0] != edges[:, 1]])


def points(config: Config) -> Int[np.ndarray, "N 5"]:
    """The point that each user reaches by resting and from each corner, from 1; 0 where there is
    none, as beyond the border."""
    row, column = np.divmod(np.arange(config.rows * config.columns), config.columns)
    ways = np.array(CORNERS)
    down, right = row[:, None] + ways[:, 0], column[:, None] + ways[:, 1]
    inside = (down >= 0) & (down < config.rows - 1) & (right >= 0) & (right < config.columns - 1)
    point = np.where(inside, 1 + down * (config.columns - 1) + right, 0)
    return np.repeat(np.pad(point, ((0, 0), (1, 0))), config.users, axis=0).astype(np.int32)


def lucks(config: Config) -> Float[np.ndarray, " P"]:
    """The luck of each point, after a 0 for none."""
    count = (config.rows - 1) * (config.columns - 1)
    if config.variant == "b":
        luck = np.full(count, config.luck)
    else:
        luck = np.random.default_rng(config.luck_seed).random(count)
    return np.concatenate([[0.0], luck])


def sending(network: Wireless, state: Int[Array, " N"], corner: Int[Array, " N"]) -> Array:
    """The actions that send the earliest packets to given corners; rest where nothing waits."""
    waiting = state.astype(jnp.int32)
    slot = jax.lax.population_count((waiting & -waiting) - 1) if network.picks else 0
    return jnp.where((waiting > 0) & (corner > 0), corner + len(CORNERS) * slot, 0)


def aloha(network: Wireless, persistence: float) -> Rule:
    """Who has a packet sends the earliest with a certain chance, to points by their luck: each is
    shared by as many."""
    luck = network.traits.luck
    logits = jnp.where(luck > 0, jnp.log(jnp.maximum(luck, 1e-30)), -jnp.inf)
    able = jnp.any(luck > 0, axis=1)

    def rule(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
        where, whether = jax.random.split(key)
        corner = jax.random.categorical(where, jnp.where(able[:, None], logits, 0.0))
        sends = able & (jax.random.uniform(whether, corner.shape) < persistence)
        return sending(network, state.local, jnp.where(sends, corner, 0))

    return rule


def assigned(network: Wireless, config: Config) -> Rule:
    """Every point belongs to the first user of the cell up and left of it, who sends there what
    waits; all others rest."""
    cell, who = np.divmod(np.arange(network.graph.agents), config.users)
    row, column = np.divmod(cell, config.columns)
    owns = (who == 0) & (row < config.rows - 1) & (column < config.columns - 1)
    corner = jnp.asarray(np.where(owns, len(CORNERS), 0))

    def rule(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
        return sending(network, state.local, corner)

    return rule


def constraint(config: Config, network: Wireless) -> Mean | None:
    """Least determinism, where there is any."""
    if not config.determinism:
        return None
    weight = np.arange(network.actions) > 0
    kept = Margin(utility=Determinism(weight=1.0 * weight), least=config.determinism)
    return everybody(kept, network.graph.agents)


def sized(config: Config) -> Config:
    """With what the variant has for all that is left at 0."""
    sizes = OWN[config.variant].items()
    return replace(config, **{name: getattr(config, name) or size for name, size in sizes})


def build(config: Config) -> Domain:
    """Network, world, rules."""
    config = sized(config)
    network = wireless(config)
    return Domain(
        name="wireless",
        env=networked.world(network, config.horizon),
        rules={
            "silent": always(0),
            "random": anything(network.actions),
            "always-send": aloha(network, 1.0),
            "aloha": aloha(network, config.persistence),
            "assigned": assigned(network, config),
        },
        headline="assigned",
        figures=("delivered", "sent", "collided"),
        network=network,
        constraint=constraint(config, network),
    )
