"""Rules for any world."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.domain import Rule
from descant.core.types import Key, Observation, PyTree


def anything(actions: int) -> Rule:
    """The rule by which everybody does anything, with equal chances."""

    def rule(state: PyTree, observation: Observation, key: Key) -> Int[Array, " N"]:
        return jax.random.randint(key, observation.active.shape, 0, actions)

    return rule


def anything_legal(state: PyTree, observation: Observation, key: Key) -> Int[Array, " N"]:
    """Everybody does anything that it may, with equal chances."""
    mask = observation.mask
    legal = jnp.broadcast_to(mask, (*observation.active.shape, mask.shape[-1]))
    return jax.random.categorical(key, jnp.where(legal, 0.0, -jnp.inf))


def anywhere(actions: int) -> Rule:
    """The rule by which everybody goes for any point of the cube, where actions are continuous."""

    def rule(state: PyTree, observation: Observation, key: Key) -> Float[Array, "N A"]:
        shape = (*observation.active.shape, actions)
        return jax.random.uniform(key, shape, minval=-1.0)

    return rule


def always(action: int | Sequence[int]) -> Rule:
    """The rule by which everybody always does the same, or each what it is given."""

    def rule(state: PyTree, observation: Observation, key: Key) -> Int[Array, " N"]:
        return jnp.broadcast_to(jnp.array(action, jnp.int32), observation.active.shape)

    return rule
