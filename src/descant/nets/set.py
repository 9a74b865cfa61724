"""Size-free networks: entities are a set, an action points at one of them, and nobody counts them.

Trained with 20 servers, the same weights act on 2,000: no layer is as wide as the world.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.core.types import Key, Observation, Spec
from descant.nets.mlp import Layers, layers


def pairs(local: Float[Array, "N D"], entities: Float[Array, "K F"], spec: Spec) -> Float[Array, "N K P"]:
    """What each entity has left for each agent, per comparable quantity, and whether all of it is
    enough; P is zero where the domain compares nothing."""
    if not spec.comparable:
        return jnp.zeros((local.shape[0], entities.shape[0], 0))
    mine, theirs = (jnp.array(side) for side in zip(*spec.comparable, strict=True))
    left = entities[None, :, theirs] - local[:, None, mine]
    enough = jnp.all(left >= 0, axis=-1, keepdims=True).astype(left.dtype)
    return jnp.concatenate([jnp.tanh(left), enough], axis=-1)


def pair_size(spec: Spec) -> int:
    """P of `pairs`."""
    return len(spec.comparable) + 1 if spec.comparable else 0


class Pointer(eqx.Module):
    """Each agent asks, each entity answers: logit = query . key / sqrt(H) + a word on the pair.

    Equivariant to the order of agents and of entities. With several entities per action, consecutive
    ones speak for it by their mean.
    """

    entity: Layers
    agent: Layers
    pair: Layers | None
    spec: Spec = eqx.field(static=True)

    def __call__(self, observation: Observation) -> Float[Array, "N A"]:
        """Logits."""
        world = observation.world
        actions = observation.mask.shape[-1]
        keys = self.entity(_with(world.entities, world.globals))
        # Half of an entity's code is its key, the other half what the crowd tells every agent.
        keys, words = jnp.split(keys, 2, axis=-1)
        crowd = jnp.concatenate([jnp.mean(words, axis=0), world.globals])
        queries = self.agent(_with(observation.local, crowd))
        logits = queries @ _per_action(keys, actions).T / math.sqrt(keys.shape[-1])
        if self.pair is not None:
            about = self.pair(pairs(observation.local, world.entities, self.spec))[..., 0]
            logits = logits + _per_action(about.T, actions).T
        return logits


def pointer(key: Key, spec: Spec, *, hidden: int = 32) -> Pointer:
    """Widths of `hidden` everywhere; the first policy is close to uniform."""
    entity, agent, pair = jax.random.split(key, 3)
    width = pair_size(spec)
    return Pointer(
        entity=layers(
            entity, [spec.features + spec.globals, hidden, 2 * hidden], activation=jax.nn.relu
        ),
        agent=layers(
            agent,
            [spec.local + hidden + spec.globals, hidden, hidden],
            activation=jax.nn.relu,
            last=0.05,
        ),
        pair=layers(pair, [width, 8, 1], activation=jax.nn.relu, last=0.05) if width else None,
        spec=spec,
    )


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


def _with(rows: Float[Array, "K F"], common: Float[Array, " G"]) -> Float[Array, "K F+G"]:
    """The same numbers appended to every row."""
    spread = jnp.broadcast_to(common, (rows.shape[0], common.shape[0]))
    return jnp.concatenate([rows, spread], axis=-1)


def _per_action(rows: Float[Array, "K H"], actions: int) -> Float[Array, "A H"]:
    if rows.shape[0] == actions:
        return rows
    return jnp.mean(rows.reshape(actions, -1, rows.shape[-1]), axis=1)
