"""Who the servers are and which jobs come when: one draw of a scenario, fixed before the first
tick.

Jobs are numbered in order of arrival and everything about them is drawn beforehand, so two policies
on one scenario face exactly the same jobs, and the global buffer is two counters.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.types import Key
from descant.domains.cloud import instances as cloud


class Scenario(eqx.Module):
    """One draw: servers, and jobs in order of arrival. Loads are integers, so sums are exact."""

    capacity: Int[Array, "M R"]
    """Millicores, MiB, milli-GPUs."""
    efficiency: Int[Array, "M 2"]
    """CPU and memory efficiency, per mille; a job of d ticks takes ceil(1000 d / efficiency)."""
    place: Int[Array, " M"]
    """Position in the operator's list, by which rules decide between equals. Servers are stored in
    that order, unless they are sorted into clusters."""
    arrived: Int[Array, " T"]
    """Jobs that have arrived up to and including each tick."""
    demand: Int[Array, "J R"]
    duration: Int[Array, " J"]
    """Ticks on a server of efficiency 1000."""
    offset: Int[Array, ""]
    """Job i takes row (offset + i) mod J."""
    size: Int[Array, ""]
    """Servers that are there: the first ones. Those behind them have no capacity."""

    def rows(self, job: Int[Array, "*n"]) -> Int[Array, "*n"]:
        """Rows of the job table for job numbers."""
        return (self.offset + job) % self.duration.shape[0]


class AbstractWorkload(eqx.Module):
    """A distribution over scenarios."""

    servers: eqx.AbstractVar[int]
    """Most servers of a scenario."""
    fewest: eqx.AbstractVar[int]
    """Fewest servers of a scenario."""
    resources: eqx.AbstractVar[tuple[str, ...]]
    horizon: eqx.AbstractVar[int]
    jobs: eqx.AbstractVar[int]
    """Jobs that the queues have room for over an episode; a later one would stay in the buffer."""
    longest: eqx.AbstractVar[int]
    """Longest stay on a server, in ticks; longer ones last to the end of the episode anyway."""
    job_scale: eqx.AbstractVar[tuple[float, ...]]
    """Per resource, the demand in integer units that observations take as one."""
    capacity_scale: eqx.AbstractVar[tuple[float, ...]]
    """Per resource, the largest machine's capacity."""

    @abc.abstractmethod
    def draw(self, key: Key) -> Scenario:
        """Draw servers and jobs."""


def room(mean: float, spread: float) -> int:
    """Jobs to make room for: ten standard deviations above the mean, so that a draw beyond has
    probability below 1e-20; if one comes all the same it waits in the buffer and is counted.
    """
    return math.ceil(mean + 10 * math.sqrt(mean + spread**2) + 32)


_SIZE = np.argsort(np.lexsort((cloud.CAPACITY[:, 1], cloud.CAPACITY[:, 0])))
"""Rank of each instance type by (cores, memory)."""


