"""A system of many agents on a graph, each with a state of its own that only those near it change.

Where states can be counted, one function, the law of one agent's next state given what is around
it, is all there is to write: worlds draw from it, oracles enumerate it, certificates bound it.
Where they are points, there is only the drawing.
"""

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.graph import Graph
from descant.core.types import Key, PyTree, Scalar

Local = Int[Array, " N"] | Float[Array, "N F"]
"""States of all agents: numbers of states, or points."""


@dataclass(frozen=True)
class Reach:
    """How many hops away things are read. How long an action takes to be felt somewhere follows
    from it and need not be said."""

    states: int = 1
    """Radius of the states that the law of an agent's next state reads."""
    actions: int = 0
    """Radius of the actions that it reads."""
    reward: int = 0
    """Radius of what an agent's reward or utility reads."""
    acts: bool = True
    """Whether rewards read actions, and not states alone."""

    def lag(self, distance: int, view: int = 0) -> int | float:
        """First tick, counted from an agent's action, at which the reward of another `distance`
        hops away can feel it, where policies read states up to `view` hops away; infinite if
        never."""
        if self.acts and distance <= self.reward:
            return 0
        return 1 + self._later(distance - self.actions - self._read(view), view)

    def delay(self, radius: int, view: int = 0) -> int | float:
        """First tick at which an agent's reward can tell two joint states and actions that agree up
        to `radius` hops around it; infinite if never."""
        if self.reward > radius:
            return 0
        return 1 + self._later(radius + 1 - max(self.states, self.actions) - self._read(view), view)

    def _read(self, view: int) -> int:
        return self.reward + (view if self.acts else 0)

    def _later(self, hops: int, view: int) -> int | float:
        """Ticks that it takes to come so much nearer."""
        speed = max(self.states, self.actions + view)
        if hops <= 0:
            return 0
        return math.ceil(hops / speed) if speed else math.inf


class Quantity(NamedTuple):
    """What drawings of a graph show of its agents, in the mean over time."""

    name: str
    """As a caption has it."""
    levels: Float[np.ndarray, " S"]
    """How much of it there is in each state; where states are points, in each cell."""


class AbstractSystem(eqx.Module):
    """What worlds and learners ask of agents on a graph, whatever their states are."""

    graph: eqx.AbstractVar[Graph]
    reach: eqx.AbstractVar[Reach]
    states: eqx.AbstractVar[int]
    """S: states of an agent; where those are points, cells that they are sorted into, which its
    occupancy and what is wanted of it are told by."""
    actions: eqx.AbstractVar[int]
    """A: actions of an agent."""
    near: eqx.AbstractVar[Int[Array, "N K"]]
    """Who is around each agent, itself first, nearest first; N where there is nobody. Wide enough
    for everything the law reads, and for its neighbours (see `around`)."""
    hops: eqx.AbstractVar[Int[Array, "N K"]]
    """Distance to each."""

    @property
    @abc.abstractmethod
    def width(self) -> int:
        """F: numbers that say an agent's state."""

    @property
    def ordered(self) -> bool:
        """Whether states, or the cells that they are sorted into, lie in an order, as queues and
        heights do, so that those side by side are much alike. Two always do; a network of more says
        so where it is true."""
        return self.states <= 2

    @abc.abstractmethod
    def first(self, key: Key) -> Local:
        """Draw first states."""

    @abc.abstractmethod
    def move(self, key: Key, state: Local, action: Int[Array, " N"]) -> Local:
        """Draw next states."""

    @abc.abstractmethod
    def seen(self, state: Local) -> Float[Array, "N F"]:
        """The numbers that say states."""

    @abc.abstractmethod
    def read(self, seen: Float[Array, "N F"]) -> Local:
        """States, from the numbers that say them."""

    @abc.abstractmethod
    def cells(self, seen: Float[Array, "*b F"]) -> Float[Array, "*b S"]:
        """Share of each cell in a state, given by what is seen of it; shares sum to one, and where
        states can be counted one of them is 1."""

    @property
    @abc.abstractmethod
    def quantity(self) -> Quantity:
        """What drawings show."""

    @abc.abstractmethod
    def reward(self, state: Local, action: Int[Array, " N"], after: Local) -> Float[Array, " N"]:
        """What each agent gets for a tick, given the states before and after it; the team gets the
        mean."""

    @abc.abstractmethod
    def figures(self, state: Local, action: Int[Array, " N"]) -> Mapping[str, Scalar]:
        """What is worth a curve over an episode."""


