"""Heterogeneous cloud scheduling: many placement agents, one per job at hand, and one shared
reward.

A tick: completions free their resources, local queues start jobs from their heads, arrivals enter
the global first-in-first-out buffer, the agents place one job each, the reward is taken. Jobs of a
tick are placed one after another: each sees what those before it have taken. Reading of Yang & Liu
(2026), appendix H, under which all of Table 1 comes out; docs/domains/cloud.md has the evidence.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypedDict

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.core.env import AbstractEnv
from descant.core.types import Key, Observation, PyTree, Spec, Step, World
from descant.domains.cloud import clusters
from descant.domains.cloud import instances as cloud
from descant.domains.cloud.workload import AbstractWorkload, Scenario
from descant.ops.loops import while_any
from descant.ops.ordering import best_listed

View = Literal["full", "paper", "clusters"]
QUEUE_SCALE = 50.0
"""Local queue length that observations take as one, and clip at; appendix H.2."""


class Servers(eqx.Module):
    """What servers hold: kept up to date by every event, never recomputed."""

    running: Int[Array, "M R"]
    """Resources in use."""
    queued: Int[Array, "M R"]
    """Resources that waiting jobs will ask for."""
    waiting: Int[Array, " M"]
    """Jobs in the local queue."""
    jobs: Int[Array, " M"]
    """Running jobs."""
    head: Int[Array, " M"]
    tail: Int[Array, " M"]
    behind: Int[Array, " L"]
    """Local queues are linked lists through this array: whom each waiting job stands before."""
    wheel: Int[Array, "W M R+1"]
    """Resources and jobs that finish at each tick to come, modulo W."""

    @property
    def committed(self) -> Int[Array, "M R"]:
        """Load of running and waiting jobs."""
        return self.running + self.queued


class State(eqx.Module):
    """A cluster at the moment when the agents of a tick decide."""

    scenario: Scenario
    tables: PyTree
    """What the analytic model has prepared for this scenario."""
    servers: Servers
    time: Int[Array, ""]
    dispatched: Int[Array, ""]
    """Jobs that have left the global buffer."""
    finished: Int[Array, ""]


class Hand(NamedTuple):
    """The jobs that the agents of a tick place, one each; rows of inactive agents are zero."""

    job: Int[Array, " N"]
    demand: Int[Array, "N R"]
    duration: Int[Array, " N"]
    active: Bool[Array, " N"]


class Near(NamedTuple):
    """Servers that a job may go to, in groups or one group."""

    capacity: Int[Array, "*g S R"]
    place: Int[Array, "*g S"]
    running: Int[Array, "*g S R"]
    queued: Int[Array, "*g S R"]


class Cluster(AbstractEnv):
    """A cluster of `servers` in `groups` of consecutive servers; an action names a group.

    Inside the group Best-Fit picks the server: the one with the highest dominant utilisation on
    which the job fits; if it fits on none it queues on the least committed one.
    """

    spec: Spec = eqx.field(static=True)
    workload: AbstractWorkload
    groups: int = eqx.field(static=True)
    view: View = eqx.field(static=True)
    """What observations hold: the paper's seven numbers of every server, its 28 of every cluster,
    or, in full, committed load and free capacity of every server, too."""
    queue_weight: float = eqx.field(static=True)
    energy_weight: float = eqx.field(static=True)
    total_capacity: bool = eqx.field(static=True)
    """Whether energy is divided by all capacity in natural units ("total") or by cores
    ("cores")."""
    guarded: bool = eqx.field(static=True)
    """Whether servers that could never hold a job are illegal for it. The paper knows no such rule:
    there, a job that is too large for its server blocks its queue for good."""
    prepare: Callable[[Scenario], PyTree] = eqx.field(static=True)
    """What the analytic model wants to know of a scenario, computed once when it is drawn."""

    def reset(self, key: Key) -> tuple[State, Observation]:
        """Draw a scenario; the first jobs have just arrived."""
        workload = self.workload
        servers, resources = workload.servers, len(workload.resources)
        zeros = jnp.zeros((servers,), jnp.int32)
        ring = min(workload.longest, workload.horizon) + 1
        scenario = workload.draw(key)
        state = State(
            scenario=scenario,
            tables=self.prepare(scenario),
            servers=Servers(
                running=jnp.zeros((servers, resources), jnp.int32),
                queued=jnp.zeros((servers, resources), jnp.int32),
                waiting=zeros,
                jobs=zeros,
                head=zeros,
                tail=zeros,
                behind=jnp.zeros((workload.jobs,), jnp.int32),
                wheel=jnp.zeros((ring, servers, resources + 1), jnp.int32),
            ),
            time=jnp.int32(0),
            dispatched=jnp.int32(0),
            finished=jnp.int32(0),
        )
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Int[Array, " N"]) -> tuple[State, Step]:
        """Place the jobs at hand, take the reward, and let time pass to the next decision."""
        state = self.place(state, action)
        reward, diagnostics = self._reward(state)
        state = self._pass_time(state)
        step = Step(
            observation=self.observe(state),
            reward=reward,
            terminated=jnp.bool_(False),
            truncated=state.time >= self.spec.horizon,
            diagnostics=diagnostics,
        )
        return state, step

    def hand(self, state: State) -> Hand:
        """The jobs that leave the buffer this tick, oldest first, at most one per agent."""
        scenario = state.scenario
        slot = jnp.arange(self.spec.agents)
        job = state.dispatched + slot
        active = job < jnp.minimum(self._arrived(state), self.workload.jobs)
        if self.varied:
            active = active & (slot < self.slots(scenario))
        rows = scenario.rows(job)
        return Hand(
            job=job,
            demand=jnp.where(active[:, None], scenario.demand[rows], 0),
            duration=scenario.duration[rows],
            active=active,
        )

    @property
    def varied(self) -> bool:
        """Whether scenarios differ in size."""
        return self.workload.fewest < self.workload.servers

    def slots(self, scenario: Scenario) -> Int[Array, ""]:
        """Agents of a scenario: as many for each server as at full size."""
        return self.spec.agents * scenario.size // self.workload.servers

    def place(self, state: State, action: Int[Array, " N"]) -> State:
        """Dispatch the jobs at hand to groups.

        Agents of different groups do not meet, so round r places the r-th job of every group at
        once; there are as many rounds as the busiest group gets jobs.
        """
        hand = self.hand(state)
        # A job for a group that is none would never be placed, and the rounds would never end.
        action = jnp.clip(action, 0, self.groups - 1)
        constants = (state.scenario, state.time, hand, action)
        _, servers = while_any(
            lambda _, carry: jnp.any(carry[0]),
            self._place_round,
            constants,
            (hand.active, state.servers),
        )
        return eqx.tree_at(
            lambda s: (s.servers, s.dispatched),
            state,
            (servers, state.dispatched + jnp.sum(hand.active)),
        )

    def _place_round(self, constants, carry):
        scenario, time, hand, action = constants
        pending, servers = carry
        agents, groups = self.spec.agents, self.groups
        index = jnp.arange(agents)
        first = (
            jnp.full((groups,), agents)
            .at[jnp.where(pending, action, groups)]
            .min(index, mode="drop")
        )
        some = first < agents
        agent = jnp.minimum(first, agents - 1)
        demand = jnp.where(some[:, None], hand.demand[agent], 0)
        near = Near(scenario.capacity, scenario.place, servers.running, servers.queued)
        chosen, fits = self.best_fit(self.by_group(near), demand)
        size = self.workload.servers // groups
        # With one server per group they are all servers in order: no index is needed.
        server = None if size == 1 else jnp.arange(groups) * size + chosen
        servers = self._enqueue(servers, server, some & ~fits, hand.job[agent], demand)
        servers = self._start(
            scenario, time, servers, server, some & fits, demand, hand.duration[agent]
        )
        placed = first[action] == index
        return pending & ~placed, servers

    def by_group(self, tables: PyTree) -> PyTree:
        """Numbers of servers [M, ...], group by group [G, S, ...]."""
        return jax.tree.map(lambda x: x.reshape(self.groups, -1, *x.shape[1:]), tables)

    def in_group(self, tables: PyTree, group: Int[Array, ""]) -> PyTree:
        """Numbers of the servers of one group."""
        size = self.workload.servers // self.groups
        return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, group * size, size), tables)

    def best_fit(
        self, near: Near, demand: Int[Array, "*#g R"]
    ) -> tuple[Int[Array, "*g"], Bool[Array, "*g"]]:
        """For a job in a group: the server of the group it goes to, and whether it fits there."""
        capacity, place, running, queued = near
        demand = demand[..., None, :]
        fits = jnp.all(running + demand <= capacity, axis=-1)
        if fits.shape[-1] == 1:
            return jnp.zeros(fits.shape[:-1], jnp.int32), fits[..., 0]
        used, load = dominant(running, capacity), dominant(running + queued, capacity)
        if self.guarded:
            load = jnp.where(jnp.all(demand <= capacity, axis=-1), load, jnp.inf)
        anywhere = jnp.any(fits, axis=-1)
        score = jnp.where(anywhere[..., None], jnp.where(fits, used, -1.0), -load)
        return best_listed(score, place), anywhere

    def _start(self, scenario, time, servers, server, starts, demand, duration) -> Servers:
        """Start at most one job on each of these servers; it ends ceil(duration / efficiency) ticks
        later."""
        stay = jnp.maximum(1, -(-duration * 1000 // _rows(scenario.efficiency[:, 0], server)))
        ring = servers.wheel.shape[0]
        # Whatever lasts beyond the episode holds its resources to the end: it needs no slot.
        slot = jnp.where(starts & (stay < ring), (time + stay) % ring, ring)
        freed = jnp.concatenate([demand, jnp.ones_like(demand[:, :1])], axis=-1)
        column = jnp.arange(starts.shape[0]) if server is None else server
        return eqx.tree_at(
            lambda s: (s.running, s.jobs, s.wheel),
            servers,
            (
                _add(servers.running, server, jnp.where(starts[:, None], demand, 0)),
                _add(servers.jobs, server, starts.astype(jnp.int32)),
                servers.wheel.at[slot, column].add(freed, mode="drop"),
            ),
        )

    def _enqueue(self, servers, server, waits, job, demand) -> Servers:
        """Append at most one job to the local queue of each of these servers."""
        none = servers.behind.shape[0]
        head, tail = _rows(servers.head, server), _rows(servers.tail, server)
        empty = _rows(servers.waiting, server) == 0
        link = jnp.where(waits & ~empty, tail, none)
        return eqx.tree_at(
            lambda s: (s.queued, s.waiting, s.head, s.tail, s.behind),
            servers,
            (
                _add(servers.queued, server, jnp.where(waits[:, None], demand, 0)),
                _add(servers.waiting, server, waits.astype(jnp.int32)),
                _add(servers.head, server, jnp.where(waits & empty, job - head, 0)),
                _add(servers.tail, server, jnp.where(waits, job - tail, 0)),
                servers.behind.at[link].set(job, mode="drop"),
            ),
        )

    def _pass_time(self, state: State) -> State:
        """To the next decision: completions, then local queues; arrivals are read off the clock."""
        time = state.time + 1
        servers = state.servers
        slot = time % servers.wheel.shape[0]
        done = servers.wheel[slot]
        servers = eqx.tree_at(
            lambda s: (s.running, s.jobs, s.wheel),
            servers,
            (
                servers.running - done[:, :-1],
                servers.jobs - done[:, -1],
                servers.wheel.at[slot].set(0),
            ),
        )
        constants = (state.scenario, time)
        _, servers = while_any(
            lambda _, carry: jnp.any(carry[0]),
            self._start_heads,
            constants,
            (self._heads_that_fit(state.scenario, servers), servers),
        )
        return eqx.tree_at(
            lambda s: (s.servers, s.time, s.finished),
            state,
            (servers, time, state.finished + jnp.sum(done[:, -1])),
        )

    def _heads_that_fit(self, scenario: Scenario, servers: Servers) -> Bool[Array, " M"]:
        demand = scenario.demand[scenario.rows(servers.head)]
        room = jnp.all(servers.running + demand <= scenario.capacity, axis=-1)
        return (servers.waiting > 0) & room

    def _start_heads(self, constants, carry):
        scenario, time = constants
        starts, servers = carry
        row = scenario.rows(servers.head)
        demand = scenario.demand[row]
        duration = scenario.duration[row]
        servers = self._start(scenario, time, servers, None, starts, demand, duration)
        servers = eqx.tree_at(
            lambda s: (s.queued, s.waiting, s.head),
            servers,
            (
                servers.queued - jnp.where(starts[:, None], demand, 0),
                servers.waiting - starts,
                jnp.where(starts, servers.behind[servers.head], servers.head),
            ),
        )
        return self._heads_that_fit(scenario, servers), servers

    def _arrived(self, state: State) -> Int[Array, ""]:
        last = self.workload.horizon - 1
        return state.scenario.arrived[jnp.minimum(state.time, last)]

    def buffered(self, state: State) -> Int[Array, ""]:
        """Jobs in the global buffer."""
        return self._arrived(state) - state.dispatched

    def counts(self, state: State) -> dict[str, Int[Array, ""]]:
        """Where all jobs are: arrived = buffered + queued + running + finished, at every tick."""
        return {
            "arrived": self._arrived(state),
            "buffered": self.buffered(state),
            "queued": jnp.sum(state.servers.waiting),
            "running": jnp.sum(state.servers.jobs),
            "finished": state.finished,
            "beyond": jnp.maximum(0, self._arrived(state) - self.workload.jobs),
        }

    def natural(self, load: Int[Array, "*n R"]) -> Float[Array, "*n R"]:
        """Integer units to vCPU, GiB and GPUs."""
        units = jnp.array([float(cloud.UNITS[r]) for r in self.workload.resources])
        return load / jnp.broadcast_to(units, load.shape)

    def total(self, capacity: Int[Array, "M R"]) -> Float[Array, ""]:
        """What energy is divided by."""
        natural = self.natural(capacity)
        return jnp.sum(natural) if self.total_capacity else jnp.sum(natural[:, 0])

    def _reward(self, state: State) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        """-(w1 queue + w2 energy); Yang & Liu (2026), appendix H.3."""
        scenario, servers = state.scenario, state.servers
        buffered = self.buffered(state)
        waiting = buffered + jnp.sum(servers.waiting)
        queue = self.queue_weight * waiting / scenario.size
        used = jnp.sum(self.natural(servers.running), axis=-1)
        work = jnp.sum(used / (scenario.efficiency[:, 0] / 1000))
        energy = self.energy_weight * work / self.total(scenario.capacity)
        busy = jnp.sum(self.natural(servers.running), axis=0)
        utilisation = busy / jnp.sum(self.natural(scenario.capacity), axis=0)
        diagnostics = {
            "queue": queue,
            "energy": energy,
            "utilisation": jnp.max(utilisation),
            "buffered": buffered.astype(jnp.float32),
            "beyond": jnp.maximum(0, self._arrived(state) - self.workload.jobs).astype(jnp.float32),
        }
        return -(queue + energy), diagnostics

    def observe(self, state: State) -> Observation:
        """Servers as entities, the job at hand as the agent's own view; appendix H.2."""
        hand = self.hand(state)
        scale = jnp.array(self.workload.job_scale)
        active = hand.active
        locals_ = hand.demand / scale[None]
        if self.view == "full":
            locals_ = jnp.concatenate([locals_, jnp.log1p(100 * locals_)], axis=-1)
        return Observation(
            local=locals_,
            world=World(
                entities=self._entities(state),
                globals=self._globals(state, locals_, active),
                present=self._seen(state.scenario),
            ),
            mask=self._legal(state, hand),
            active=active,
        )

    def _legal(self, state: State, hand: Hand) -> Bool[Array, "#N G"]:
        if self.varied:
            return self._present(state.scenario).reshape(self.groups, -1)[None, :, 0]
        if not self.guarded:
            return jnp.ones((1, self.groups), bool)
        capacity = state.scenario.capacity
        possible = jnp.all(hand.demand[:, None] <= capacity[None], axis=-1)
        return jnp.any(possible.reshape(possible.shape[0], self.groups, -1), axis=-1)

    def _present(self, scenario: Scenario) -> Bool[Array, " M"]:
        return jnp.arange(self.workload.servers) < scenario.size

    def _seen(self, scenario: Scenario) -> Bool[Array, " K"] | None:
        if not self.varied:
            return None
        present = self._present(scenario)
        return present if self.view != "clusters" else present.reshape(self.groups, -1)[:, 0]

    def _entities(self, state: State) -> Float[Array, "K F"]:
        scenario, servers = state.scenario, state.servers
        capacity = scenario.capacity
        if self.view == "clusters":
            efficiency = scenario.efficiency[:, 0] / 1000
            queue = jnp.minimum(servers.waiting / QUEUE_SCALE, 1.0)
            used = servers.running[:, :2] / jnp.maximum(capacity[:, :2], 1)
            tables = (used, capacity[:, :2], efficiency, queue)
            return clusters.describe(*self.by_group(tables))
        columns = [
            servers.running / jnp.maximum(capacity, 1),
            jnp.minimum(servers.waiting / QUEUE_SCALE, 1.0)[:, None],
            scenario.efficiency / 1000,
            capacity / jnp.array([self.workload.capacity_scale]),
        ]
        if self.view == "full":
            scale = jnp.array([self.workload.job_scale])
            left = capacity - servers.running
            columns += [
                servers.committed / jnp.maximum(capacity, 1),
                left / scale,
                capacity / scale,
            ]
        return jnp.concatenate(columns, axis=-1)

    def _globals(
        self, state: State, demand: Float[Array, "N D"], active: Bool[Array, " N"]
    ) -> Float[Array, " G"]:
        servers = state.servers
        time = state.time / self.spec.horizon
        if self.view == "clusters":
            return jnp.concatenate([clusters.jobs(demand[:, :2], active), time[None]])
        if self.view == "paper":
            return time[None]
        m = state.scenario.size
        total = jnp.sum(state.scenario.capacity.astype(jnp.float32), axis=0)
        load = jnp.sum(servers.committed.astype(jnp.float32), axis=0) / jnp.maximum(total, 1)
        pressure = jnp.stack(
            [
                time,
                jnp.sum(active) / self.slots(state.scenario),
                jnp.log1p(self.buffered(state) / m),
                jnp.log1p(jnp.sum(servers.waiting) / m),
            ]
        )
        return jnp.concatenate([pressure, load])


