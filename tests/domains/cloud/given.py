"""The cloud environment on scenarios that are given as arrays, and everything it does in them."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
from jax import lax

from descant.core.types import Spec
from descant.domains.cloud.env import Cluster, State, sizes
from descant.domains.cloud.model import Placement, prepare
from descant.domains.cloud.workload import AbstractWorkload, Scenario

JOBS = 384
"""Rows of every job table here, so that scenarios share compiled programs."""
SCALES = {"cpu": (20_000.0, 96_000.0), "memory": (131_072.0, 393_216.0), "gpu": (8_000.0, 8_000.0)}


class Given(AbstractWorkload):
    """Always the same scenario."""

    scenario: Scenario
    servers: int = eqx.field(static=True)
    fewest: int = eqx.field(static=True)
    resources: tuple[str, ...] = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    jobs: int = eqx.field(static=True)
    longest: int = eqx.field(static=True)
    job_scale: tuple[float, ...] = eqx.field(static=True)
    capacity_scale: tuple[float, ...] = eqx.field(static=True)

    def draw(self, key) -> Scenario:
        return self.scenario


def scenario_of(drawn: oracle.Scenario) -> Scenario:
    """A scenario of the oracle in the library's arrays, its job table filled up with zeros."""
    count = len(drawn.duration)
    servers, resources = drawn.capacity.shape
    # Whatever does not fit in the table must never be looked up.
    kept = min(count, JOBS)
    demand = np.zeros((JOBS, resources), np.int32)
    demand[:kept] = drawn.demand[:kept]
    duration = np.zeros(JOBS, np.int32)
    duration[:kept] = np.floor(drawn.duration[:kept])
    efficiency = np.rint(np.asarray(drawn.efficiency) * 1000)
    # That of memory is observed and decides nothing.
    efficiency = np.stack([efficiency, efficiency - 20], -1)
    return Scenario(
        capacity=jnp.asarray(drawn.capacity, jnp.int32),
        efficiency=jnp.asarray(efficiency, jnp.int32),
        place=jnp.asarray(np.arange(servers) if drawn.place is None else drawn.place, jnp.int32),
        arrived=jnp.asarray(np.cumsum(drawn.arrivals), jnp.int32),
        demand=jnp.asarray(demand),
        duration=jnp.asarray(duration),
        offset=jnp.int32(0),
        size=jnp.int32(servers),
    )


def world(
    drawn: oracle.Scenario, *, longest: int = 215, guarded: bool = False, kappa: float = 0.0
) -> tuple[Cluster, Placement]:
    """Environment and model for all scenarios with the sizes and the reward scale of this one.

    No stay may be longer than `longest`, which is that of the paper's jobs on its slowest machine.
    """
    servers, resources = drawn.capacity.shape
    names = ("cpu", "memory", "gpu")[:resources]
    horizon = len(drawn.arrivals)
    env = Cluster(
        spec=Spec(
            agents=drawn.agents,
            actions=drawn.clusters,
            horizon=horizon,
            entities=servers,
            **sizes(resources, "full"),
        ),
        workload=Given(
            scenario=scenario_of(drawn),
            servers=servers,
            fewest=servers,
            resources=names,
            horizon=horizon,
            jobs=JOBS,
            longest=longest,
            job_scale=tuple(SCALES[name][0] for name in names),
            capacity_scale=tuple(SCALES[name][1] for name in names),
        ),
        groups=drawn.clusters,
        view="full",
        queue_weight=1.0,
        energy_weight=20.0,
        total_capacity=drawn.reward_scale == "total",
        guarded=guarded,
        prepare=lambda scenario: prepare(env, kappa, scenario),
    )
    return env, Placement(env=env)


def in_scenario(env: Cluster, scenario: Scenario) -> Cluster:
    return eqx.tree_at(lambda env: env.workload.scenario, env, scenario)


def stack(scenarios: list[Scenario]) -> Scenario:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *scenarios)


class Tick(NamedTuple):
    """What is kept of a tick: the state as the agents see it, and at the moment of the reward."""

    seen: dict
    placed: dict
    reward: jax.Array
    diagnostics: dict
    active: jax.Array
    truncated: jax.Array


def view(env: Cluster, state: State) -> dict:
    servers = state.servers
    return {
        "time": state.time,
        "running": servers.running,
        "queued": servers.queued,
        "waiting": servers.waiting,
        "jobs": servers.jobs,
        "head": servers.head,
        "behind": servers.behind,
        **{f"total_{name}": value for name, value in env.counts(state).items()},
    }


def play(env: Cluster, key, actions) -> tuple[Tick, dict]:
    """All ticks of an episode under given actions, and the last state."""
    state, observation = env.reset(key)

    def tick(carry, action):
        state, observation = carry
        placed = env.place(state, action)
        after, step = env.step(key, state, action)
        kept = Tick(
            seen=view(env, state),
            placed=view(env, placed),
            reward=step.reward,
            diagnostics=step.diagnostics,
            active=observation.active,
            truncated=step.truncated,
        )
        return (after, step.observation), kept

    (state, _), ticks = lax.scan(tick, (state, observation), actions)
    return ticks, view(env, state)


@eqx.filter_jit
def play_one(env: Cluster, scenario: Scenario, actions) -> tuple[Tick, dict]:
    return play(in_scenario(env, scenario), jax.random.key(0), actions)


@eqx.filter_jit
def play_all(env: Cluster, scenarios: Scenario, actions) -> tuple[Tick, dict]:
    """[E, T, ...]"""

    def one(scenario, actions):
        return play(in_scenario(env, scenario), jax.random.key(0), actions)

    return jax.vmap(one)(scenarios, actions)


def member(tree, index: int):
    """One episode of a batch, as numpy arrays."""
    return jax.tree.map(lambda leaf: np.asarray(leaf[index]), tree)


def decisions(env: Cluster, rules: list, scenario: Scenario, key):
    """[rules, T, N]: what every rule does along an episode that it plays itself."""
    env = in_scenario(env, scenario)

    def episode(index):
        def tick(carry, key):
            state, observation = carry
            action = lax.switch(index, rules, state, observation, key)
            state, step = env.step(key, state, action)
            return (state, step.observation), action

        keys = jax.random.split(key, env.spec.horizon)
        return lax.scan(tick, env.reset(key), keys)[1]

    return lax.map(episode, jnp.arange(len(rules)))
