"""The placement rules that people use: each agent in turn, seeing what those before it have taken.

A rule scores servers; the best one on which the job fits gets it, and a job that fits nowhere goes
to the least committed server. Where the policy chooses groups, so does the rule: the group of the
server it would pick, with Best-Fit inside, as for everybody.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.core.domain import Rule
from descant.core.model import AbstractModel
from descant.core.types import Key, Observation
from descant.domains.cloud.env import Cluster, Near, State, dominant
from descant.ops.loops import while_any
from descant.ops.ordering import best_listed, ordinal
from descant.ops.rules import anything_legal


class View(NamedTuple):
    """What a rule sees of the servers when its turn comes; loads in integer units."""

    capacity: Int[Array, "M R"]
    efficiency: Int[Array, " M"]
    place: Int[Array, " M"]
    """Position in the operator's list."""
    running: Int[Array, "M R"]
    queued: Int[Array, "M R"]
    waiting: Int[Array, " M"]

    def share(self, load: Int[Array, "M R"]) -> Float[Array, "M R"]:
        """Load as a share of capacity; a resource that a server lacks counts as none."""
        return load / jnp.maximum(self.capacity, 1) * (self.capacity > 0)

    def used(self) -> Float[Array, " M"]:
        """Dominant utilisation by running jobs."""
        return dominant(self.running, self.capacity)

    def committed(self, demand: Int[Array, "1 R"] | int = 0) -> Float[Array, " M"]:
        """Dominant share of running and waiting jobs, and of one more."""
        return dominant(self.running + self.queued + demand, self.capacity)


Score = Callable[[View, Int[Array, " R"]], tuple[Float[Array, " M"], Float[Array, " M"]]]
"""Servers by preference for a job, and what decides between equals; higher is better. What is equal
in both is decided by the operator's list."""


def first_fit(view: View, demand):
    """The first in the operator's list."""
    return jnp.zeros_like(view.used()), jnp.zeros_like(view.used())


def best_fit(view: View, demand):
    """The highest dominant utilisation."""
    return view.used(), jnp.zeros_like(view.used())


def worst_fit(view: View, demand):
    """The lowest dominant utilisation."""
    return -view.used(), jnp.zeros_like(view.used())


def tetris(view: View, demand):
    """The best alignment of free resources with the job, both relative to the largest machine."""
    largest = jnp.maximum(jnp.max(view.capacity, axis=0), 1)
    free = (view.capacity - view.running) / largest[None]
    return free @ (demand / largest), jnp.zeros_like(free[:, 0])


def dominant_share(view: View, demand):
    """The smallest largest share of what is free."""
    free = view.capacity - view.running
    return -jnp.max(demand[None] / jnp.maximum(free, 1), axis=-1), jnp.zeros_like(view.used())


def most_efficient_first(view: View, demand):
    """The highest CPU efficiency, ties by Best-Fit."""
    return view.efficiency.astype(jnp.float32), view.used()


def least_allocated(view: View, demand):
    """Kubernetes NodeResourcesFit, LeastAllocated: the highest mean free share after placement."""
    after = view.share(view.running + demand[None])
    return -jnp.mean(after, axis=-1), jnp.zeros_like(after[:, 0])


def most_allocated(view: View, demand):
    """Kubernetes MostAllocated: the highest mean used share after placement."""
    after = view.share(view.running + demand[None])
    return jnp.mean(after, axis=-1), jnp.zeros_like(after[:, 0])


def balanced_allocation(view: View, demand):
    """Kubernetes BalancedAllocation: the most equal used shares over resources."""
    after = view.share(view.running + demand[None])
    return -jnp.std(after, axis=-1), jnp.zeros_like(after[:, 0])


def shortest_queue(view: View, demand):
    """Join the shortest queue, ties by the lowest dominant share with the job."""
    return -view.waiting.astype(jnp.float32), -view.committed(demand[None])


GREEDY: dict[str, Score] = {
    "first-fit": first_fit,
    "best-fit": best_fit,
    "worst-fit": worst_fit,
    "tetris": tetris,
    "dominant-share": dominant_share,
    "most-efficient-first": most_efficient_first,
    "least-allocated": least_allocated,
    "most-allocated": most_allocated,
    "balanced-allocation": balanced_allocation,
}


def rules(env: Cluster, model: AbstractModel) -> dict[str, Rule]:
    """All rules by name, in kebab case."""
    return {
        "random": anything_legal,
        "round-robin": round_robin(env),
        "jsq": in_turn(env, shortest_queue, must_fit=False),
        "power-of-2": in_turn(env, shortest_queue, must_fit=False, sample=2),
        **{name: in_turn(env, score) for name, score in GREEDY.items()},
        "slope-greedy": slope_greedy(env, model),
    }


