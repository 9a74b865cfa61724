"""Where load should be: the fluid view of a cluster, in which an efficient one fills by plan."""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.model import AbstractTargetModel
from descant.core.types import Scalar
from descant.domains.cloud.env import Cluster, State
from descant.domains.cloud.workload import Scenario


class Tables(NamedTuple):
    """Groups of a scenario, and how much load a common water level holds."""

    capacity: Float[Array, "G R"]
    """vCPU, GiB, GPUs."""
    start: Float[Array, " G"]
    """Water level at which each group starts to fill; one higher, it is full."""
    energy: Float[Array, " G"]
    """Reward lost per tick and natural unit of load in the group."""
    price: Float[Array, " G"]
    """The same times the longer stay on a slow server."""
    level: Float[Array, " L"]
    """Water levels at which a group starts to fill or is full, ascending."""
    filled: Float[Array, "L R"]
    """Load that the groups hold at each level."""


class Context(NamedTuple):
    """What guidance needs of a state, in natural units (vCPU, GiB, GPUs)."""

    load: Float[Array, "G R"]
    """Committed (running and waiting) before this tick's jobs."""
    reference: Float[Array, "G R"]
    capacity: Float[Array, "G R"]
    energy: Float[Array, " G"]
    demand: Float[Array, "N R"]
    """This tick's jobs; rows of inactive agents are zero."""


class Placement(AbstractTargetModel):
    r"""Load per group against a reference that holds all of it.

    The reference minimises $\sum_j x_j^2 / 2\mu_j + b_j x_j$ with $\sum_j x_j = C$ and
    $0 \le x_j \le \mu_j$, per resource, which is $\tilde x_j = \mu_j\,\mathrm{clip}(\nu - b_j, 0,
    1)$ (water filling). `proportional` has b = 0: load in proportion to capacity, Yang & Liu
    (2026), eq. 16. `efficiency` has $b_j = \kappa / \eta_j^2$: energy is charged per tick, and a
    slow server also holds the job longer. `queueing` puts the mean queue of an M/M/1 server in the
    place of the square, see `settle`. Load beyond all capacity spreads in proportion to it.

    Coordinates are weighted with $1 / (\mu_j \sum_j \mu_j)$, the Hessian of the paper's load
    imbalance (eq. 15) per resource: in raw units memory would be 99.5 % of the signal.
    """

    env: Cluster
    plan: Literal["water", "queueing"] = eqx.field(static=True, default="water")
    congestion: float = eqx.field(static=True, default=1.0)
    """Weight of queues in `queueing`: M/M/1 overstates those of servers that run many jobs at a
    time."""

    def context(self, state: State) -> Context:
        tables: Tables = state.tables
        load = _by_group(self.env.natural(state.servers.committed), self.env.groups)
        demand = self.env.natural(self.env.hand(state).demand)
        total = jnp.sum(load, axis=0) + jnp.sum(demand, axis=0)
        return Context(
            load=load,
            reference=self._target(tables, total),
            capacity=tables.capacity,
            energy=tables.energy,
            demand=demand,
        )

    def reference(self, context: Context) -> Float[Array, " M"]:
        return context.reference.reshape(-1)

    def respond(self, context: Context, action: Float[Array, "N A"]) -> Float[Array, " M"]:
        return (context.load + action.T @ context.demand).reshape(-1)

    def metric(self, context: Context) -> Float[Array, " M"]:
        return _metric(context).reshape(-1)

    def influence(
        self, context: Context, agent: Int[Array, ""], action: Int[Array, ""]
    ) -> Float[Array, " M"]:
        return jnp.zeros_like(context.load).at[action].set(context.demand[agent]).reshape(-1)

    def pull(
        self, context: Context, agent: Int[Array, ""], covector: Float[Array, " M"]
    ) -> Float[Array, " A"]:
        return covector.reshape(context.load.shape) @ context.demand[agent]

    def weight(self, context: Context) -> Float[Array, "N A"]:
        return context.demand**2 @ _metric(context).T

    def rewards(self, context: Context, x: Float[Array, " M"]) -> dict[str, Scalar]:
        load = x.reshape(context.load.shape)
        return stand_ins(self.env, context.capacity, context.energy, load)

    def _target(self, tables: Tables, total: Float[Array, " R"]) -> Float[Array, "G R"]:
        if self.plan == "queueing":
            weight = self.congestion * self.env.queue_weight
            return settle(tables.capacity, tables.price, weight, total)
        return fill(tables, total)


def stand_ins(
    env: Cluster,
    capacity: Float[Array, "G R"],
    energy: Float[Array, " G"],
    load: Float[Array, "G R"],
) -> dict[str, Scalar]:
    """Terms of the reward as differentiable functions of load, in natural units; those that weigh
    nothing are left out.

    Waiting is the mean queue of an M/M/1 server, u^2 / (1 - u), continued by its tangent from 95 %
    on; energy is what is charged.
    """
    used = load / jnp.where(capacity > 0, capacity, jnp.inf)
    knee = 0.95
    slope = (2 * knee - knee**2) / (1 - knee) ** 2
    below = jnp.minimum(used, knee)
    queue = below**2 / (1 - below) + slope * jnp.maximum(used - knee, 0)
    terms = {}
    if env.queue_weight:
        terms["queue"] = -env.queue_weight * jnp.mean(jnp.sum(queue, axis=-1))
    if env.energy_weight:
        terms["energy"] = -jnp.sum(energy[:, None] * load)
    return terms


