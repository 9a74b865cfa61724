r"""What no policy can beat on a scenario: a fluid relaxation of the cluster, bounded by duality.

Jobs leave the global buffer in order of arrival, at most one per agent and tick, whatever the
policy; the buffer's cost and the tick $a_i$ at which job $i$ is placed are facts of the scenario.
What a policy decides is where and when it starts. Let servers of a kind share their capacity and
jobs start on any kind that could hold them, at any tick from $a_i$ on, or never: every schedule the
simulator can produce is still allowed. Capacity, written as a price $\lambda_{grb} \ge 0$ for kind,
resource and interval of ticks, then leaves one small choice per job, and the cost of any policy is
at least

$$\sum_i \min_{g,\,t \ge a_i} \Big[ w_1 \frac{t - a_i}{N} + \sum_{s=t}^{t + d_{ig} - 1} \sum_r
  \ell_{ir} \Big(\frac{w_2}{\eta_g C} + \lambda_{gr b(s)}\Big) \Big]
  - \sum_{g,r,b} \lambda_{grb}\, \mu_{gr}\, |b| + \text{buffer},$$

by weak duality, for every choice of prices. So nothing has to be believed of how prices are found:
an ascent on samples of the jobs finds good ones, and the sum over all jobs makes the bound.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from descant.domains.cloud import instances as cloud
from descant.domains.cloud.env import Cluster, State
from descant.domains.cloud.workload import Scenario

TOLERANCE = 1e-5
"""Share of the cost that is conceded to the simulator, which adds up rewards in float32."""
MOST_KINDS = 24
"""Kinds of servers that are told apart. Where there are more, like ones are taken for the best of
them."""
INTERVALS = 300
"""Over how many intervals of the episode prices may differ."""
SAMPLE = 4096
"""Jobs on which an ascent step looks."""
ROUNDS = 200
"""Steps of the ascent."""
FRESH = 4
"""Steps on one sample."""
RATE = 0.05
"""Length of the first step, in units of a price that matters; later ones shrink to nothing."""
PATIENCE = (1 / 400, 1 / 8)
"""Shortest and longest delay that the ascent considers, as shares of the horizon."""
DELAYS = 4
"""How many of them, besides none, for a whole sample; more where jobs are fewer. The bound itself
considers all."""
CHUNK = 16384
"""Jobs that are looked at together."""

Array = np.ndarray


class Jobs(NamedTuple):
    """Jobs in the order in which they leave the buffer."""

    ready: Int[Array, " n"]
    """The tick at which each is placed, and could start."""
    demand: Int[Array, "n R"]
    duration: Int[Array, " n"]
    """Ticks on a server of efficiency 1000."""

    def take(self, which: slice | Int[Array, " m"] | Bool[Array, " n"]) -> "Jobs":
        """Some of them."""
        return Jobs(*(field[which] for field in self))


@dataclass(frozen=True, eq=False)
class Fluid:
    """A scenario whose servers of one kind have been poured together."""

    horizon: int
    unit: Float[Array, " R"]
    """Integer units in a natural one."""
    wait: float
    """Cost of one waiting job for a tick."""
    buffered: float
    """Cost of the global buffer over the episode: no policy has a say in it."""
    jobs: Jobs
    largest: Int[Array, "K R"]
    """What a server of each kind holds."""
    capacity: Float[Array, "K R"]
    """What all servers of each kind hold, in natural units."""
    efficiency: Int[Array, " K"]
    """Per mille."""
    energy: Float[Array, " K"]
    """Cost of one natural unit in use for a tick."""

    @property
    def edges(self) -> Int[Array, " E"]:
        """Ticks between which prices stand still."""
        width = -(-self.horizon // INTERVALS)
        return np.append(np.arange(0, self.horizon, width), self.horizon)


class Choices(NamedTuple):
    """What each kind of server offers to each job."""

    stay: Int[Array, "K n"]
    fits: Bool[Array, "K n"]
    demand: Float[Array, "R n"]
    """In natural units."""


def bound(env: Cluster, state: State) -> float:
    """A mean reward per tick that no policy exceeds on the scenario of a state just reset."""
    return limit(pour(env, state.scenario))


def limit(fluid: Fluid) -> float:
    """The best mean reward per tick that the relaxation leaves possible, at good prices.

    Computed in float64; the simulator's float32 rewards may stray by the tolerance, not more.
    """
    found = ascend(fluid)
    least = max(cost(fluid, found), cost(fluid, np.zeros_like(found)))
    return -least * (1 - TOLERANCE) / fluid.horizon


def pour(env: Cluster, scenario: Scenario) -> Fluid:
    """The relaxation of a scenario."""
    workload, horizon = env.workload, env.spec.horizon
    arrived = np.asarray(scenario.arrived, np.int64)
    left = dispatched(arrived, workload.jobs, env.spec.agents)
    job = np.arange(left[-1])
    duration = np.asarray(scenario.duration, np.int64)
    rows = (int(scenario.offset) + job) % len(duration)
    capacity = np.asarray(scenario.capacity, np.int64)
    efficiency = np.asarray(scenario.efficiency, np.int64)[:, 0]
    unit = np.array([cloud.UNITS[name] for name in workload.resources], np.float64)
    everything = (capacity / unit).sum(axis=0)
    total = everything.sum() if env.total_capacity else everything[0]
    largest, pooled, best = _pools(capacity, efficiency)
    wait = env.queue_weight / workload.servers
    return Fluid(
        horizon=horizon,
        unit=unit,
        wait=wait,
        buffered=wait * float(np.sum(arrived - left)),
        jobs=Jobs(
            ready=np.searchsorted(left, job, side="right"),
            demand=np.asarray(scenario.demand, np.int64)[rows],
            duration=duration[rows],
        ),
        largest=largest,
        capacity=pooled / unit,
        efficiency=best,
        energy=env.energy_weight * 1000 / (best * total),
    )


def dispatched(arrived: Int[Array, " T"], jobs: int, agents: int) -> Int[Array, " T"]:
    r"""Jobs that have left the buffer up to and including each tick.

    $D_t = \min(D_{t-1} + \text{agents}, A_t)$, unrolled: the buffer was last empty at some tick
    before $t$, or never.
    """
    tick = np.arange(len(arrived))
    waiting = np.minimum(arrived, jobs) - agents * tick
    return np.minimum(agents * (tick + 1), np.minimum.accumulate(waiting) + agents * tick)


def cost(fluid: Fluid, prices: Float[Array, "K R B"]) -> float:
    """Least cost of the relaxation over the episode, bounded from below at these prices."""
    tables = held(fluid, prices)
    shares = fluid.capacity[:, :, None] * np.diff(fluid.edges)
    jobs = sum(float(np.sum(_cheapest(fluid, tables, part))) for part in _chunks(fluid.jobs))
    return fluid.buffered + jobs - float(np.sum(prices * shares))


def ascend(fluid: Fluid, seed: int = 0) -> Float[Array, "K R B"]:
    """Good prices for capacity: projected ascent of the bound, with Adam's steps.

    The slope of the bound in a price is the load that jobs would bring there, each on its cheapest
    choice, less the room that there is.
    """
    edges = fluid.edges
    room = fluid.capacity[:, :, None] * np.diff(edges)
    found = np.zeros(room.shape)
    if not len(fluid.jobs.ready):
        return found
    scale = _scale(fluid)
    mean, square = np.zeros_like(found), np.zeros_like(found)
    rng = np.random.default_rng(seed)
    odds = _odds(fluid)
    sample = None
    for step in range(ROUNDS):
        if sample is None or (step % FRESH == 0 and len(odds) > SAMPLE):
            sample = Sample(fluid, *_draw(fluid, odds, rng))
        load = sample.load(found * scale)
        excess = np.divide(load - room, room, out=np.zeros_like(room), where=room > 0)
        mean = 0.9 * mean + 0.1 * excess
        square = 0.99 * square + 0.01 * excess**2
        far = mean / (1 - 0.9 ** (step + 1))
        steady = np.sqrt(square / (1 - 0.99 ** (step + 1))) + 1e-3
        found = np.maximum(found + RATE * (1 - step / ROUNDS) * far / steady, 0)
    return found * scale


class Sample:
    """Some jobs that stand for all, and what each may choose between."""

    def __init__(self, fluid: Fluid, jobs: Jobs, weight: Float[Array, " n"]) -> None:
        """Look up once what does not depend on prices."""
        horizon, kinds = fluid.horizon, len(fluid.capacity)
        self.fluid, self.jobs = fluid, jobs
        choices = _choices(fluid, jobs)
        start = np.minimum(jobs.ready + _delays(horizon, len(weight))[:, None], horizon)[:, None]
        end = np.minimum(start + choices.stay, horizon)
        row = np.arange(kinds)[:, None] * (horizon + 1)
        flat = (-1, len(weight))
        self.first = np.broadcast_to(row + start, end.shape).reshape(flat)
        self.last = (row + end).reshape(flat)
        wait = fluid.wait * (start - jobs.ready)
        self.wait = np.where(choices.fits, wait, np.inf).reshape(flat)
        self.demand = choices.demand
        self.weighted = choices.demand * weight
        self.never = fluid.wait * (horizon - jobs.ready)

    def load(self, prices: Float[Array, "K R B"]) -> Float[Array, "K R B"]:
        """What jobs ask for in each interval, over its ticks, if each takes its cheapest choice."""
        tables = held(self.fluid, prices)
        costs = self.wait.copy()
        for table, demand in zip(tables, self.demand, strict=True):
            costs += demand * (table.take(self.last) - table.take(self.first))
        choice = np.argmin(costs, axis=0)
        job = np.arange(costs.shape[1])
        runs = costs[choice, job] < self.never
        first, last = self.first[choice, job], self.last[choice, job]
        size = tables.shape[1]
        kinds, resources, _ = prices.shape
        load = np.empty_like(prices)
        for r in range(resources):
            weight = np.where(runs, self.weighted[r], 0)
            change = np.bincount(first, weight, size) - np.bincount(last, weight, size)
            busy = np.cumsum(change.reshape(kinds, -1), axis=1)
            load[:, r] = np.add.reduceat(busy[:, :-1], self.fluid.edges[:-1], axis=1)
        return load


def _pools(
    capacity: Int[Array, "M R"], efficiency: Int[Array, " M"]
) -> tuple[Int[Array, "K R"], Int[Array, "K R"], Int[Array, " K"]]:
    """Kinds of servers: what one holds, what all of a kind hold, and their efficiency.

    A pool of unlike kinds has the largest server in each resource and the highest efficiency among
    them; both only give more choice, shorter stays and less energy.
    """
    kinds, which = np.unique(np.column_stack([capacity, efficiency]), axis=0, return_inverse=True)
    pool = _nearest(kinds / np.maximum(kinds.max(axis=0), 1), MOST_KINDS)[which.reshape(-1)]
    count = pool.max() + 1
    largest = np.zeros((count, capacity.shape[1]), np.int64)
    pooled, best = np.zeros_like(largest), np.zeros(count, np.int64)
    np.maximum.at(largest, pool, capacity)
    np.add.at(pooled, pool, capacity)
    np.maximum.at(best, pool, efficiency)
    return largest, pooled, best


def _nearest(points: Float[Array, "K F"], most: int) -> Int[Array, " K"]:
    """At most so many groups of near points: each next centre is the point farthest from all."""
    group = np.zeros(len(points), np.int64)
    distance = np.sum((points - points[0]) ** 2, axis=1)
    for centre in range(1, most):
        farthest = np.argmax(distance)
        if distance[farthest] == 0:
            break
        away = np.sum((points - points[farthest]) ** 2, axis=1)
        group[away < distance] = centre
        distance = np.minimum(distance, away)
    return group


def held(fluid: Fluid, prices: Float[Array, "K R B"]) -> Float[Array, "R X"]:
    """Energy and price of one natural unit, held from the first tick up to each of T + 1 ticks;
    one kind after another."""
    per_tick = np.repeat(prices, np.diff(fluid.edges), axis=2) + fluid.energy[:, None, None]
    summed = np.cumsum(per_tick.transpose(1, 0, 2), axis=2)
    return np.pad(summed, ((0, 0), (0, 0), (1, 0))).reshape(len(summed), -1)


def _chunks(jobs: Jobs) -> Iterator[Jobs]:
    for first in range(0, len(jobs.ready), CHUNK):
        yield jobs.take(slice(first, first + CHUNK))


def _choices(fluid: Fluid, jobs: Jobs) -> Choices:
    stay = np.maximum(1, -(-jobs.duration * 1000 // fluid.efficiency[:, None]))
    fits = np.all(jobs.demand <= fluid.largest[:, None], axis=-1)
    return Choices(stay, fits, (jobs.demand / fluid.unit).T.copy())


def _cheapest(fluid: Fluid, tables: Float[Array, "R X"], jobs: Jobs) -> Float[Array, " n"]:
    """Each job's cheapest choice.

    Between two ticks at which neither its start nor its end crosses an edge, a job's cost is linear
    in the tick at which it starts. So the tick at which it is ready, starts on edges and ends on
    edges are all that have to be tried; to start at the horizon is never to start.
    """
    choices = _choices(fluid, jobs)
    best = fluid.wait * (fluid.horizon - jobs.ready)
    best = np.minimum(best, _costs(fluid, tables, jobs, choices, jobs.ready[None]))
    edges, horizon = fluid.edges, fluid.horizon
    width = int(edges[1])
    hopeful = np.arange(len(best))
    for later in range(len(edges) - 1):
        # From here on, untried starts come after so much waiting.
        still = _at_least(fluid, jobs, choices, later * width) < best[hopeful]
        if not still.any():
            break
        hopeful, jobs = hopeful[still], jobs.take(still)
        choices = Choices(*(field[:, still] for field in choices))
        start = (jobs.ready[None] // width + later + 1) * width
        end = ((jobs.ready + choices.stay) // width + later + 1) * width
        for tick in (start, np.minimum(end, horizon) - choices.stay):
            tick = np.clip(tick, jobs.ready, horizon)
            costs = _costs(fluid, tables, jobs, choices, tick)
            best[hopeful] = np.minimum(best[hopeful], costs)
    return best


def _costs(
    fluid: Fluid,
    tables: Float[Array, "R X"],
    jobs: Jobs,
    choices: Choices,
    start: Int[Array, "#K n"],
) -> Float[Array, " n"]:
    """Waiting, energy and priced load of each job on the cheapest kind, started at these ticks."""
    horizon = fluid.horizon
    row = np.arange(len(choices.stay))[:, None] * (horizon + 1)
    first = row + start
    last = row + np.minimum(start + choices.stay, horizon)
    costs = np.where(choices.fits, fluid.wait * (start - jobs.ready), np.inf)
    for table, demand in zip(tables, choices.demand, strict=True):
        costs += demand * (table.take(last) - table.take(first))
    return np.min(costs, axis=0)


def _at_least(fluid: Fluid, jobs: Jobs, choices: Choices, waited: int) -> Float[Array, " n"]:
    """What a job pays that starts after so many ticks or more, capacity being free.

    Concave in the tick, so the least is at one of the ends; the other, never to start, was tried.
    """
    quickest = np.min(choices.stay, axis=0)
    running = np.minimum(quickest, np.maximum(fluid.horizon - jobs.ready - waited, 0))
    return fluid.wait * waited + np.min(fluid.energy) * np.sum(choices.demand, axis=0) * running


def _delays(horizon: int, jobs: int) -> Int[Array, " D"]:
    """Delays at which so many jobs look: all of them, or some at equal ratios."""
    count = DELAYS * SAMPLE // jobs
    if count >= horizon:
        return np.arange(horizon)
    shares = np.geomspace(*PATIENCE, max(count, DELAYS))
    return np.unique(np.rint(np.append(0, shares * horizon)).astype(np.int64))


def _scale(fluid: Fluid) -> Float[Array, "R 1"]:
    """Per resource, a price that makes a difference: energy, and a mean job's wait."""
    mean = np.mean(fluid.jobs.demand, axis=0) / fluid.unit
    waiting = np.divide(fluid.wait, mean, out=np.zeros_like(mean), where=mean > 0)
    return (np.mean(fluid.energy) + waiting)[:, None]


def _odds(fluid: Fluid) -> Float[Array, " n"]:
    """How often to draw each job: by its load over time, and some for being a job at all."""
    jobs = fluid.jobs
    share = jobs.demand @ (1 / np.maximum(fluid.capacity.sum(axis=0) * fluid.unit, 1))
    work = share * np.minimum(jobs.duration, fluid.horizon)
    total = work.sum()
    even = np.full(len(work), 1 / len(work))
    return 0.7 * work / total + 0.3 * even if total > 0 else even


def _draw(
    fluid: Fluid, odds: Float[Array, " n"], rng: np.random.Generator
) -> tuple[Jobs, Float[Array, " m"]]:
    """Jobs evenly over the episode's work, and how many each stands for."""
    if len(odds) <= SAMPLE:
        return fluid.jobs, np.ones(len(odds))
    place = np.cumsum(odds)
    mark = (np.arange(SAMPLE) + rng.random()) / SAMPLE * place[-1]
    which = np.minimum(np.searchsorted(place, mark), len(odds) - 1)
    return fluid.jobs.take(which), 1 / (SAMPLE * odds[which])
