"""Policies that are tables: of each agent's chances, one row for each thing that it may see."""

from dataclasses import dataclass
from functools import cached_property

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.errors import UserError
from descant.core.graph import Graph
from descant.core.types import Observation
from descant.nets.policy import Independent
from descant.ops.neighbourhood import near_codes
from descant.ops.networked import states_of

MOST = 2**28
"""Logits that tables may hold together (1 GiB)."""


@dataclass(frozen=True)
class Window:
    """What an agent sees of a network: the states up to `view` hops around it. Where there is
    nobody it sees state 0."""

    graph: Graph
    states: int
    view: int = 0

    @cached_property
    def member(self) -> Int[np.ndarray, "N K"]:
        """Whose states, the own first."""
        return self.graph.balls(self.view).member

    @property
    def rows(self) -> int:
        """C: what may be seen."""
        return self.states ** self.member.shape[1]

    def row(self, state: Int[Array, "*b N"]) -> Int[Array, "*b N"]:
        """The row of each agent, numbered as `core.network.codes` does."""
        if self.view == 0:
            return state.astype(jnp.int32)
        return near_codes(state, jnp.asarray(self.member), self.states)


class Table(eqx.Module):
    """Logits by what is seen."""

    logits: Float[Array, "*s M C A"]
    """M is N, or 1 where all agents share one table; leading axes are seeds."""
    window: Window = eqx.field(static=True)

    def __call__(self, observation: Observation) -> Float[Array, "N A"]:
        """Logits."""
        row = self.window.row(states_of(observation, self.window.states))
        who = jnp.arange(row.shape[0]) % self.logits.shape[0]
        return self.logits[who, row]


class Tabular(Independent):
    """Agents that look up their chances, each for itself."""

    def by_state(self) -> Float[Array, "N S A"] | None:
        table = self.net
        if not isinstance(table, Table) or table.window.view:
            return None
        chances = jax.nn.softmax(table.logits)
        return jnp.broadcast_to(chances, (table.window.graph.agents, *chances.shape[1:]))


def check_size(window: Window, actions: int) -> None:
    """Whether the tables of all agents fit.

    Raises:
        UserError: they do not.
    """
    wide = window.member.shape[1]
    if window.graph.agents * actions * float(window.states) ** wide > MOST:
        raise UserError(
            f"algorithm.view: at {window.view} hops an agent sees {wide} states, and tables of "
            f"{window.states}^{wide} rows for {window.graph.agents} agents do not fit; expected "
            f"fewer hops."
        )
