"""Streets and junctions, what they want, their rules."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.domain import Domain, Rule
from descant.core.graph import Graph
from descant.core.network import AbstractSystem, Quantity, Reach, around
from descant.core.types import Key, Observation, Scalar
from descant.core.utility import AbstractUtility
from descant.domains.traffic import Config
from descant.ops import graphs, networked
from descant.ops.networked import State
from descant.ops.occupancy import hats
from descant.ops.rules import always, anything
from descant.ops.utility import Barrier, Fair, Linear, Mean, Weighted, everybody

HEADINGS = ((1, 0), (0, -1), (-1, 0), (0, 1))
"""South, west, north, east: what a vehicle adds to the row and column of the junction it leaves.
Approaches of a junction are numbered by the heading of who waits there; a turn is the heading
before or after."""
AXIS = np.arange(len(HEADINGS)) % 2
"""Which phase serves an approach: 0 those from north and south, 1 those from east and west."""


class Traffic(AbstractSystem):
    r"""Store and forward: queues $x' = \min(C, x - y + \sum \text{turns} \cdot y^\text{upstream} +
    \text{arrivals})$, of which $y = \min(x, \sigma)$ leave where the phase serves them, less what
    is lost as it changes. Vehicles divide as streams do, by shares; only arrivals are random.

    A state is the four queues in vehicles, the phase, and vehicles turned away in the last tick.
    """

    near: Int[Array, "N K"]
    hops: Int[Array, "N K"]
    upstream: Int[Array, "N 4"]
    """Who sends vehicles to each approach; N where they come from outside."""
    downstream: Int[Array, "N 4"]
    """Where each heading leads; N where that is out of the grid."""
    rate: Float[Array, "N 4"]
    """Chance of a vehicle from outside."""
    graph: Graph = eqx.field(static=True)
    config: Config = eqx.field(static=True)
    states: int = eqx.field(static=True)
    actions: int = eqx.field(static=True, default=2)
    reach: Reach = eqx.field(static=True, default=Reach(states=1, actions=1, acts=False))

    @property
    def width(self) -> int:
        return len(HEADINGS) + 2

    @property
    def ordered(self) -> bool:
        return True

    def first(self, key: Key) -> Float[Array, "N F"]:
        """Up to a quarter of each queue, any phase."""
        queue_key, phase_key = jax.random.split(key)
        agents, most = self.graph.agents, 0.25 * self.config.capacity
        queues = jax.random.uniform(queue_key, (agents, len(HEADINGS)), maxval=most)
        phase = jax.random.randint(phase_key, (agents,), 0, self.actions)
        return _state(queues, phase, jnp.zeros(agents))

    def move(
        self, key: Key, state: Float[Array, "N F"], action: Int[Array, " N"]
    ) -> Float[Array, "N F"]:
        queues, flow = _queues(state), self.flow(state, action)
        came = jax.random.uniform(key, self.rate.shape) < self.rate
        sent = jnp.concatenate([self.turned(flow), jnp.zeros((1, len(HEADINGS)))])
        inflow = jnp.take_along_axis(sent, self.upstream, axis=0) + came
        wanted = queues - flow + inflow
        after = jnp.minimum(wanted, self.config.capacity)
        return _state(after, action, jnp.sum(wanted - after, axis=-1))

    def flow(self, state: Float[Array, "N F"], action: Int[Array, " N"]) -> Float[Array, "N 4"]:
        """Vehicles that leave each approach."""
        changed = action != state[:, len(HEADINGS)]
        green = 1 - self.config.lost * changed
        served = AXIS[None] == action[:, None]
        most = self.config.saturation * green[:, None] * served
        return jnp.minimum(_queues(state), most)

    def turned(self, flow: Float[Array, "N 4"]) -> Float[Array, "N 4"]:
        """Vehicles that leave a junction, by approach, as those that leave it, by heading."""
        aside = jnp.roll(flow, 1, axis=-1) + jnp.roll(flow, -1, axis=-1)
        return (1 - self.config.turning) * flow + 0.5 * self.config.turning * aside

    def seen(self, state: Float[Array, "N F"]) -> Float[Array, "N F"]:
        """Queues as shares of their room."""
        return state / self._units

    def read(self, seen: Float[Array, "N F"]) -> Float[Array, "N F"]:
        return seen * self._units

    @property
    def _units(self) -> Float[Array, "1 F"]:
        return jnp.array([[self.config.capacity] * len(HEADINGS) + [1.0, 1.0]])

    def cells(self, seen: Float[Array, "*b F"]) -> Float[Array, "*b S"]:
        """How full a junction is."""
        return hats(jnp.mean(seen[..., : len(HEADINGS)], axis=-1), self.states)

    @property
    def quantity(self) -> Quantity:
        return Quantity("How full a junction is", np.linspace(0, 1, self.states))

    def reward(
        self, state: Float[Array, "N F"], action: Int[Array, " N"], after: Float[Array, "N F"]
    ) -> Float[Array, " N"]:
        """Minus vehicles that wait, and the charge for those turned away."""
        return -(jnp.sum(_queues(after), axis=-1) + self.config.loss * after[:, -1])

    def figures(self, state: Float[Array, "N F"], action: Int[Array, " N"]) -> dict[str, Scalar]:
        return {
            "waiting": jnp.mean(jnp.sum(_queues(state), axis=-1)),
            "turned_away": jnp.mean(state[:, -1]),
            "changes": jnp.mean((action != state[:, len(HEADINGS)]) * 1.0),
        }


def _queues(state: Float[Array, "N F"]) -> Float[Array, "N 4"]:
    return state[:, : len(HEADINGS)]


def _state(
    queues: Float[Array, "N 4"], phase: Int[Array, " N"], away: Float[Array, " N"]
) -> Float[Array, "N F"]:
    return jnp.concatenate([queues, phase.astype(jnp.float32)[:, None], away[:, None]], axis=-1)


def traffic(config: Config) -> Traffic:
    """The grid."""
    graph = graphs.grid(config.rows, config.columns)
    near, hops = around(graph, Reach(states=1, actions=1))
    ahead = downstream(config.rows, config.columns)
    behind = np.roll(ahead, 2, axis=1)
    spread = np.random.default_rng(config.demand_seed).uniform(-1, 1, behind.shape)
    rate = np.clip(config.demand * (1 + config.uneven * spread), 0, 1)
    return Traffic(
        near=near,
        hops=hops,
        upstream=jnp.asarray(behind),
        downstream=jnp.asarray(ahead),
        rate=jnp.asarray(np.where(behind == graph.agents, rate, 0.0), jnp.float32),
        graph=graph,
        config=config,
        states=config.cells,
    )


def downstream(rows: int, columns: int) -> Int[np.ndarray, "N 4"]:
    """The junction that each heading leads to; N where that is out of the grid."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    down, right = np.array(HEADINGS).T
    below, beside = row[:, None] + down, column[:, None] + right
    inside = (below >= 0) & (below < rows) & (beside >= 0) & (beside < columns)
    return np.where(inside, below * columns + beside, rows * columns).astype(np.int32)


