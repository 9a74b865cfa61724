"""The world of a network, tick by tick."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.domain import AbstractStateRule, Rule
from descant.core.env import AbstractEnv
from descant.core.network import AbstractSystem, Local, counted
from descant.core.types import Key, Observation, Spec, Step, World
from descant.ops.neighbourhood import near_sum


class State(NamedTuple):
    """The moment when all choose."""

    local: Local
    """State of each agent; a byte where that is enough, for there may be many."""
    time: Int[Array, ""]


class Networked(AbstractEnv):
    """A network as an ordinary world. The team's reward is the mean over its agents."""

    spec: Spec = eqx.field(static=True)
    network: AbstractSystem

    def reset(self, key: Key) -> tuple[State, Observation]:
        """Draw first states."""
        state = State(self.network.first(key), jnp.int32(0))
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Int[Array, " N"]) -> tuple[State, Step]:
        """Draw next states, pay."""
        after = State(self.network.move(key, state.local, action), state.time + 1)
        step = Step(
            observation=self.observe(after),
            reward=jnp.mean(self.network.reward(state.local, action, after.local)),
            terminated=jnp.bool_(False),
            truncated=after.time >= self.spec.horizon,
            diagnostics=dict(self.network.figures(state.local, action)),
        )
        return after, step

    def observe(self, state: State) -> Observation:
        """What says an agent's state, and its mean over the agent's neighbours; for critics, the
        mean over all, and the clock. Entities are the actions themselves."""
        network = self.network
        own = network.seen(state.local)
        many = jnp.asarray(np.maximum(network.graph.degree, 1), jnp.float32)
        neighbours = jnp.where(network.hops == 1, network.near, self.spec.agents)
        share = near_sum(own.T, neighbours).T / many[:, None]
        clock = (state.time / self.spec.horizon)[None]
        return Observation(
            local=jnp.concatenate([own, share], axis=-1),
            world=World(
                entities=jnp.eye(network.actions),
                globals=jnp.concatenate([jnp.mean(own, axis=0), clock]),
            ),
            mask=jnp.ones((1, network.actions), bool),
            active=jnp.ones((self.spec.agents,), bool),
        )


def states_of(observation: Observation, states: int) -> Int[Array, "*b N"]:
    """Local states, read back from what `Networked.observe` says of them."""
    return counted(observation.local[..., : states - 1])


def world(network: AbstractSystem, horizon: int) -> Networked:
    """The world of a network, in episodes of so many ticks."""
    spec = Spec(
        agents=network.graph.agents,
        actions=network.actions,
        horizon=horizon,
        local=2 * network.width,
        entities=network.actions,
        features=network.actions,
        globals=network.width + 1,
        shared=False,
    )
    return Networked(spec=spec, network=network)


@dataclass(frozen=True, eq=False)
class Where(AbstractStateRule):
    """Those in certain states do 1 and others 0."""

    which: tuple[bool, ...]

    def __call__(self, state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
        return jnp.asarray(self.which, jnp.int32)[state.local]

    def by_state(self, agents: int, states: int, actions: int) -> Float[np.ndarray, "N S A"]:
        does = np.eye(actions)[np.asarray(self.which, int)]
        return np.broadcast_to(does, (agents, states, actions))


def where(which: Sequence[bool]) -> Rule:
    """The rule by which those in certain states do 1 and others 0."""
    return Where(tuple(which))
