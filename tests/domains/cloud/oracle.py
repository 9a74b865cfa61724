"""The calibrated cloud cluster in plain Python, to hold the fast implementation against.

Written to be checked by eye, not to be quick: loops, lists and whole numbers. Resources are
integers (millicores, MiB, thousandths of a GPU), so that every sum of demands is exact and a job
either fits or does not. `Oracle` is the physics, `RULES` are the placement heuristics, `scenario`
draws clusters and workloads as Yang & Liu (2026), Appendix H, and `write_golden` stores episodes:

    python tests/domains/cloud/oracle.py tests/golden/cloud_small.json
"""

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

Scale = Literal["cores", "total"]
Score = Callable[[int], float | tuple]
"""What a server is worth to a rule; higher is better, tuples by their first difference."""
NATURAL = (1000, 1024, 1000)
"""What one core, one GB and one GPU are in the integer units of the columns."""


def share(amount: int, capacity: int) -> float:
    """Fraction of `capacity` that `amount` takes; what a machine lacks takes it infinitely."""
    if capacity == 0:
        return 0.0 if amount == 0 else math.inf
    return amount / capacity


def service_ticks(duration: float, efficiency: float) -> int:
    """Ticks a job holds its resources: max(1, ceil(duration / efficiency)).

    The efficiency is taken as the decimal number it is written as. In floating point 21 / 0.7 lies
    just above 30 and would cost the job a tick.
    """
    return max(1, math.ceil(math.floor(duration) / Fraction(str(float(efficiency)))))


class Cluster:
    """Servers, what runs on them and what waits at them.

    `running[m]` and `queued[m]` are the summed demands of the jobs in service and in the local
    queue of server m, `queues[m]` the waiting jobs, oldest first. Groups are runs of consecutive
    servers. `place[m]` is the position of server m in the operator's list, by which equals are told
    apart; without it that is the index.
    """

    def __init__(self, capacity, efficiency, demand, clusters: int, place=None):
        self.capacity = [[int(c) for c in row] for row in capacity]
        self.efficiency = [float(e) for e in efficiency]
        self.demand = [[int(w) for w in row] for row in demand]
        self.groups = clusters
        assert len(self.capacity) % clusters == 0, "groups must have equally many servers"
        self.servers = range(len(self.capacity))
        self.place_of = list(self.servers) if place is None else [int(p) for p in place]
        assert sorted(self.place_of) == list(self.servers), "places must be a permutation"
        self.resources = range(len(self.capacity[0]))
        self.running = [[0 for _ in self.resources] for _ in self.servers]
        self.queued = [[0 for _ in self.resources] for _ in self.servers]
        self.queues: list[list[int]] = [[] for _ in self.servers]

    def copy(self) -> "Cluster":
        """The same state, free to be changed; capacities and demands are constant and shared."""
        twin = Cluster.__new__(Cluster)
        vars(twin).update(vars(self))
        twin.running = [list(row) for row in self.running]
        twin.queued = [list(row) for row in self.queued]
        twin.queues = [list(queue) for queue in self.queues]
        return twin

    def group_of(self, server: int) -> int:
        return server // (len(self.capacity) // self.groups)

    def members(self, group: int) -> range:
        size = len(self.capacity) // self.groups
        return range(group * size, (group + 1) * size)

    def fits(self, server: int, job: int) -> bool:
        for r in self.resources:
            if self.running[server][r] + self.demand[job][r] > self.capacity[server][r]:
                return False
        return True

    def dominant(self, server: int) -> float:
        """Utilisation of the fullest resource by running jobs."""
        return max(share(self.running[server][r], self.capacity[server][r]) for r in self.resources)

    def committed(self, server: int) -> float:
        """Running and queued demand over capacity, of the resource most asked for."""
        loads = []
        for r in self.resources:
            load = self.running[server][r] + self.queued[server][r]
            loads.append(share(load, self.capacity[server][r]))
        return max(loads)

    def first_best(self, candidates: Sequence[int], score: Score) -> int:
        """The candidate of the highest score; among equals the first in the operator's list."""
        listed = sorted(candidates, key=lambda server: self.place_of[server])
        # `max` returns the first of several equals
        return max(listed, key=score)

    def least_committed(self, candidates: Sequence[int]) -> int:
        return self.first_best(candidates, lambda server: -self.committed(server))

    def best_fit(self, candidates: Sequence[int], job: int) -> int:
        """The fullest candidate with room, else the least committed.

        The least committed server may be too small for the job ever to fit; it then waits for good.
        """
        fitting = [server for server in candidates if self.fits(server, job)]
        if fitting:
            return self.first_best(fitting, self.dominant)
        return self.least_committed(candidates)

    def start(self, server: int, job: int) -> None:
        for r in self.resources:
            self.running[server][r] += self.demand[job][r]

    def finish(self, server: int, job: int) -> None:
        for r in self.resources:
            self.running[server][r] -= self.demand[job][r]

    def wait(self, server: int, job: int) -> None:
        self.queues[server].append(job)
        for r in self.resources:
            self.queued[server][r] += self.demand[job][r]

    def leave_queue(self, server: int) -> int:
        job = self.queues[server].pop(0)
        for r in self.resources:
            self.queued[server][r] -= self.demand[job][r]
        return job

    def place(self, group: int, job: int) -> tuple[int, bool]:
        """Best-Fit inside the group: the server, and whether the job started there or waits there.

        A job that fits starts at once, also past jobs already waiting at that server.
        """
        server = self.best_fit(self.members(group), job)
        if self.fits(server, job):
            self.start(server, job)
            return server, True
        self.wait(server, job)
        return server, False


