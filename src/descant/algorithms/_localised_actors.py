"""How the agents of localised policy gradients choose: by tables, or by networks of what they see.

What is learnt, the `net`, is a tree of numbers. Everything here is one function of it and of
rollouts; nothing is remembered.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.core.network import AbstractSystem
from descant.core.types import Key, Observation, PyTree, Rollout, Scalar
from descant.credit.networked import shadowed
from descant.nets.around import sighted
from descant.nets.policy import Independent
from descant.nets.table import Table, Tabular, Window
from descant.ops import occupancy
from descant.ops.networked import states_of
from descant.ops.policies import chosen, entropy


class AbstractActors(eqx.Module):
    """What learning asks of how agents choose."""

    window: eqx.AbstractVar[Window]
    """What they see."""
    actions: eqx.AbstractVar[int]
    shared: eqx.AbstractVar[bool]
    """Whether all have one `net`."""

    @abc.abstractmethod
    def init(self, key: Key) -> PyTree:
        """A net before training."""

    @abc.abstractmethod
    def policy(self, net: PyTree) -> Independent:
        """The joint policy."""

    @abc.abstractmethod
    def nothing(self) -> Array:
        """`visits` of no time."""

    @abc.abstractmethod
    def visits(
        self, net: PyTree, observation: Observation, weight: Float[Array, " T"]
    ) -> Float[Array, "N ..."]:
        """Shares of time, in what suits, ticks weighing as given; a moving average may be taken."""

    @abc.abstractmethod
    def occupied(self, net: PyTree, visits: Float[Array, "N ..."]) -> Float[Array, "N S A"]:
        """Occupancies from shares of time. Chances take the place of the actions drawn."""

    @abc.abstractmethod
    def shadowed(self, shadow: Float[Array, "N S A"], rollout: Rollout) -> Float[Array, "T E N"]:
        """Shadow rewards along a rollout."""

    @abc.abstractmethod
    def slope(self, net: PyTree, rollout: Rollout, weight: Float[Array, "T E N"]) -> PyTree:
        r"""$\sum_t \overline{w_i(t) \nabla \log \pi_i}$ over scenarios; of a net that all share,
        its mean over agents."""

    @abc.abstractmethod
    def spread(self, net: PyTree, rollout: Rollout, weight: Float[Array, " T"]) -> PyTree:
        r"""$\sum_t w(t)\, \overline{\nabla H(\pi_i(\cdot | o_i(t)))}$ in the same way."""

    @abc.abstractmethod
    def entropy(self, net: PyTree, visits: Array, rollout: Rollout) -> Scalar:
        """Of the choices made, in nats."""

    @abc.abstractmethod
    def held(self, net: PyTree) -> PyTree:
        """A net within its bounds, if it has any."""


class Tables(AbstractActors):
    """Logits by what is seen, of states that can be counted."""

    window: Window = eqx.field(static=True)
    actions: int = eqx.field(static=True)
    shared: bool = eqx.field(static=True)
    largest: float = eqx.field(static=True)
    """Logits are held within this size."""

    def init(self, key: Key) -> Table:
        tables = 1 if self.shared else self.window.graph.agents
        logits = jnp.zeros((tables, self.window.rows, self.actions))
        return Table(logits=logits, window=self.window)

    def policy(self, net: Table) -> Tabular:
        return Tabular(net=net)

    def nothing(self) -> Float[Array, "N C"]:
        return jnp.zeros((self.window.graph.agents, self.window.rows))

    def visits(
        self, net: Table, observation: Observation, weight: Float[Array, " T"]
    ) -> Float[Array, "N C"]:
        """By what is seen."""
        row = self.window.row(states_of(observation, self.window.states))
        return occupancy.by_cell(weight[:, None, None], row, self.window.rows) / row.shape[1]

    def occupied(self, net: Table, visits: Float[Array, "N C"]) -> Float[Array, "N S A"]:
        return occupancy.occupancy(visits, jax.nn.softmax(net.logits), self.window.states)

    def shadowed(self, shadow: Float[Array, "N S A"], rollout: Rollout) -> Float[Array, "T E N"]:
        state = states_of(rollout.observation, self.window.states)
        return shadowed(shadow, state, rollout.action)

    def slope(self, net: Table, rollout: Rollout, weight: Float[Array, "T E N"]) -> Table:
        rows, actions = self.window.rows, self.actions
        row = self.window.row(states_of(rollout.observation, self.window.states))
        gain = occupancy.by_cell(weight, row * actions + rollout.action, rows * actions)
        gain = gain.reshape(-1, rows, actions) / weight.shape[1]
        if self.shared:
            gain = jnp.mean(gain, axis=0, keepdims=True)
        chances = jax.nn.softmax(net.logits)
        slope = gain - chances * jnp.sum(gain, axis=-1, keepdims=True)
        return Table(logits=slope, window=self.window)

    def spread(self, net: Table, rollout: Rollout, weight: Float[Array, " T"]) -> Table:
        said = jax.nn.log_softmax(net.logits)
        each = -jnp.exp(said) * (said + entropy(said)[..., None])
        slope = self.visits(net, rollout.observation, weight)[..., None] * each
        if self.shared:
            slope = jnp.mean(slope, axis=0, keepdims=True)
        return Table(logits=slope, window=self.window)

    def entropy(self, net: Table, visits: Array, rollout: Rollout) -> Scalar:
        each = entropy(jax.nn.log_softmax(net.logits))
        return jnp.sum(visits * each) / visits.shape[0]

    def held(self, net: Table) -> Table:
        logits = jnp.clip(net.logits, -self.largest, self.largest)
        return Table(logits=logits, window=self.window)


class Networks(AbstractActors):
    """Multilayer perceptrons of what is seen, of states of any kind."""

    system: AbstractSystem
    window: Window = eqx.field(static=True)
    actions: int = eqx.field(static=True)
    shared: bool = eqx.field(static=True)
    hidden: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)

    def init(self, key: Key) -> PyTree:
        return sighted(
            key,
            self.window,
            self.system.width,
            self.actions,
            hidden=self.hidden,
            depth=self.depth,
            shared=self.shared,
        )

    def policy(self, net: PyTree) -> Independent:
        return Independent(net=net)

    def nothing(self) -> Float[Array, "N S A"]:
        return jnp.zeros((self.window.graph.agents, self.system.states, self.actions))

    def visits(
        self, net: PyTree, observation: Observation, weight: Float[Array, " T"]
    ) -> Float[Array, "N S A"]:
        """By cell and action: the occupancy itself."""
        said = jax.vmap(self.policy(net).log_probabilities)

        def tick(total, now):
            seen, counts = now
            chances, share = jnp.exp(said(seen)), self._cells(seen)
            return total + counts * jnp.einsum("ens,ena->nsa", share, chances) / len(share), None

        return jax.lax.scan(tick, self.nothing(), (observation, weight))[0]

    def occupied(self, net: PyTree, visits: Float[Array, "N S A"]) -> Float[Array, "N S A"]:
        return visits

    def shadowed(self, shadow: Float[Array, "N S A"], rollout: Rollout) -> Float[Array, "T E N"]:
        """The mean of those of the cells that a state shares in."""
        by_action, who = shadow.swapaxes(1, 2), jnp.arange(shadow.shape[0])[None]

        def tick(now):
            seen, action = now
            return jnp.sum(self._cells(seen) * by_action[who, action], axis=-1)

        return jax.lax.map(tick, (rollout.observation, rollout.action))

    def slope(self, net: PyTree, rollout: Rollout, weight: Float[Array, "T E N"]) -> PyTree:
        def gained(said, given):
            action, weight = given
            return jnp.sum(weight * chosen(said, action))

        return self._climbed(net, rollout, gained, (rollout.action, weight))

    def spread(self, net: PyTree, rollout: Rollout, weight: Float[Array, " T"]) -> PyTree:
        return self._climbed(net, rollout, lambda said, w: w * jnp.sum(entropy(said)), weight)

    def _climbed(
        self, net: PyTree, rollout: Rollout, gained: Callable[..., Scalar], given: PyTree
    ) -> PyTree:
        """The slope of what is gained at all ticks, given what is said at each and its own part of
        what is `given`, in the mean over scenarios."""
        _, scenarios, agents = rollout.action.shape

        def surrogate(net):
            said = jax.vmap(self.policy(net).log_probabilities)

            @jax.checkpoint
            def tick(total, now):
                seen, given = now
                return total + gained(said(seen), given), None

            ticks = rollout.observation, given
            total = jax.lax.scan(tick, jnp.float32(0), ticks)[0]
            return total / (scenarios * (agents if self.shared else 1))

        return jax.grad(surrogate)(net)

    def entropy(self, net: PyTree, visits: Array, rollout: Rollout) -> Scalar:
        """In the mean over ticks."""
        said = jax.vmap(self.policy(net).log_probabilities)
        return jnp.mean(jax.lax.map(lambda seen: entropy(said(seen)), rollout.observation))

    def held(self, net: PyTree) -> PyTree:
        return net

    def _cells(self, seen: Observation) -> Float[Array, "E N S"]:
        return self.system.cells(seen.local[..., : self.system.width])


def actors(config: Any, system: AbstractSystem, *, tables: bool) -> AbstractActors:
    """Those of the settings of `localised`."""
    window = Window(system.graph, system.states, config.view)
    given = {"window": window, "actions": system.actions, "shared": config.sharing == "shared"}
    if tables:
        return Tables(**given, largest=config.largest)
    return Networks(**given, system=system, hidden=config.hidden, depth=config.depth)