def prepare(env: Cluster, kappa: float, scenario: Scenario) -> Tables:
    """Group capacities, and the load held at every water level where a group starts or ends
    filling."""
    capacity = _by_group(env.natural(scenario.capacity), env.groups)
    # Servers of a trace may have no cores at all; their group's efficiency is still a number.
    cores = jnp.maximum(env.natural(scenario.capacity)[:, :1], 1e-3)
    speed = scenario.efficiency[:, :1] / 1000
    efficiency = (_by_group(cores * speed, env.groups) / _by_group(cores, env.groups))[:, 0]
    start = kappa / efficiency**2
    level = jnp.sort(jnp.concatenate([start, start + 1]))
    order = jnp.argsort(start)
    starts, sizes = start[order], capacity[order]
    none = jnp.zeros((1, sizes.shape[-1]))
    size = jnp.concatenate([none, jnp.cumsum(sizes, axis=0)])
    offset = jnp.concatenate([none, jnp.cumsum(sizes * starts[:, None], axis=0)])

    def poured(level):
        """Load at this level if groups had no lid: sum over started groups of size (level -
        start)."""
        started = jnp.searchsorted(starts, level, side="right")
        return level[:, None] * size[started] - offset[started]

    energy = env.energy_weight / (efficiency * env.total(scenario.capacity))
    return Tables(
        capacity=capacity,
        start=start,
        energy=energy,
        price=energy / efficiency,
        level=level,
        filled=poured(level) - poured(level - 1),
    )


def fill(tables: Tables, total: Float[Array, " R"]) -> Float[Array, "G R"]:
    """Water filling by table: between two neighbouring levels the held load is linear."""
    below = tables.filled <= total[None]
    low = jnp.max(jnp.where(below, tables.level[:, None], tables.level[0]), axis=0)
    low_load = jnp.max(jnp.where(below, tables.filled, 0.0), axis=0)
    high = jnp.min(jnp.where(below, tables.level[-1], tables.level[:, None]), axis=0)
    full = jnp.max(tables.filled, axis=0)
    high_load = jnp.min(jnp.where(below, full, tables.filled), axis=0)
    share = (total - low_load) / jnp.maximum(high_load - low_load, 1e-6)
    level = low + jnp.clip(share, 0, 1) * (high - low)
    held = tables.capacity * jnp.clip(level[None] - tables.start[:, None], 0, 1)
    over = total / jnp.maximum(jnp.sum(tables.capacity, axis=0), 1e-6)
    return held * jnp.maximum(1.0, over)[None]


FULL = 0.999
"""Share of all capacity up to which queueing is in balance; beyond, all groups fill up together."""
HALVINGS = 26


def settle(
    capacity: Float[Array, "G R"],
    price: Float[Array, " G"],
    weight: float,
    total: Float[Array, " R"],
) -> Float[Array, "G R"]:
    r"""Least energy and queueing: $\min \sum_j p_j x_j + \frac{w_1}{G} \sum_j
    \frac{u_j^2}{1 - u_j}$ with $u_j = x_j / \mu_j$, $\sum_j x_j = C$, $0 \le x_j \le \mu_j$, per
    resource.

    At the optimum all groups with load have the same marginal cost $\nu = p_j + \frac{w_1}{G
    \mu_j} ((1 - u_j)^{-2} - 1)$, and no other has a lower one. Halving finds $\nu$ between the
    lowest and the highest marginal cost of load in proportion to capacity; a last step along the
    slope takes up what rounding leaves.
    """
    there = capacity > 0
    size = jnp.where(there, capacity, 1.0)
    scale = weight / (capacity.shape[0] * size)
    whole = jnp.sum(capacity, axis=0)
    wanted = jnp.minimum(total, FULL * whole)
    share = wanted / jnp.maximum(whole, 1e-6)
    even = price[:, None] + scale * ((1 - share) ** -2 - 1)[None]
    low = jnp.min(jnp.where(there, even, jnp.inf), axis=0)
    high = jnp.max(jnp.where(there, even, -jnp.inf), axis=0)

    def root(level):
        return jnp.sqrt(1 + jnp.maximum(level[None] - price[:, None], 0.0) / scale)

    def held(level):
        r = root(level)
        # 1 - 1/r without cancellation where hardly anything is held.
        return jnp.where(there, size * (r * r - 1) / (r * (r + 1)), 0.0)

    def halve(_, ends):
        low, high = ends
        middle = 0.5 * (low + high)
        above = jnp.sum(held(middle), axis=0) > wanted
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, HALVINGS, halve, (low, high))
    level = 0.5 * (low + high)
    load = held(level)
    slope = jnp.where(load > 0, size / (2 * scale * root(level) ** 3), 0.0)
    missing = (wanted - jnp.sum(load, axis=0)) / jnp.maximum(jnp.sum(slope, axis=0), 1e-12)
    load = jnp.clip(load + missing[None] * slope, 0, capacity)
    return load * (total / jnp.maximum(wanted, 1e-6))[None]


def _by_group(load: Float[Array, "M R"], groups: int) -> Float[Array, "G R"]:
    return jnp.sum(load.reshape(groups, -1, load.shape[-1]), axis=1)


def _metric(context: Context) -> Float[Array, "G R"]:
    size = context.capacity * jnp.sum(context.capacity, axis=0, keepdims=True)
    return jax.lax.stop_gradient(jnp.where(size > 0, 1 / jnp.where(size > 0, size, 1.0), 0.0))
