"""Size-free networks: entities are a set, an action points at one of them, and nobody counts them.

Trained with 20 servers, the same weights act on 2,000: no layer is as wide as the world.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.core.types import Key, Observation, Spec, World
from descant.nets.mlp import Layers, layers, weights
from descant.ops.ordering import best
from descant.ops.policies import masked_log_softmax


class Table(NamedTuple):
    """What a tick's agents and entities have to say, before anybody has chosen."""

    asked: Float[Array, "N K"] | None
    """Query . key / sqrt(H); None where several entities share an action: then it is asked only of
    the one that would give."""
    queries: Float[Array, "N H"]
    keys: Float[Array, "K H"]
    agents: Float[Array, "N H"]
    entities: Float[Array, "K H"]
    """What each side brings to the word on a pair."""
    demand: Float[Array, "N Q"]
    left: Float[Array, "K Q"]
    portion: Float[Array, "K Q"]
    """Supplies: asked for, left, and what a unit is of the whole, per quantity."""


class Pointer(eqx.Module):
    """Each agent asks, each entity answers: logit = query . key / sqrt(H) + a word on the pair.

    The word on the pair looks at what the entity would have left. Equivariant to the order of
    agents and of entities. Where several entities share an action, the one that would give speaks
    for it; without supplies, their mean. Where nothing is shared, entities are what actions name,
    and the world as a whole stays out of sight.
    """

    entity: Layers
    agent: Layers
    supply: Float[Array, "P H"]
    word: Float[Array, " H"]
    enough: Float[Array, ""]
    """What an entity gains by having enough of everything. It starts above zero, so that the first
    rollouts show a system that works: one that is swamped by a first policy that ignores what fits
    teaches little about any other."""
    spec: Spec = eqx.field(static=True)
    heed: Float[Array, ""] | None = None
    """What an action loses in logits for a grade of one from the analytic model; None where agents
    do not ask it."""

    def __call__(self, observation: Observation) -> Float[Array, "N A"]:
        """Logits of agents that choose at the same time."""
        table = self.table(observation)
        score = jax.vmap(self.score, in_axes=(None, 0, None, None))
        agents, actions = table.queries.shape[0], observation.mask.shape[-1]
        return score(table, jnp.arange(agents), table.left, actions)

    def table(self, observation: Observation) -> Table:
        """Everything that is computed once per tick."""
        world, actions = observation.world, observation.mask.shape[-1]
        width = self.word.shape[0]
        common = world.globals if self.spec.shared else world.globals[:0]
        said = self.entity(_with(_compared(world), common))
        # What the crowd of entities tells every agent.
        words = mean_of_present(said[:, width : 2 * width], world.present)
        crowd = jnp.concatenate([words, common])
        demand, left, whole = supplies(observation, self.spec)
        alone = said.shape[0] == actions
        if not alone and not left.shape[-1]:
            said, alone = jnp.mean(said.reshape(actions, -1, said.shape[-1]), axis=1), True
            left, whole = left[:actions], whole[:actions]
        keys, _, ours = jnp.split(said, [width, 2 * width], axis=-1)
        queries, theirs = jnp.split(self.agent(_with(observation.local, crowd)), 2, axis=-1)
        queries = queries / math.sqrt(width)
        return Table(
            asked=queries @ keys.T if alone else None,
            queries=queries,
            keys=keys,
            agents=theirs,
            entities=ours,
            demand=demand,
            left=left,
            portion=1 / jnp.maximum(whole, 1e-6),
        )

    def score(
        self,
        table: Table,
        agent: Int[Array, ""],
        left: Float[Array, "K Q"],
        actions: int,
        grade: Float[Array, " A"] | None = None,
    ) -> Float[Array, " A"]:
        """One agent's logits where entities have this much left, and the model grades its actions
        like this."""
        demand, ours, portion = table.demand[agent], table.entities, table.portion
        if table.asked is not None:
            asked = table.asked[agent]
        else:
            behind = left.shape[0] // actions
            giver = giving(left, portion, demand, behind) + behind * jnp.arange(actions)
            asked = table.keys[giver] @ table.queries[agent]
            left, ours, portion = left[giver], ours[giver], portion[giver]
        after = left - demand[None]
        enough = jnp.all(after >= 0, axis=-1, keepdims=True).astype(after.dtype)
        share = jnp.clip(after * portion, -1, 1)
        about = jnp.concatenate([jnp.tanh(after), share, enough], axis=-1)
        if self.heed is not None and grade is not None:
            about = jnp.concatenate([about, grade[:, None]], axis=-1)
            asked = asked - self.heed * grade
        hidden = jax.nn.relu(ours + table.agents[agent][None] + about @ self.supply)
        return asked + hidden @ self.word + self.enough * enough[:, 0]


def pointer(
    key: Key, spec: Spec, *, hidden: int = 32, enough: float = 30.0, heed: float | None = None
) -> Pointer:
    """Widths of `hidden` everywhere; the first policy is close to uniform among what has enough,
    but for what `heed` makes of the model's grades."""
    entity, agent, supply, word = jax.random.split(key, 4)
    quantities, common = len(spec.supplies), spec.globals if spec.shared else 0
    return Pointer(
        entity=layers(
            entity,
            [2 * spec.features + common, hidden, 3 * hidden],
            activation=jax.nn.relu,
        ),
        agent=layers(
            agent,
            [spec.local + hidden + common, hidden, 2 * hidden],
            activation=jax.nn.relu,
            last=0.1,
        ),
        supply=weights(supply, (2 * quantities + 1 + (heed is not None), hidden), math.sqrt(2)),
        word=0.1 * jax.random.normal(word, (hidden,)) / math.sqrt(hidden),
        enough=jnp.float32(enough if quantities else 0.0),
        spec=spec,
        heed=None if heed is None else jnp.float32(heed),
    )