class Paper(AbstractWorkload):
    """The calibrated environment of Yang & Liu (2026), appendix H."""

    servers: int = eqx.field(static=True)
    fewest: int = eqx.field(static=True)
    step: int = eqx.field(static=True)
    """Servers come in multiples of this, so that groups are whole."""
    ordered: bool = eqx.field(static=True)
    """Sort servers by capacity, so that consecutive ones form clusters of like machines."""
    by_capacity: bool = eqx.field(static=True)
    """Whether utilisation is that of the drawn servers' effective capacity, or of one agent slot
    per server."""
    load: tuple[float, float] = eqx.field(static=True)
    """Range of the target utilisation, drawn per scenario."""
    horizon: int = eqx.field(static=True)
    arrivals: int = eqx.field(static=True)
    """Ticks with arrivals; the rest of the episode drains."""
    jobs: int = eqx.field(static=True)
    longest: int = eqx.field(static=True)
    resources: tuple[str, ...] = eqx.field(static=True, default=cloud.RESOURCES)
    job_scale: tuple[float, ...] = eqx.field(static=True, default=(20_000.0, 131_072.0))
    capacity_scale: tuple[float, ...] = eqx.field(static=True, default=(96_000.0, 393_216.0))

    def draw(self, key: Key) -> Scenario:
        types, load, noise, count, jobs = jax.random.split(key, 5)
        kind = jax.random.choice(types, len(cloud.SHARE), (self.servers,), p=cloud.SHARE)
        place, size = jnp.arange(self.servers), jnp.int32(self.servers)
        absent = jnp.zeros((self.servers,), bool)
        if self.fewest < self.servers:
            least, most = -(-self.fewest // self.step), self.servers // self.step
            steps = jax.random.randint(jax.random.fold_in(key, 1), (), least, most + 1)
            size = steps * self.step
            absent = place >= size
        if self.ordered:
            # Whoever is absent stays behind all others.
            place = jnp.argsort(jnp.asarray(_SIZE)[kind] + len(_SIZE) * absent)
            kind = kind[place]
        capacity = jnp.where(absent[:, None], 0, jnp.asarray(cloud.CAPACITY)[kind])
        efficiency = jnp.asarray(cloud.EFFICIENCY)[kind]
        low, high = self.load
        target = jax.random.uniform(load, minval=low, maxval=high)
        base = target * self._rate(capacity, efficiency, size)
        time = jnp.arange(self.horizon)
        tide = 1 + cloud.TIDE * jnp.sin(2 * jnp.pi * time / cloud.PERIOD)
        rate = base * jnp.maximum(
            0.1, tide + cloud.NOISE * jax.random.normal(noise, (self.horizon,))
        )
        counts = jax.random.poisson(count, jnp.where(time < self.arrivals, rate, 0.0))
        demand, duration = self._jobs(jobs)
        return Scenario(
            capacity=capacity,
            efficiency=efficiency,
            place=place,
            arrived=jnp.cumsum(counts, dtype=jnp.int32),
            demand=demand,
            duration=duration,
            offset=jnp.int32(0),
            size=size,
        )

    def _rate(
        self, capacity: Int[Array, "M R"], efficiency: Int[Array, "M 2"], size: Int[Array, ""]
    ) -> Float[Array, ""]:
        """Jobs per tick at a target utilisation of one."""
        if not self.by_capacity:
            return size.astype(jnp.float32)
        unit = jnp.array([cloud.UNITS[r] for r in self.resources])
        work = jnp.array(cloud.MEAN_DEMAND) * cloud.MEAN_DURATION
        effective = jnp.sum(capacity * (efficiency[:, :1] / 1000), axis=0) / unit
        return jnp.min(effective / work)

    def _jobs(self, key: Key) -> tuple[Int[Array, "J R"], Int[Array, " J"]]:
        which, size, ratio, length = jax.random.split(key, 4)
        n = self.jobs
        heavy = jax.random.uniform(which, (n,)) < cloud.CPU_SHARE

        def pick(pair):
            return jnp.where(heavy, *pair)

        def ends(ranges):
            return (pick(pair) for pair in zip(*ranges, strict=True))

        # A classical Pareto variable: scale times U^(-1/shape), never below its scale.
        uniform = jax.random.uniform(size, (n,), minval=1e-7)
        cores = jnp.clip(
            pick(cloud.SCALE) * uniform ** (-1 / pick(cloud.SHAPE)), *ends(cloud.CORES)
        )
        low, high = ends(cloud.PER_CORE)
        memory = cores * (low + (high - low) * jax.random.uniform(ratio, (n,)))
        memory = jnp.clip(memory, *ends(cloud.MEMORY))
        mean, deviation, clip = cloud.DURATION
        duration = jnp.clip(jnp.exp(mean + deviation * jax.random.normal(length, (n,))), *clip)
        units = jnp.array([[cloud.UNITS["cpu"], cloud.UNITS["memory"]]])
        demand = jnp.maximum(1, jnp.rint(jnp.stack([cores, memory], -1) * units))
        return demand.astype(jnp.int32), jnp.floor(duration).astype(jnp.int32)


class Replay(AbstractWorkload):
    """Scenarios from an imported trace: nodes drawn from its list, its jobs in order of arrival.

    A scenario takes as many consecutive jobs as bring the drawn nodes to the target utilisation, in
    their tightest resource, when arrivals end; their arrival times are stretched or squeezed to
    fit, so bursts and lulls stay. Behind the last job of the trace follows the first. Jobs that
    none of the drawn nodes could ever hold are passed over.
    """

    nodes: Int[Array, "nodes R"]
    demand: Int[Array, "J R"]
    duration: Int[Array, " J"]
    """Ticks."""
    gap: Float[Array, " J"]
    """Seconds from each job to the next."""
    servers: int = eqx.field(static=True)
    fewest: int = eqx.field(static=True)
    resources: tuple[str, ...] = eqx.field(static=True)
    load: tuple[float, float] = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    arrivals: int = eqx.field(static=True)
    jobs: int = eqx.field(static=True)
    longest: int = eqx.field(static=True)
    job_scale: tuple[float, ...] = eqx.field(static=True)
    capacity_scale: tuple[float, ...] = eqx.field(static=True)

    def draw(self, key: Key) -> Scenario:
        which, load, start = jax.random.split(key, 3)
        listed = self.nodes.shape[0]
        node = jax.random.choice(which, listed, (self.servers,), replace=self.servers > listed)
        capacity = self.nodes[node]
        possible = jnp.any(jnp.all(self.demand[:, None] <= capacity[None], axis=-1), axis=1)
        count = jnp.sum(possible)
        # Possible jobs first, in their order.
        order = jnp.argsort(~possible)
        low, high = self.load
        target = jax.random.uniform(load, minval=low, maxval=high)
        taken = jnp.round(target * self._full(capacity, possible)).astype(jnp.int32)
        # More jobs than there is room for arrive all the same, and stay in the buffer, counted.
        surplus = jnp.maximum(taken - self.jobs, 0)
        taken = jnp.clip(taken, 1, self.jobs)
        offset = jax.random.randint(start, (), 0, jnp.maximum(count, 1))
        row = order[(offset + jnp.arange(self.jobs)) % jnp.maximum(count, 1)]
        passed = jnp.cumsum(self.gap[row])
        since = jnp.concatenate([jnp.zeros(1), passed[:-1]])
        tick = jnp.floor(since / passed[taken - 1] * self.arrivals).astype(jnp.int32)
        ticks = jnp.arange(self.horizon)
        arrived = jnp.minimum(jnp.searchsorted(tick, ticks, side="right"), taken)
        arrived = arrived + jnp.where(ticks >= self.arrivals - 1, surplus, 0)
        return Scenario(
            capacity=capacity,
            efficiency=jnp.full((self.servers, 2), 1000, jnp.int32),
            place=jnp.arange(self.servers),
            arrived=jnp.where(count > 0, arrived, 0).astype(jnp.int32),
            demand=self.demand[row],
            duration=self.duration[row],
            offset=jnp.int32(0),
            size=jnp.int32(self.servers),
        )

    def _full(self, capacity: Int[Array, "M R"], possible: Array) -> Float[Array, ""]:
        """Jobs that bring the tightest resource to full use when arrivals end: a job that arrived
        t ticks ago is still there if it lasts longer than t."""
        stay = jnp.minimum(self.duration, self.arrivals)
        share = possible / jnp.maximum(jnp.sum(possible), 1)
        work = (share * stay) @ self.demand.astype(jnp.float32)
        total = jnp.sum(capacity.astype(jnp.float32), axis=0)
        per_tick = jnp.min(jnp.where(work > 0, total / jnp.maximum(work, 1e-9), jnp.inf))
        return per_tick * self.arrivals
