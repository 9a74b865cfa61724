"""What crowding costs: a potential without a reference, for clusters under load.

Load in proportion to capacity says nothing of what hurts near the limit: that little room is left
in a resource, and that a job which does not fit holds up those behind it.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.core.model import AbstractModel, aligned
from descant.core.types import Scalar
from descant.domains.cloud.env import Cluster, Near, State
from descant.domains.cloud.model import Tables, stand_ins

KNEE = 0.95
"""Use of a resource from which the barrier goes on as a parabola, so that overload has a price."""


class Context(NamedTuple):
    """What the model needs of a state; loads in integer units."""

    running: Int[Array, "M R"]
    queued: Int[Array, "M R"]
    capacity: Int[Array, "M R"]
    place: Int[Array, " M"]
    price: Float[Array, " M"]
    """Reward lost per natural unit of load: per tick, and times the longer stay on a slow
    server."""
    demand: Int[Array, "N R"]
    """This tick's jobs; rows of inactive agents are zero."""
    wait: Float[Array, ""]
    """Charge for a job that does not fit."""
    tables: Tables


class Position(NamedTuple):
    """Servers as the agents so far have left them."""

    running: Int[Array, "M R"]
    queued: Int[Array, "M R"]


class Crowding(AbstractModel):
    r"""Log barrier per resource, energy, and a charge for jobs that must wait.

    $d(x) = b \sum_r \sum_j \frac{\mu_{jr}}{\sum_j \mu_{jr}} \phi(x_{jr} / \mu_{jr}) +
    \frac{w_2}{C} \sum_{jr} x_{jr} / \eta_j^2$ with $\phi(u) = -\log(1 - u)$, whose slope
    $1 / (1 - u)$ is how queueing delay grows near capacity, and b the `weight` of the barrier. To
    the change of d, an agent whose job does not fit where it goes is charged `blocking` waiting
    jobs: no function of the load shows that a queue has a head.
    """

    env: Cluster
    weight: float = eqx.field(static=True)
    blocking: float = eqx.field(static=True)

    def context(self, state: State) -> Context:
        scenario = state.scenario
        efficiency = scenario.efficiency[:, 0] / 1000
        return Context(
            running=state.servers.running,
            queued=state.servers.queued,
            capacity=scenario.capacity,
            place=scenario.place,
            price=self.env.energy_weight / (efficiency**2 * self.env.total(scenario.capacity)),
            demand=self.env.hand(state).demand,
            wait=jnp.float32(self.env.queue_weight * self.blocking) / scenario.size,
            tables=state.tables,
        )

    def potential(self, context: Context, action: Float[Array, "N A"]) -> Scalar:
        return self._cost(context, self._load(context, action))

    def expected(self, context: Context, probabilities: Float[Array, "N A"]) -> Scalar:
        r"""$d(\bar x) + \tfrac12 \sum \phi''(\bar x)\, \mathrm{Var}(x)$: to second order."""
        load = self._load(context, probabilities)
        demand = self.env.natural(context.demand)
        variance = (probabilities * (1 - probabilities)).T @ demand**2
        capacity = context.tables.capacity
        bend = jax.grad(lambda u: jnp.sum(jax.grad(lambda u: jnp.sum(barrier(u)))(u)))
        size = jnp.maximum(capacity * jnp.sum(capacity, axis=0, keepdims=True), 1e-9)
        curvature = jnp.where(capacity > 0, bend(_share(load, capacity)) / size, 0.0)
        spread = 0.5 * self.weight * jnp.sum(curvature * variance)
        return self._cost(context, load) + spread

    def begin(self, context: Context) -> Position:
        return Position(context.running, context.queued)

    def turn(
        self, context: Context, position: Position, agent: Int[Array, ""]
    ) -> Float[Array, " A"]:
        return self._charge(context, position, context.demand[agent])

    def move(
        self, context: Context, position: Position, agent: Int[Array, ""], action: Int[Array, ""]
    ) -> Position:
        demand = context.demand[agent]
        return self._put(position, *self._give(context, position, demand, action), demand)

    def alternatives(self, context: Context, action: Int[Array, " N"]) -> Float[Array, "N A"]:
        def place(position, agent):
            demand = context.demand[agent]
            given = self._give(context, position, demand, action[agent])
            return self._put(position, *given, demand), given

        agents = jnp.arange(action.shape[0])
        end, given = jax.lax.scan(place, self.begin(context), agents)

        def charge(server, fits, demand):
            return self._charge(context, self._put(end, server, fits, -demand), demand)

        return jax.vmap(charge)(*given, context.demand)

    def alignment(self, context: Context, action: Int[Array, " N"]) -> dict[str, Scalar]:
        load = self._load(context, jax.nn.one_hot(action, self.env.groups))
        tables = context.tables
        down = -jax.grad(lambda x: self._cost(context, x))(load)
        return aligned(lambda x: stand_ins(self.env, tables.capacity, tables.energy, x), load, down)

    def _load(self, context: Context, action: Float[Array, "N A"]) -> Float[Array, "G R"]:
        committed = self.env.natural(context.running + context.queued)
        groups = jnp.sum(committed.reshape(self.env.groups, -1, committed.shape[-1]), axis=1)
        return groups + action.T @ self.env.natural(context.demand)

    def _cost(self, context: Context, load: Float[Array, "G R"]) -> Scalar:
        """d of the load per group; inside a group, load is taken to be spread evenly."""
        capacity = context.tables.capacity
        share = capacity / jnp.maximum(jnp.sum(capacity, axis=0, keepdims=True), 1e-9)
        price = jnp.mean(context.price.reshape(self.env.groups, -1), axis=1)
        crowding = jnp.sum(share * barrier(_share(load, capacity)))
        return self.weight * crowding + jnp.sum(price[:, None] * load)

    def _charge(
        self, context: Context, position: Position, demand: Int[Array, " R"]
    ) -> Float[Array, " G"]:
        """What one more job costs in each group: on the server that it would go to."""
        env, committed = self.env, position.running + position.queued
        near = Near(context.capacity, context.place, position.running, position.queued)
        chosen, fits = env.best_fit(env.by_group(near), demand[None])
        capacity, price = context.capacity, context.price
        if env.groups < env.workload.servers:
            size = env.workload.servers // env.groups
            server = jnp.arange(env.groups) * size + chosen
            capacity, price, committed = capacity[server], price[server], committed[server]
        capacity = env.natural(capacity)
        before, job = env.natural(committed), env.natural(demand)[None]
        total = jnp.sum(context.tables.capacity, axis=0, keepdims=True)
        rise = barrier(_share(before + job, capacity)) - barrier(_share(before, capacity))
        charge = self.weight * jnp.sum(capacity / jnp.maximum(total, 1e-9) * rise, axis=-1)
        return charge + price * jnp.sum(job) + context.wait * ~fits

    def _give(
        self,
        context: Context,
        position: Position,
        demand: Int[Array, " R"],
        group: Int[Array, ""],
    ) -> tuple[Int[Array, ""], Bool[Array, ""]]:
        """The server of a group that a job goes to, and whether it fits there."""
        env = self.env
        near = Near(context.capacity, context.place, position.running, position.queued)
        chosen, fits = env.best_fit(env.in_group(near, group), demand)
        return group * (env.workload.servers // env.groups) + chosen, fits

    def _put(
        self,
        position: Position,
        server: Int[Array, ""],
        fits: Bool[Array, ""],
        demand: Int[Array, " R"],
    ) -> Position:
        return Position(
            running=position.running.at[server].add(jnp.where(fits, demand, 0)),
            queued=position.queued.at[server].add(jnp.where(fits, 0, demand)),
        )


def barrier(used: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """-log(1 - u) up to the knee, then its second-order continuation; u is a share of capacity."""
    below, over = jnp.minimum(used, KNEE), jnp.maximum(used - KNEE, 0)
    slope = 1 / (1 - KNEE)
    return -jnp.log1p(-below) + slope * over + 0.5 * (slope * over) ** 2


def _share(load: Float[Array, "*n R"], capacity: Float[Array, "*n R"]) -> Float[Array, "*n R"]:
    return jnp.where(capacity > 0, load / jnp.where(capacity > 0, capacity, 1.0), 0.0)