def supplies(
    observation: Observation, spec: Spec
) -> tuple[Float[Array, "N Q"], Float[Array, "K Q"], Float[Array, "K Q"]]:
    """Demand, what is left and the whole, per quantity that the domain declares; Q may be zero."""
    local, entities = observation.local, observation.world.entities
    columns = [jnp.array(column, int) for column in zip(*spec.supplies, strict=True)] or 3 * [
        jnp.zeros((0,), int)
    ]
    demand, left, whole = columns
    return local[:, demand], entities[:, left], entities[:, whole]


def giving(
    left: Float[Array, "K Q"],
    portion: Float[Array, "K Q"],
    demand: Float[Array, " Q"],
    behind: int,
) -> Int[Array, " A"]:
    """Which of the `behind` entities of each action would give: the tightest that has enough, or,
    if none has, the one with the largest share left."""
    share = jnp.min(left * portion, axis=-1)
    enough = jnp.all(left >= demand[None], axis=-1)
    # A share left may be negative without bound; whoever has enough still comes first.
    rank = jnp.where(enough, 2 - share, share / (1 + jnp.abs(share)))
    return best(rank.reshape(-1, behind))


def take(
    left: Float[Array, "K Q"],
    portion: Float[Array, "K Q"],
    demand: Float[Array, " Q"],
    action: Int[Array, ""],
    actions: int,
) -> Float[Array, "K Q"]:
    """What is left once somebody has chosen: the entity that gives loses the demand; if none has
    enough, nothing is taken.
    """
    behind = left.shape[0] // actions
    first = action * behind
    near = jax.lax.dynamic_slice_in_dim(left, first, behind)
    giver = jnp.int32(0)
    if behind > 1:
        portions = jax.lax.dynamic_slice_in_dim(portion, first, behind)
        giver = giving(near, portions, demand, behind)[0]
    enough = jnp.all(near[giver] >= demand)
    return left.at[first + giver].add(-jnp.where(enough, demand, 0.0))


class Priced(eqx.Module):
    """A pointer that is asked again after hearing what everybody is likely to do.

    In each round every agent says how likely it is to go where; the load expected of all others is
    then taken from what is left, and everybody thinks again. Nothing is drawn before the last
    round, so agents still choose independently of one another.
    """

    net: Pointer
    rounds: int = eqx.field(static=True)

    def __call__(self, observation: Observation) -> Float[Array, "N A"]:
        """Logits of agents that choose at the same time."""
        mask, actions = observation.mask, observation.mask.shape[-1]
        table = self.net.table(observation)
        demand = table.demand * observation.active[:, None]
        behind = table.left.shape[0] // actions
        agents = jnp.arange(demand.shape[0])
        score = jax.vmap(self.net.score, in_axes=(None, 0, 0, None))
        left = jnp.broadcast_to(table.left, (agents.shape[0], *table.left.shape))
        for _ in range(self.rounds):
            said = jnp.exp(masked_log_softmax(score(table, agents, left, actions), mask))
            # A proposal is a message; nobody learns through what the others make of it.
            own = jax.lax.stop_gradient(said)[..., None] * demand[:, None]
            others = jnp.sum(own, axis=0, keepdims=True) - own
            # Entities behind one action share what is expected to come.
            left = table.left[None] - jnp.repeat(others, behind, axis=1) / behind
        return score(table, agents, left, actions)


class Pooled(eqx.Module):
    """A critic on the mean entity, the globals and one view."""

    entity: Layers
    body: Layers

    def __call__(self, observation: Observation, local: Float[Array, " D"]) -> Float[Array, ""]:
        """Value of the state as seen with this own view."""
        world = observation.world
        parts = [world.globals, local]
        if world.entities.shape[0]:
            said = jax.nn.relu(self.entity(world.entities))
            parts.append(mean_of_present(said, world.present))
        return self.body(jnp.concatenate(parts))[0]


def pooled(key: Key, spec: Spec, *, hidden: int = 32) -> Pooled:
    """Widths of `hidden` everywhere."""
    entity, body = jax.random.split(key)
    width = hidden if spec.entities else 0
    return Pooled(
        entity=layers(entity, [max(spec.features, 1), hidden, hidden], activation=jax.nn.relu),
        body=layers(body, [width + spec.globals + spec.local, 2 * hidden, hidden, 1]),
    )


def mean_of_present(
    rows: Float[Array, "K F"], present: Bool[Array, " K"] | None
) -> Float[Array, " F"]:
    """Mean over the entities that are there."""
    if present is None:
        return jnp.mean(rows, axis=0)
    there = present.astype(rows.dtype)
    return there @ rows / jnp.maximum(jnp.sum(there), 1)


def _compared(world: World) -> Float[Array, "K _"]:
    """Features, and how each entity's stand out from the crowd's, in deviations: a choice between
    entities hangs on their differences, which may be small beside what they have in common."""
    centred = world.entities - mean_of_present(world.entities, world.present)[None]
    deviation = jnp.sqrt(mean_of_present(centred**2, world.present))[None]
    return jnp.concatenate([world.entities, centred / (deviation + 0.02)], axis=-1)


def _with(rows: Float[Array, "K F"], common: Float[Array, " G"]) -> Float[Array, "K F+G"]:
    """The same numbers appended to every row."""
    spread = jnp.broadcast_to(common, (rows.shape[0], common.shape[0]))
    return jnp.concatenate([rows, spread], axis=-1)
