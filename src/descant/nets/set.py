"""Size-free networks: entities are a set, an action points at one of them, and nobody counts them.

Trained with 20 servers, the same weights act on 2,000: no layer is as wide as the world.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.types import Key, Observation, Spec
from descant.nets.mlp import Layers, layers, weights


class Table(NamedTuple):
    """What a tick's agents and entities have to say, before anybody has chosen."""

    asked: Float[Array, "N K"]
    """Query . key / sqrt(H)."""
    agents: Float[Array, "N H"]
    entities: Float[Array, "K H"]
    """What each side brings to the word on a pair."""
    demand: Float[Array, "N Q"]
    left: Float[Array, "K Q"]
    whole: Float[Array, "K Q"]
    """Supplies: asked for, left and altogether, per quantity."""


class Pointer(eqx.Module):
    """Each agent asks, each entity answers: logit = query . key / sqrt(H) + a word on the pair.

    The word on the pair looks at what the entity would have left. Equivariant to the order of
    agents and of entities. With several entities per action, consecutive ones speak for it by
    their mean.
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

    def __call__(self, observation: Observation) -> Float[Array, "N A"]:
        """Logits of agents that choose at the same time."""
        table = self.table(observation)
        score = jax.vmap(self.score, in_axes=(None, 0, None))
        logits = score(table, jnp.arange(table.asked.shape[0]), table.left)
        return per_action(logits, observation.mask.shape[-1])

    def table(self, observation: Observation) -> Table:
        """Everything that is computed once per tick."""
        world = observation.world
        width = self.word.shape[0]
        keys, words, ours = jnp.split(
            self.entity(_with(_compared(world.entities), world.globals)),
            [width, 2 * width],
            axis=-1,
        )
        # What the crowd of entities tells every agent.
        crowd = jnp.concatenate([jnp.mean(words, axis=0), world.globals])
        queries, theirs = jnp.split(self.agent(_with(observation.local, crowd)), 2, axis=-1)
        demand, left, whole = supplies(observation, self.spec)
        return Table(
            asked=queries @ keys.T / math.sqrt(width),
            agents=theirs,
            entities=ours,
            demand=demand,
            left=left,
            whole=whole,
        )

    def score(
        self, table: Table, agent: Int[Array, ""], left: Float[Array, "K Q"]
    ) -> Float[Array, " K"]:
        """One agent's logits over entities that have this much left."""
        after = left - table.demand[agent][None]
        enough = jnp.all(after >= 0, axis=-1, keepdims=True).astype(after.dtype)
        share = jnp.clip(after / jnp.maximum(table.whole, 1e-6), -1, 1)
        about = jnp.concatenate([jnp.tanh(after), share, enough], axis=-1)
        hidden = jax.nn.relu(table.entities + table.agents[agent][None] + about @ self.supply)
        return table.asked[agent] + hidden @ self.word + self.enough * enough[:, 0]


def pointer(key: Key, spec: Spec, *, hidden: int = 32) -> Pointer:
    """Widths of `hidden` everywhere; the first policy is close to uniform."""
    entity, agent, supply, word = jax.random.split(key, 4)
    quantities = len(spec.supplies)
    return Pointer(
        entity=layers(
            entity,
            [2 * spec.features + spec.globals, hidden, 3 * hidden],
            activation=jax.nn.relu,
        ),
        agent=layers(
            agent,
            [spec.local + hidden + spec.globals, hidden, 2 * hidden],
            activation=jax.nn.relu,
            last=0.1,
        ),
        supply=weights(supply, (2 * quantities + 1, hidden), math.sqrt(2)),
        word=0.1 * jax.random.normal(word, (hidden,)) / math.sqrt(hidden),
        enough=jnp.float32(4.0 if quantities else 0.0),
        spec=spec,
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


def take(
    left: Float[Array, "K Q"],
    whole: Float[Array, "K Q"],
    demand: Float[Array, " Q"],
    action: Int[Array, ""],
    actions: int,
) -> Float[Array, "K Q"]:
    """What is left once somebody has chosen: of the entities behind an action, the tightest that
    has enough gives; if none has, nothing is taken.
    """
    entities = left.shape[0]
    behind = jnp.arange(entities) // (entities // actions) == action
    gives = behind & jnp.all(left >= demand[None], axis=-1)
    if entities != actions:
        share = jnp.min(left / jnp.maximum(whole, 1e-6), axis=-1)
        tightest = jnp.argmin(jnp.where(gives, share, jnp.inf))
        gives = gives & (jnp.arange(entities) == tightest)
    return left - jnp.where(gives[:, None], demand[None], 0.0)


def per_action(logits: Float[Array, "*b K"], actions: int) -> Float[Array, "*b A"]:
    """Entities behind one action speak for it by their mean."""
    if logits.shape[-1] == actions:
        return logits
    return jnp.mean(logits.reshape(*logits.shape[:-1], actions, -1), axis=-1)


class Pooled(eqx.Module):
    """A critic on the mean entity, the globals and one view."""

    entity: Layers
    body: Layers

    def __call__(self, observation: Observation, local: Float[Array, " D"]) -> Float[Array, ""]:
        """Value of the state as seen with this own view."""
        world = observation.world
        parts = [world.globals, local]
        if world.entities.shape[0]:
            parts.append(jnp.mean(jax.nn.relu(self.entity(world.entities)), axis=0))
        return self.body(jnp.concatenate(parts))[0]


def pooled(key: Key, spec: Spec, *, hidden: int = 32) -> Pooled:
    """Widths of `hidden` everywhere."""
    entity, body = jax.random.split(key)
    width = hidden if spec.entities else 0
    return Pooled(
        entity=layers(entity, [max(spec.features, 1), hidden, hidden], activation=jax.nn.relu),
        body=layers(body, [width + spec.globals + spec.local, 2 * hidden, hidden, 1]),
    )


def _compared(entities: Float[Array, "K F"]) -> Float[Array, "K 2*F"]:
    """Features, and how each entity's stand out from the crowd's, in deviations: a choice between
    entities hangs on their differences, which may be small beside what they have in common."""
    centred = entities - jnp.mean(entities, axis=0, keepdims=True)
    deviation = jnp.sqrt(jnp.mean(centred**2, axis=0, keepdims=True))
    return jnp.concatenate([entities, centred / (deviation + 0.02)], axis=-1)


def _with(rows: Float[Array, "K F"], common: Float[Array, " G"]) -> Float[Array, "K F+G"]:
    """The same numbers appended to every row."""
    spread = jnp.broadcast_to(common, (rows.shape[0], common.shape[0]))
    return jnp.concatenate([rows, spread], axis=-1)
