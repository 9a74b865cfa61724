"""A system of many agents on a graph, each with a state of its own that only those near it change.

One function, the law of one agent's next state given what is around it, is all there is to write:
worlds draw from it, oracles enumerate it, certificates bound it.
"""

import abc
import math
from collections.abc import Mapping
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.graph import Graph
from descant.core.types import PyTree, Scalar


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


class AbstractNetwork(eqx.Module):
    """Local states, local actions and the law of the next state; everything counts from 0."""

    graph: eqx.AbstractVar[Graph]
    reach: eqx.AbstractVar[Reach]
    states: eqx.AbstractVar[int]
    """S: states of an agent."""
    actions: eqx.AbstractVar[int]
    """A: actions of an agent."""
    near: eqx.AbstractVar[Int[Array, "N K"]]
    """Who is around each agent, itself first, nearest first; N where there is nobody. Wide enough
    for everything the law reads, and for its neighbours (see `around`)."""
    hops: eqx.AbstractVar[Int[Array, "N K"]]
    """Distance to each."""
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

    @abc.abstractmethod
    def reward(
        self, state: Int[Array, " N"], action: Int[Array, " N"], after: Int[Array, " N"]
    ) -> Float[Array, " N"]:
        """What each agent gets for a tick, given the states before and after it; the team gets the
        mean."""

    @abc.abstractmethod
    def figures(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> Mapping[str, Scalar]:
        """What is worth a curve over an episode."""

    def chances(self, state: Int[Array, " N"], action: Int[Array, " N"]) -> Float[Array, "N S"]:
        """Law of every agent's next state; they are independent."""
        return jax.vmap(self.law)(self.traits, listed(state, self.near), listed(action, self.near))


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