def round_robin(env: Cluster) -> Rule:
    """Groups in a cycle over jobs, no test whether the job fits; illegal groups are passed over."""

    def rule(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
        turn = env.hand(state).job[:, None] + jnp.arange(env.groups)[None]
        legal = jnp.broadcast_to(observation.mask, turn.shape)
        legal = jnp.take_along_axis(legal, turn % env.groups, axis=-1)
        return (turn[:, 0] + jnp.argmax(legal, axis=-1)) % env.groups

    return rule


def in_turn(env: Cluster, score: Score, *, must_fit: bool = True, sample: int = 0) -> Rule:
    """Agents one after another by a score, looking at `sample` random servers only if that is
    set."""

    def rule(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
        allowed = jnp.repeat(observation.mask, env.workload.servers // env.groups, axis=-1)
        if sample:
            # Legal servers first, in random order.
            ticket = jax.random.uniform(key, (env.spec.agents, env.workload.servers)) + ~allowed
            worst = jnp.sort(ticket, axis=-1)[:, sample - 1 : sample]
            allowed = allowed & (ticket <= worst)
        return _decide(env, state, score, allowed, must_fit)

    return rule


def slope_greedy(env: Cluster, model: AbstractModel) -> Rule:
    """Down the model's slope: each agent in turn takes what the model charges least for."""

    def rule(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
        hand = env.hand(state)
        context = model.context(state)
        start = (jnp.int32(0), model.begin(context), jnp.zeros((env.spec.agents,), jnp.int32))

        def turn(constants, carry):
            context, count, legal, place = constants
            i, position, action = carry
            live = i < count
            agent = jnp.minimum(i, env.spec.agents - 1)
            charge = jnp.where(_row(legal, agent), model.turn(context, position, agent), jnp.inf)
            choice = best_listed(-charge, place)
            # Once all have chosen, only what they chose is of interest.
            position = model.move(context, position, agent, choice)
            return (
                i + 1,
                position,
                action.at[jnp.where(live, i, env.spec.agents)].set(choice, mode="drop"),
            )

        place = jnp.min(state.scenario.place.reshape(env.groups, -1), axis=-1)
        constants = (context, jnp.sum(hand.active), observation.mask, place)
        return while_any(lambda c, carry: carry[0] < c[1], turn, constants, start)[-1]

    return rule


def _decide(
    env: Cluster,
    state: State,
    score: Score,
    allowed: Bool[Array, "#N M"],
    must_fit: bool,
) -> Int[Array, " N"]:
    hand = env.hand(state)
    servers = state.servers
    constants = (hand.demand, jnp.sum(hand.active), allowed, state.scenario)
    # Nothing is known before the first turn; inactive agents keep group 0, which has no effect.
    start = (jnp.int32(0), servers.running, servers.queued, servers.waiting)
    start = (*start, jnp.zeros((env.spec.agents,), jnp.int32))
    return while_any(
        lambda c, carry: carry[0] < c[1],
        partial(_turn, env, score, must_fit),
        constants,
        start,
    )[-1]


def _turn(env: Cluster, score: Score, must_fit: bool, constants, carry):
    demands, count, allowed, scenario = constants
    i, running, queued, waiting, action = carry
    live = i < count
    agent = jnp.minimum(i, env.spec.agents - 1)
    demand = demands[agent]
    view = View(
        scenario.capacity, scenario.efficiency[:, 0], scenario.place, running, queued, waiting
    )
    size = env.workload.servers // env.groups
    group = _pick(view, demand, _row(allowed, agent), score, must_fit) // size
    near = env.in_group(Near(view.capacity, view.place, running, queued), group)
    chosen, fits = env.best_fit(near, demand)
    server = group * size + chosen
    return (
        i + 1,
        running.at[server].add(jnp.where(live & fits, demand, 0)),
        queued.at[server].add(jnp.where(live & ~fits, demand, 0)),
        waiting.at[server].add(live & ~fits),
        action.at[jnp.where(live, agent, env.spec.agents)].set(group, mode="drop"),
    )


def _row(table: Bool[Array, "#N M"], agent: Int[Array, ""]) -> Bool[Array, " M"]:
    """An agent's row of a table in which one row may stand for all."""
    return table[jnp.minimum(agent, table.shape[0] - 1)]


def _pick(view: View, demand, legal, score: Score, must_fit: bool) -> Int[Array, ""]:
    fits = legal & jnp.all(view.running + demand[None] <= view.capacity, axis=-1)
    among = fits if must_fit else legal
    first, second = score(view, demand)
    first = ordinal(jnp.where(among, first, -jnp.inf))
    second = jnp.where(first == jnp.max(first), second, -jnp.inf)
    least = jnp.where(legal, -view.committed(), -jnp.inf)
    return best_listed(jnp.where(jnp.any(among), second, least), view.place)