def objective(config: Config, agents: int) -> Mean | None:
    """What the team wants beyond the reward, of how full junctions are."""
    if config.utility == "reward":
        return None
    room = np.linspace(1, 0, config.cells)[:, None].repeat(2, axis=1)
    wants: AbstractUtility = Fair(reward=room)
    if config.utility == "spill":
        spilt = 1.0 * (room <= 1 - config.full)
        barrier = Barrier(cost=spilt, budget=config.budget)
        wants = Weighted(parts=(Linear(reward=room), barrier), weights=(1.0, 1.0))
    return everybody(wants, agents)


def fixed_time(cycle: int) -> Rule:
    """Either phase in turn, for so many ticks, everywhere at once."""

    def rule(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
        phase = (state.time // cycle) % 2
        return jnp.broadcast_to(phase, observation.active.shape).astype(jnp.int32)

    return rule


def heaviest(weigh: Callable[[Array], Array], margin: float) -> Rule:
    """The phase whose approaches weigh most; but the present one is kept until the other weighs
    more by a margin, as each change costs green."""

    def rule(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
        weight = weigh(_queues(state.local))
        gain = jnp.sum(jnp.where(AXIS[None] == 1, weight, -weight), axis=-1)
        phase = state.local[:, len(HEADINGS)].astype(jnp.int32)
        other = jnp.where(phase == 0, gain, -gain) > margin
        return jnp.where(other, 1 - phase, phase)

    return rule


def pressure(network: Traffic) -> Callable[[Float[Array, "N 4"]], Float[Array, "N 4"]]:
    """Queues less those that vehicles would join; Varaiya (2013). Who leaves the grid joins
    none."""

    def weigh(queues: Float[Array, "N 4"]) -> Float[Array, "N 4"]:
        wide = jnp.concatenate([queues, jnp.zeros((1, len(HEADINGS)))])
        joined = jnp.take_along_axis(wide, network.downstream, axis=0)
        # Shares of turns are the same from approach to heading as back.
        return queues - network.turned(joined)

    return weigh


def build(config: Config) -> Domain:
    """Network, world, rules."""
    network = traffic(config)
    return Domain(
        name="traffic",
        env=networked.world(network, config.horizon),
        rules={
            "north-south": always(0),
            "random": anything(2),
            "fixed-time": fixed_time(config.cycle),
            "longest-queue": heaviest(lambda queues: queues, config.margin),
            "max-pressure": heaviest(pressure(network), config.margin),
        },
        headline="max-pressure",
        figures=("waiting", "turned_away", "changes"),
        network=network,
        objective=objective(config, network.graph.agents),
    )