class AbstractNetwork(AbstractSystem):
    """Local states, local actions and the law of the next state; everything counts from 0."""

    traits: eqx.AbstractVar[PyTree]
    """What differs from agent to agent, arrays [N, ...]."""
    start: eqx.AbstractVar[Float[Array, "N S"]]
    """Law of each agent's first state; they are independent."""

    @abc.abstractmethod
    def law(
        self, traits: PyTree, state: Int[Array, " K"], action: Int[Array, " K"]
    ) -> Float[Array, " S"]:
        """Law of one agent's next state, given its traits and the states and actions around it, as
        `near` lists them. Where there is nobody, both are 0 and must count nothing; so must what
        lies beyond `reach`."""

    def chances(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> Float[Array, "N S"]:
        """Law of every agent's next state; they are independent."""
        return jax.vmap(self.law)(self.traits, listed(state, self.near), listed(action, self.near))

    @property
    def width(self) -> int:
        return self.states - 1

    def first(self, key: Key) -> Int[Array, " N"]:
        return drawn(self.start, self._levels(key))

    def move(self, key: Key, state: Int[Array, " N"], action: Int[Array, " N"]) -> Int[Array, " N"]:
        return drawn(self.chances(state, action), self._levels(key))

    def seen(self, state: Int[Array, " N"]) -> Float[Array, "N F"]:
        """Of every state but 0, whether the agent is in it."""
        besides = jnp.arange(1, self.states)
        return (state[:, None] == besides[None]).astype(jnp.float32)

    def read(self, seen: Float[Array, "N F"]) -> Int[Array, " N"]:
        return counted(seen)

    def cells(self, seen: Float[Array, "*b F"]) -> Float[Array, "*b S"]:
        return jnp.concatenate([1 - jnp.sum(seen, axis=-1, keepdims=True), seen], axis=-1)

    @property
    def quantity(self) -> Quantity:
        return Quantity("Time in states other than 0", 1.0 * (np.arange(self.states) > 0))

    def _levels(self, key: Key) -> Float[Array, " N"]:
        return jax.random.uniform(key, (self.graph.agents,))


def around(graph: Graph, reach: Reach) -> tuple[Int[Array, "N K"], Int[Array, "N K"]]:
    """`near` and `hops` of a network: balls just wide enough.

    Raises:
        UserError: the lists would be too long.
    """
    balls = graph.balls(max(1, reach.states, reach.actions))
    return jnp.asarray(balls.member), jnp.asarray(balls.distance)


def listed(x: Int[Array, "*b N"], index: Int[Array, "N K"]) -> Int[Array, "*b N K"]:
    """Entries by a padded list; 0 where there is nobody."""
    nobody = jnp.zeros((*x.shape[:-1], 1), x.dtype)
    return jnp.concatenate([x, nobody], axis=-1)[..., index]


def counted(seen: Float[Array, "*b F"]) -> Int[Array, "*b"]:
    """The state, given of every state but 0 whether it is that."""
    besides = jnp.arange(1, seen.shape[-1] + 1)
    return jnp.sum(seen.astype(jnp.int32) * jnp.expand_dims(besides, range(seen.ndim - 1)), axis=-1)


def drawn(chances: Float[Array, "N S"], level: Float[Array, " N"]) -> Int[Array, " N"]:
    """The states that chance picks at given levels in [0, 1)."""
    small = chances.shape[-1] <= jnp.iinfo(jnp.int8).max
    state = jnp.zeros(level.shape, jnp.int8 if small else jnp.int32)
    passed = jnp.zeros_like(level)
    # State by state: a cumulative sum would look all laws up again for each.
    for column in range(chances.shape[-1] - 1):
        passed = passed + chances[:, column]
        state = state + (level >= passed).astype(state.dtype)
    return state


def codes(
    state: Int[np.ndarray, "*b N"], index: Int[np.ndarray, "I K"], states: int
) -> Int[np.ndarray, "*b I"]:
    """One number per agent for the states around it, which tables of windows are read by: the k-th
    of the list is the k-th digit to base `states`."""
    wide = np.concatenate([state, np.zeros((*state.shape[:-1], 1), state.dtype)], axis=-1)
    return wide[..., index] @ states ** np.arange(index.shape[1])


def doubled(tree: PyTree) -> PyTree:
    """The same in double precision: parameters in single precision would make laws of such."""
    return jax.tree.map(lambda x: x.astype(float) if eqx.is_inexact_array(x) else x, tree)