def _rows(table: Int[Array, "M *r"], server: Int[Array, " G"] | None) -> Int[Array, "G *r"]:
    """The rows of these servers; of all, in order, for None."""
    return table if server is None else table[server]


def _add(
    table: Int[Array, "M *r"], server: Int[Array, " G"] | None, change: Int[Array, "G *r"]
) -> Int[Array, "M *r"]:
    """The table with a change for each of these servers; for all, in order, for None."""
    return table + change if server is None else table.at[server].add(change)


def dominant(load: Int[Array, "*n R"], capacity: Int[Array, "*n R"]) -> Float[Array, "*n"]:
    """Share of capacity that the tightest resource takes; load on a resource that a server lacks
    counts as more than any share."""
    share = jnp.where(capacity > 0, load / jnp.maximum(capacity, 1), 1e6 * (load > 0))
    return jnp.max(share, axis=-1)


class Sizes(TypedDict):
    """Feature counts of observations."""

    local: int
    features: int
    globals: int


def sizes(resources: int, view: View) -> Sizes:
    """Feature counts of observations, for `Spec`."""
    if view == "clusters":
        return {
            "local": resources,
            "features": clusters.FEATURES,
            "globals": clusters.GLOBALS,
        }
    full = view == "full"
    entity = 2 * resources + 3
    return {
        "local": resources * (2 if full else 1),
        "features": entity + (3 * resources if full else 0),
        "globals": 4 + resources if full else 1,
    }


def supplies(resources: int, view: View) -> tuple[tuple[int, int, int], ...]:
    """Demand of the job at hand, what committed load leaves, and capacity, where all are
    observed."""
    if view != "full":
        return ()
    left = 2 * resources + 3 + resources
    return tuple((r, left + r, left + resources + r) for r in range(resources))
