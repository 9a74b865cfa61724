"""Values of joint actions, made of one utility per agent and action."""

import abc
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from descant.core.types import Key, Observation, PyTree, Spec
from descant.nets.mixing import Duplex, Hypernetwork, Sum
from descant.nets.mlp import Layers, PerAgent, layers, per_agent, whole_size, whole_view
from descant.ops.ordering import best
from descant.ops.policies import ILLEGAL

Utilities = Callable[[Observation], Float[Array, "N A"]]
"""What each agent's actions are worth to it."""


class AbstractJoint(eqx.Module):
    """Value of a joint action, given as one row of weights per agent: a one-hot row, or a relaxed
    one. An agent that rests is worth its best action, whatever its row says."""

    utilities: eqx.AbstractVar[Utilities]

    @abc.abstractmethod
    def __call__(self, observation: Observation, action: Float[Array, "N A"]) -> Float[Array, " V"]:
        """The team's value, or every agent's own."""


class Apart(AbstractJoint):
    """Every agent's utility stands for itself; Tan (1993)."""

    utilities: Utilities

    def __call__(self, observation: Observation, action: Float[Array, "N A"]) -> Float[Array, " V"]:
        return taken(self.utilities(observation), action, observation)[0]


class Outlook(NamedTuple):
    """What a mixed value makes of a tick before anybody acts; most of its work."""

    each: Float[Array, "N A"]
    """What each agent's actions are worth to it; nothing, where it rests."""
    rest: Float[Array, " N"]
    """What resting is worth to an agent that does."""
    weights: PyTree
    """Of the mixer."""


class Mixed(AbstractJoint):
    """One value of all utilities; of the other arguments, the mixer sees the state alone."""

    utilities: Utilities
    mixer: Sum | Hypernetwork

    def __call__(self, observation: Observation, action: Float[Array, "N A"]) -> Float[Array, " V"]:
        return self.judge(observation, self.look(observation), action)

    def look(self, observation: Observation) -> Outlook:
        """What all joint actions of a tick have in common."""
        utility = self.utilities(observation)
        active = observation.active
        rest = jnp.where(active, 0.0, highest(utility, observation))
        weights = self.mixer.weights(whole_view(observation))
        return Outlook(jnp.where(active[:, None], utility, 0.0), rest, weights)

    def judge(
        self, observation: Observation, seen: Outlook, action: Float[Array, "N A"]
    ) -> Float[Array, " V"]:
        """The value of one of them."""
        utility = jnp.sum(seen.each * action, axis=-1) + seen.rest
        return self.mixer.mix(utility, seen.weights)[None]


class Dueling(AbstractJoint):
    """One value of all utilities and of what the best ones would be; Wang et al. (2021)."""

    utilities: Utilities
    mixer: Duplex

    def __call__(self, observation: Observation, action: Float[Array, "N A"]) -> Float[Array, " V"]:
        utility, most = taken(self.utilities(observation), action, observation)
        acted = action * observation.active[:, None]
        return self.mixer(utility, whole_view(observation), most, acted)[None]


class Whole(eqx.Module):
    """One network of all there is to see and of everybody's action, made of no utilities; Lowe et
    al. (2017), section 4.1."""

    body: Layers

    def __call__(self, observation: Observation, action: Float[Array, "N A"]) -> Float[Array, " V"]:
        """One value; agents that rest count as if they did nothing."""
        return self.judge(observation, self.look(observation), action)

    def look(self, observation: Observation) -> tuple[()]:
        """Nothing is made of a tick before everybody acts."""
        return ()

    def judge(
        self, observation: Observation, seen: tuple[()], action: Float[Array, "N A"]
    ) -> Float[Array, " V"]:
        """The value of a joint action."""
        acted = action * observation.active[:, None]
        return self.body(jnp.concatenate([whole_view(observation), acted.reshape(-1)]))


def whole(key: Key, spec: Spec, *, hidden: int = 64, depth: int = 2) -> Whole:
    """`depth` hidden layers of `hidden` units."""
    sizes = [whole_size(spec) + spec.agents * spec.actions, *[hidden] * depth, 1]
    return Whole(layers(key, sizes, activation=jax.nn.relu, last=0.1))


def taken(
    utility: Float[Array, "N A"], action: Float[Array, "N A"], observation: Observation
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Each agent's utility of what it does, and of the best it could do."""
    most = highest(utility, observation)
    return jnp.where(observation.active, jnp.sum(utility * action, axis=-1), most), most


def highest(utility: Float[Array, "N A"], observation: Observation) -> Float[Array, " N"]:
    """What each agent's best legal action is worth."""
    # Not the largest of the row: XLA takes its derivative slowly.
    return jnp.sum(utility * greedy(utility, observation), axis=-1)


def legal(observation: Observation) -> Bool[Array, "N A"]:
    """What may be chosen; anything by agents that rest."""
    return observation.mask | ~observation.active[:, None]


def greedy(utility: Float[Array, "N A"], observation: Observation) -> Float[Array, "N A"]:
    """Each agent's best legal action, as one-hot rows."""
    choice = best(jnp.where(legal(observation), utility, ILLEGAL))
    return jax.nn.one_hot(choice, utility.shape[-1])


def utilities(
    key: Key,
    spec: Spec,
    *,
    view: Literal["world", "local"],
    hidden: int = 64,
    depth: int = 2,
    embedding: int = 16,
) -> PerAgent:
    """One network for all agents, of what each may see when it acts, or of the world beside it."""
    seen = replace(spec, shared=spec.shared or view == "world")
    return per_agent(key, seen, hidden=hidden, depth=depth, embedding=embedding)