class Oracle:
    """An episode of the calibrated cloud cluster, one tick at a time.

    A tick is: completions free resources; local queues start jobs from their heads; arrivals join
    the buffer; *observation*; dispatch, one job per agent, agents one after another; reward.
    `step` dispatches, rewards, and then opens the next tick, so that between steps the state is the
    one the agents observe. The returned info is taken at the moment of the reward. After the last
    tick nothing opens.
    """

    def __init__(
        self,
        capacity,
        efficiency,
        arrivals,
        demand,
        duration,
        agents: int,
        clusters: int,
        reward_scale: Scale = "cores",
        queue_weight: float = 1.0,
        energy_weight: float = 20.0,
        place=None,
    ):
        self.cluster = Cluster(capacity, efficiency, demand, clusters, place)
        self.arrivals = [int(n) for n in arrivals]
        self.duration = [float(d) for d in duration]
        assert sum(self.arrivals) <= len(self.duration) == len(self.cluster.demand)
        self.agents = agents
        self.reward_scale = reward_scale
        self.queue_weight = queue_weight
        self.energy_weight = energy_weight
        self.tick = 0
        self.arrived = 0
        self.finished = 0
        self.buffer: list[int] = []
        # (finish tick, server, job) of every job in service
        self.service: list[tuple[int, int, int]] = []
        self._open()

    @property
    def buffered(self) -> int:
        return len(self.buffer)

    @property
    def queued(self) -> int:
        return sum(len(queue) for queue in self.cluster.queues)

    @property
    def running(self) -> int:
        return len(self.service)

    @property
    def done(self) -> bool:
        return self.tick == len(self.arrivals)

    def at_hand(self) -> list[int]:
        """The jobs this tick's agents hold, one each, oldest first."""
        return self.buffer[: self.agents]

    def observe(self) -> dict:
        """What the agents see: the state after arrivals and before dispatch."""
        jobs = self.at_hand()
        resources = len(self.cluster.resources)
        return {
            "tick": self.tick,
            "queue": np.array([len(queue) for queue in self.cluster.queues]),
            "running": np.array(self.cluster.running),
            "queued": np.array(self.cluster.queued),
            "buffer": self.buffered,
            "jobs": jobs,
            "demand": np.array([self.cluster.demand[j] for j in jobs]).reshape(-1, resources),
        }

    def step(self, actions: Sequence[int]) -> tuple[float, dict]:
        """Dispatch the jobs at hand to the chosen groups; actions of idle agents are ignored."""
        assert not self.done, "the episode is over"
        jobs = self.at_hand()
        assert len(actions) >= len(jobs), f"{len(jobs)} jobs at hand, {len(actions)} actions"
        servers, started = [], []
        for agent, job in enumerate(jobs):
            server, starts = self.cluster.place(int(actions[agent]), job)
            if starts:
                self._serve(server, job)
            servers.append(server)
            started.append(starts)
        self.buffer = self.buffer[len(jobs) :]
        reward = self._reward()
        info = {
            "tick": self.tick,
            "jobs": jobs,
            "servers": servers,
            "started": started,
            "buffer": self.buffered,
            "queue": np.array([len(queue) for queue in self.cluster.queues]),
            "running": np.array(self.cluster.running),
            "queued": np.array(self.cluster.queued),
            "waiting": self._waiting(),
            "energy": self._energy(),
            "arrived": self.arrived,
            "finished": self.finished,
        }
        self.tick += 1
        if not self.done:
            self._open()
        return reward, info

    def check(self) -> None:
        """Every job is in exactly one place, the sums are the sums, and no server is overfull."""
        total = self.buffered + self.queued + self.running + self.finished
        assert self.arrived == total, (
            f"tick {self.tick}: {self.arrived} arrived, {total} accounted for"
        )
        places = list(self.buffer)
        for queue in self.cluster.queues:
            places += queue
        places += [job for _, _, job in self.service]
        assert len(set(places)) == len(places), f"tick {self.tick}: a job is in two places"
        for server in self.cluster.servers:
            inside = [job for _, where, job in self.service if where == server]
            for r in self.cluster.resources:
                waiting = self.cluster.queues[server]
                running = sum(self.cluster.demand[job][r] for job in inside)
                queued = sum(self.cluster.demand[job][r] for job in waiting)
                where = f"tick {self.tick}, server {server}, resource {r}"
                assert running == self.cluster.running[server][r], where
                assert queued == self.cluster.queued[server][r], where
                assert 0 <= running <= self.cluster.capacity[server][r], where

    def _open(self) -> None:
        self._complete()
        self._start_queues()
        self._arrive()

    def _complete(self) -> None:
        remaining = []
        for finish, server, job in self.service:
            if finish == self.tick:
                self.cluster.finish(server, job)
                self.finished += 1
            else:
                remaining.append((finish, server, job))
        self.service = remaining

    def _start_queues(self) -> None:
        for server in self.cluster.servers:
            queue = self.cluster.queues[server]
            while queue and self.cluster.fits(server, queue[0]):
                job = self.cluster.leave_queue(server)
                self.cluster.start(server, job)
                self._serve(server, job)

    def _arrive(self) -> None:
        for _ in range(self.arrivals[self.tick]):
            self.buffer.append(self.arrived)
            self.arrived += 1

    def _serve(self, server: int, job: int) -> None:
        ticks = service_ticks(self.duration[job], self.cluster.efficiency[server])
        self.service.append((self.tick + ticks, server, job))

    def _waiting(self) -> float:
        """Jobs waiting, in the buffer and at servers, per server."""
        return (self.buffered + self.queued) / len(self.cluster.servers)

    def _energy(self) -> float:
        """sum_k L_k / eta_k over total capacity, H.3; loads add raw cores, GB and GPUs."""
        used = 0.0
        for server in self.cluster.servers:
            load = natural_sum(self.cluster.running[server])
            used += load / self.cluster.efficiency[server]
        total = 0.0
        for row in self.cluster.capacity:
            total += row[0] / NATURAL[0] if self.reward_scale == "cores" else natural_sum(row)
        return used / total

    def _reward(self) -> float:
        return -(self.queue_weight * self._waiting() + self.energy_weight * self._energy())


