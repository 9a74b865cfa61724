"""Rules for any world."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.domain import AbstractStateRule, Rule
from descant.core.types import Key, Observation, PyTree


@dataclass(frozen=True, eq=False)
class Anything(AbstractStateRule):
    """Everybody does anything, with equal chances."""

    actions: int

    def __call__(self, state: PyTree, observation: Observation, key: Key) -> Int[Array, " N"]:
        return jax.random.randint(key, observation.active.shape, 0, self.actions)

    def by_state(self, agents: int, states: int, actions: int) -> Float[np.ndarray, "N S A"]:
        return np.full((agents, states, actions), 1 / actions)


@dataclass(frozen=True, eq=False)
class Always(AbstractStateRule):
    """Everybody always does the same, or each what it is given."""

    action: int | Sequence[int]

    def __call__(self, state: PyTree, observation: Observation, key: Key) -> Int[Array, " N"]:
        return jnp.broadcast_to(jnp.array(self.action, jnp.int32), observation.active.shape)

    def by_state(self, agents: int, states: int, actions: int) -> Float[np.ndarray, "N S A"]:
        does = np.broadcast_to(np.eye(actions)[np.asarray(self.action)], (agents, actions))
        return np.repeat(does[:, None], states, axis=1)


def anything(actions: int) -> Rule:
    """The rule by which everybody does anything, with equal chances."""
    return Anything(actions)


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
    return Always(action)
