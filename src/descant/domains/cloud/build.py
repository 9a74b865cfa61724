"""From a configuration to a domain."""

import math
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from descant.core.domain import Domain
from descant.core.errors import UserError
from descant.core.types import Spec
from descant.domains.cloud import Config
from descant.domains.cloud import instances as cloud
from descant.domains.cloud.barrier import Crowding
from descant.domains.cloud.bound import bound
from descant.domains.cloud.env import Cluster, sizes, supplies
from descant.domains.cloud.model import Placement, prepare
from descant.domains.cloud.rules import rules
from descant.domains.cloud.trace import load
from descant.domains.cloud.workload import AbstractWorkload, Paper, Replay, room

SLOTS_PER_SERVER = 2.2
"""Under true load about 1.25 jobs per server and tick arrive on average and 1.7 at high tide."""
SLOTS_PER_JOB = 4
"""Slots for each job that arrives in a tick on average, for traces with their bursts."""
LULL = 100
"""A gap between two jobs of a trace counts as this many median gaps at most: recordings that begin
long before regular operation would otherwise be mostly empty."""


def build(config: Config, groups: int) -> Domain:
    """Assemble world, model and rules.

    Raises:
        UserError: the trace cannot be used.
    """
    workload = _replay(config) if config.trace else _paper(config, groups)
    view = config.observation
    resources = len(workload.resources)
    kappa = config.kappa if config.model == "efficiency" else 0.0
    env = Cluster(
        spec=Spec(
            agents=config.agents or _slots(config, workload),
            actions=groups,
            horizon=config.horizon,
            entities=groups if view == "clusters" else config.servers,
            supplies=supplies(resources, view),
            **sizes(resources, view),
        ),
        workload=workload,
        groups=groups,
        view=view,
        queue_weight=config.queue_weight,
        energy_weight=_energy_weight(config),
        total_capacity=config.reward_scale == "total",
        guarded=bool(config.trace),
        prepare=lambda scenario: prepare(env, kappa, scenario),
    )
    model = (
        Crowding(env=env, weight=config.barrier, blocking=config.blocking)
        if config.model == "crowding"
        else Placement(
            env=env,
            plan="queueing" if config.model == "queueing" else "water",
            congestion=config.barrier,
        )
    )
    return Domain(
        name="cloud",
        env=env,
        model=model,
        rules=rules(env, model),
        headline="best-fit",
        figures=("utilisation", "queue", "energy", "buffered"),
        bound=partial(bound, env),
        default=lambda state: jnp.zeros((env.spec.agents,), jnp.int32),
    )


def _energy_weight(config: Config) -> float:
    if config.energy_weight is not None:
        return config.energy_weight
    return 0.0 if config.trace else 20.0


def _slots(config: Config, workload: AbstractWorkload) -> int:
    if config.trace:
        return math.ceil(SLOTS_PER_JOB * workload.jobs / config.arrivals) + 4
    # Rounded first: in floating point 2.2 * 25 lies above 55.
    return math.ceil(round((SLOTS_PER_SERVER if config.load == "true" else 1) * config.servers, 6))


def _paper(config: Config, groups: int) -> Paper:
    low, high = config.utilisation
    true = config.load == "true"
    # Under true load the rate follows the drawn machines; 60 % of a mean machine is one deviation.
    per_server = 1.6 if true else 1.0
    ticks = config.arrivals * (1 + cloud.TIDE * (config.arrivals % cloud.PERIOD != 0))
    mean = high * per_server * config.servers * ticks
    spread = high * 0.6 * per_server * math.sqrt(config.servers) * ticks if true else 0.0
    slowest = cloud.EFFICIENCY[:, 0].min()
    return Paper(
        servers=config.servers,
        fewest=config.fewest or config.servers,
        step=config.servers // groups,
        ordered=groups < config.servers,
        by_capacity=true,
        load=(low, high),
        horizon=config.horizon,
        arrivals=config.arrivals,
        jobs=room(mean, spread),
        longest=math.ceil(cloud.DURATION[2][1] * 1000 / slowest),
    )


def _replay(config: Config) -> Replay:
    trace = load(Path(config.trace))
    unknown = [name for name in trace.resources if name not in cloud.UNITS]
    if unknown:
        raise UserError(
            f"domain.trace: {config.trace} has the resource {unknown[0]!r}; energy is known for "
            f"{', '.join(cloud.UNITS)}."
        )
    if trace.resources[0] != "cpu":
        raise UserError(f"domain.trace: {config.trace}: the first resource must be cpu.")
    # What lasts beyond the episode holds its resources to the end either way.
    ticks = np.clip(np.ceil(trace.duration / config.tick), 1, config.horizon + 1)
    gap = np.diff(trace.time)
    median = float(np.median(gap)) if len(gap) else 1.0
    gap = np.minimum(np.append(gap, median), LULL * max(median, 1e-3)) + 1e-3
    return Replay(
        nodes=jnp.asarray(trace.capacity, jnp.int32),
        demand=jnp.asarray(trace.demand, jnp.int32),
        duration=jnp.asarray(ticks, jnp.int32),
        gap=jnp.asarray(gap, jnp.float32),
        servers=config.servers,
        fewest=config.servers,
        resources=trace.resources,
        load=config.utilisation,
        horizon=config.horizon,
        arrivals=config.arrivals,
        jobs=_most_jobs(config, trace.capacity, trace.demand, ticks),
        longest=int(ticks.max()),
        job_scale=tuple(np.maximum(trace.demand.max(axis=0), 1).astype(float).tolist()),
        capacity_scale=tuple(np.maximum(trace.capacity.max(axis=0), 1).astype(float).tolist()),
    )


def _most_jobs(config: Config, capacity: np.ndarray, demand: np.ndarray, ticks: np.ndarray) -> int:
    """Jobs that a scenario of the largest nodes may take; jobs passed over leave more room for
    others, so a tenth is added.
    """
    work = (np.minimum(ticks, config.arrivals)[:, None] * demand).mean(axis=0)
    used = work > 0
    repeats = math.ceil(config.servers / len(capacity))
    largest = np.sort(np.repeat(capacity, repeats, axis=0), axis=0)[::-1][: config.servers]
    per_tick = (largest.sum(axis=0, dtype=np.float64)[used] / work[used]).min()
    return math.ceil(1.1 * config.utilisation[1] * per_tick * config.arrivals) + 8