def natural_sum(row: Sequence[int]) -> float:
    """Cores + GB (+ GPUs) as one raw number."""
    return sum(amount / NATURAL[r] for r, amount in enumerate(row))


Rule = Callable[[Cluster, list[int], int, np.random.Generator], int]
"""Names a group, given a tentative cluster, the tick's jobs, which agent asks, and chance.

In the tentative cluster the agents before have already placed their jobs.
"""


def decide(oracle: Oracle, rule: Rule, rng: np.random.Generator) -> list[int]:
    """One action per job at hand, agents deciding in turn."""
    tentative = oracle.cluster.copy()
    jobs = oracle.at_hand()
    actions = []
    for agent, job in enumerate(jobs):
        action = rule(tentative, jobs, agent, rng)
        tentative.place(action, job)
        actions.append(action)
    return actions


def random(cluster, jobs, agent, rng) -> int:
    return int(rng.integers(cluster.groups))


def round_robin(cluster, jobs, agent, rng) -> int:
    return jobs[agent] % cluster.groups


def jsq(cluster, jobs, agent, rng) -> int:
    """Fewest waiting jobs; among those, the least loaded once the job is there."""

    def key(server):
        loads = []
        for r in cluster.resources:
            load = cluster.running[server][r] + cluster.queued[server][r]
            load += cluster.demand[jobs[agent]][r]
            loads.append(share(load, cluster.capacity[server][r]))
        return -len(cluster.queues[server]), -max(loads)

    return cluster.group_of(cluster.first_best(cluster.servers, key))


def highest(cluster: Cluster, job: int, score: Score) -> int:
    """Group of the best-scoring server with room for the job, else of the least committed one."""
    fitting = [server for server in cluster.servers if cluster.fits(server, job)]
    if fitting:
        return cluster.group_of(cluster.first_best(fitting, score))
    return cluster.group_of(cluster.least_committed(cluster.servers))


def shares_after(cluster: Cluster, server: int, job: int) -> list[float]:
    """(u + w) / mu per resource: utilisation by running jobs once the job has started."""
    shares = []
    for r in cluster.resources:
        load = cluster.running[server][r] + cluster.demand[job][r]
        shares.append(share(load, cluster.capacity[server][r]))
    return shares


def first_fit(cluster, jobs, agent, rng) -> int:
    return highest(cluster, jobs[agent], lambda server: -cluster.place_of[server])


def best_fit(cluster, jobs, agent, rng) -> int:
    return highest(cluster, jobs[agent], cluster.dominant)


def worst_fit(cluster, jobs, agent, rng) -> int:
    return highest(cluster, jobs[agent], lambda server: -cluster.dominant(server))


def tetris(cluster, jobs, agent, rng) -> int:
    """Inner product of free capacity and demand, both in units of the largest machine."""

    def alignment(server):
        total = 0.0
        for r in cluster.resources:
            largest = max(row[r] for row in cluster.capacity)
            free = cluster.capacity[server][r] - cluster.running[server][r]
            total += share(free, largest) * share(cluster.demand[jobs[agent]][r], largest)
        return total

    return highest(cluster, jobs[agent], alignment)


def dominant_share(cluster, jobs, agent, rng) -> int:
    """The server of whose free capacity the job takes the smallest part."""

    def part(server):
        parts = []
        for r in cluster.resources:
            free = cluster.capacity[server][r] - cluster.running[server][r]
            parts.append(share(cluster.demand[jobs[agent]][r], free))
        return max(parts)

    return highest(cluster, jobs[agent], lambda server: -part(server))


def most_efficient_first(cluster, jobs, agent, rng) -> int:
    def key(server):
        return cluster.efficiency[server], cluster.dominant(server)

    return highest(cluster, jobs[agent], key)


def least_allocated(cluster, jobs, agent, rng) -> int:
    def free_after(server):
        return float(np.mean([1 - s for s in shares_after(cluster, server, jobs[agent])]))

    return highest(cluster, jobs[agent], free_after)


def most_allocated(cluster, jobs, agent, rng) -> int:
    def used_after(server):
        return float(np.mean(shares_after(cluster, server, jobs[agent])))

    return highest(cluster, jobs[agent], used_after)


def balanced_allocation(cluster, jobs, agent, rng) -> int:
    def balance(server):
        return 1 - float(np.std(shares_after(cluster, server, jobs[agent])))

    return highest(cluster, jobs[agent], balance)


def slope_greedy(cluster, jobs, agent, rng) -> int:
    """Least rise of the distance to the capacity-proportional load, in the metric of equation 15.

    c_j = sum_r (1 / sum_i mu_ir) w_r (x_jr + w_r / 2 - ref_jr) / mu_jr, with x the committed load
    and ref_jr = mu_jr / sum_i mu_ir * C_r, where C_r counts the committed load and all jobs of the
    tick. Whether the job fits is not asked.
    """
    job = cluster.demand[jobs[agent]]

    def slope(server):
        total = 0.0
        for r in cluster.resources:
            capacity = sum(row[r] for row in cluster.capacity)
            load = sum(cluster.running[j][r] + cluster.queued[j][r] for j in cluster.servers)
            # the jobs before this one are already part of the tentative load
            load += sum(cluster.demand[later][r] for later in jobs[agent:])
            own = cluster.capacity[server][r]
            if own == 0:
                total += 0.0 if job[r] == 0 else math.inf
                continue
            reference = own / capacity * load
            committed = cluster.running[server][r] + cluster.queued[server][r]
            total += job[r] * (committed + job[r] / 2 - reference) / own / capacity
        return total

    return cluster.group_of(cluster.first_best(cluster.servers, lambda server: -slope(server)))


RULES: dict[str, Rule] = {
    "random": random,
    "round-robin": round_robin,
    "jsq": jsq,
    "first-fit": first_fit,
    "best-fit": best_fit,
    "worst-fit": worst_fit,
    "tetris": tetris,
    "dominant-share": dominant_share,
    "most-efficient-first": most_efficient_first,
    "least-allocated": least_allocated,
    "most-allocated": most_allocated,
    "balanced-allocation": balanced_allocation,
    "slope-greedy": slope_greedy,
}


def episode(oracle: Oracle, rule: str, rng: np.random.Generator) -> float:
    """Mean reward of a whole episode, drain included."""
    rewards = []
    while not oracle.done:
        reward, _ = oracle.step(decide(oracle, RULES[rule], rng))
        rewards.append(reward)
    return float(np.mean(rewards))


# Table 4: vCPU, GB, eta_CPU, weight in per cent.
INSTANCES = (
    ("m4.8xlarge", 32, 128, 0.70, 10),
    ("t3.2xlarge", 16, 64, 0.72, 3),
    ("t3a.2xlarge", 16, 64, 0.75, 2),
    ("m5.8xlarge", 32, 128, 0.95, 20),
    ("c5.18xlarge", 64, 128, 0.98, 10),
    ("c5.12xlarge", 48, 96, 0.97, 8),
    ("r5.8xlarge", 32, 256, 0.87, 9),
    ("r5.6xlarge", 24, 192, 0.84, 7),
    ("m5n.12xlarge", 48, 192, 0.96, 6),
    ("m6i.8xlarge", 32, 128, 1.06, 15),
    ("c5n.18xlarge", 64, 256, 1.08, 8),
    ("c6i.32xlarge", 96, 384, 1.08, 2),
)


@dataclass(frozen=True)
class Scenario:
    """What `Oracle` needs, in its units."""

    capacity: np.ndarray
    """[M, 2] millicores and MiB."""
    efficiency: np.ndarray
    """[M] eta_CPU."""
    arrivals: np.ndarray
    """[T] jobs per tick."""
    demand: np.ndarray
    """[J, 2] millicores and MiB."""
    duration: np.ndarray
    """[J] whole ticks, before division by the efficiency."""
    agents: int
    clusters: int
    reward_scale: Scale
    place: np.ndarray | None = None
    """[M] position in the operator's list, if that is not the index."""

    def oracle(self) -> Oracle:
        return Oracle(**vars(self))


def workload(rng: np.random.Generator, jobs: int) -> tuple[np.ndarray, np.ndarray]:
    """Demands and durations of H.1: 60 % CPU-intensive, 40 % memory-intensive jobs.

    Classical Pareto: numpy's starts at zero, so one is added before scaling by the minimum.
    """
    demand = np.zeros((jobs, 2), dtype=np.int64)
    duration = np.zeros(jobs)
    for j in range(jobs):
        if rng.random() < 0.6:
            cores = np.clip(0.6 * (1 + rng.pareto(1.7)), 0.5, 20)
            memory = np.clip(cores * rng.uniform(1.5, 3.0), 0.5, 64)
        else:
            cores = np.clip(0.4 * (1 + rng.pareto(2.2)), 0.2, 8)
            memory = np.clip(cores * rng.uniform(6, 12), 1, 128)
        demand[j, 0] = max(1, round(cores * NATURAL[0]))
        demand[j, 1] = max(1, round(memory * NATURAL[1]))
        duration[j] = math.floor(np.clip(rng.lognormal(3.0, 0.5), 5, 150))
    return demand, duration


def intensity(rng: np.random.Generator, rate: float, tick: int) -> float:
    """Arrival intensity of H.1: a tide of 1000 ticks and noise of standard deviation 0.1."""
    tide = 0.3 * math.sin(2 * math.pi * tick / 1000)
    return rate * max(0.1, 1 + tide + rng.normal(0, 0.1))


def bottleneck_rate(rng: np.random.Generator, capacity, efficiency, rho: float) -> float:
    """Jobs per tick that keep the scarcest resource busy to rho, capacities counted times eta.

    Half a tick is added to the mean duration: durations are cut to whole ticks, and rounding
    duration / eta up to whole ticks gives that half back.
    """
    demand, duration = workload(rng, 50_000)
    ticks = float(duration.mean()) + 0.5
    rates = []
    for r in range(capacity.shape[1]):
        speed = float(np.sum(capacity[:, r] * efficiency))
        rates.append(rho * speed / (float(demand[:, r].mean()) * ticks))
    return min(rates)


def scenario(
    rng: np.random.Generator,
    servers: int,
    rho: float | None = None,
    *,
    clusters: int | None = None,
    load: Literal["paper", "true"] = "paper",
    arrival_ticks: int = 2000,
    drain_ticks: int = 1000,
) -> Scenario:
    """Draw a cluster and its jobs as in H.1.

    `load="paper"`: rho jobs per server and tick, as many agents as servers, energy over cores.
    `load="true"`: the scarcest resource busy to rho, 2.2 agents a server, energy over cores + GB.
    """
    clusters = servers if clusters is None else clusters
    rho = rng.uniform(0.80, 0.85) if rho is None else rho
    weights = np.array([instance[4] for instance in INSTANCES]) / 100
    types = [INSTANCES[i] for i in rng.choice(len(INSTANCES), size=servers, p=weights)]
    if clusters < servers:
        types.sort(key=lambda instance: (instance[1], instance[2]))
    capacity = np.array([(t[1] * NATURAL[0], t[2] * NATURAL[1]) for t in types], dtype=np.int64)
    efficiency = np.array([t[3] for t in types])
    if load == "paper":
        rate, agents, scale = rho * servers, servers, "cores"
    else:
        rate = bottleneck_rate(rng, capacity, efficiency, rho)
        agents, scale = math.ceil(2.2 * servers), "total"
    arrivals = np.zeros(arrival_ticks + drain_ticks, dtype=np.int64)
    for tick in range(arrival_ticks):
        arrivals[tick] = rng.poisson(intensity(rng, rate, tick))
    demand, duration = workload(rng, int(arrivals.sum()))
    return Scenario(capacity, efficiency, arrivals, demand, duration, agents, clusters, scale)


def tight(rng: np.random.Generator, servers: int, clusters: int) -> Scenario:
    """Sixty ticks on machines an eighth of their size, so that queues form, block and drain again.

    Demands are cut to the smallest machine: a job that fits nowhere would block its queue for good.
    """
    drawn = scenario(rng, servers, clusters=clusters, arrival_ticks=40, drain_ticks=20)
    capacity = drawn.capacity // 8
    demand = np.minimum(drawn.demand, capacity.min(axis=0))
    return replace(drawn, capacity=capacity, demand=demand)


def replay(oracle: Oracle, actions: Sequence[Sequence[int]]) -> dict[str, list]:
    """Every tick's outcome under given actions, as plain lists."""
    kept = ("buffer", "queue", "running", "servers", "started", "finished")
    record: dict[str, list] = {"reward": [], **{name: [] for name in kept}}
    for chosen in actions:
        reward, info = oracle.step(chosen)
        oracle.check()
        record["reward"].append(reward)
        for name in kept:
            value = info[name]
            record[name].append(value.tolist() if isinstance(value, np.ndarray) else value)
    return record


def golden_case(servers: int, clusters: int, rule: str, scale: Scale, seed: int) -> dict:
    """A tight scenario, the actions of a rule in it, and what then happened."""
    rng = np.random.default_rng(seed)
    drawn = replace(tight(rng, servers, clusters), reward_scale=scale)
    oracle = drawn.oracle()
    actions = []
    while not oracle.done:
        actions.append(decide(oracle, RULES[rule], rng))
        oracle.step(actions[-1])
    inputs = {name: value for name, value in asdict(drawn).items() if value is not None}
    for name, value in inputs.items():
        inputs[name] = value.tolist() if isinstance(value, np.ndarray) else value
    return {"inputs": inputs, "actions": actions, "outcome": replay(drawn.oracle(), actions)}


def golden() -> dict[str, dict]:
    return {
        "every server its own group": golden_case(4, 4, "random", "cores", seed=1),
        "groups of two": golden_case(6, 3, "jsq", "total", seed=2),
    }


def write_golden(path: Path) -> None:
    """Store the golden episodes, one field a line, so that the diff names what changed."""
    cases = []
    for name, case in golden().items():
        fields = [f'  "actions": {compact(case["actions"])}']
        for part in ("inputs", "outcome"):
            lines = [f'    "{key}": {compact(value)}' for key, value in case[part].items()]
            fields.append(f'  "{part}": {{\n' + ",\n".join(lines) + "\n  }")
        cases.append(f'"{name}": {{\n' + ",\n".join(fields) + "\n}")
    path.write_text("{\n" + ",\n".join(cases) + "\n}\n", encoding="utf-8")


def compact(value) -> str:
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    write_golden(Path(sys.argv[1]))
