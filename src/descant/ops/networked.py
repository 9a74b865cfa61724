"""The world of a network: everybody's next state drawn from its law, tick by tick."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from descant.core.domain import Rule
from descant.core.env import AbstractEnv
from descant.core.network import AbstractNetwork
from descant.core.types import Key, Observation, Spec, Step, World
from descant.ops.neighbourhood import near_sum


class State(NamedTuple):
    """The moment when all choose."""

    local: Int[Array, " N"]
    """State of each agent; a byte, for there may be many."""
    time: Int[Array, ""]


class Networked(AbstractEnv):
    """A network as an ordinary world. The team's reward is the mean over its agents."""

    spec: Spec = eqx.field(static=True)
    network: AbstractNetwork

    def reset(self, key: Key) -> tuple[State, Observation]:
        """Draw first states."""
        state = State(drawn(self.network.start, self._levels(key)), jnp.int32(0))
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Int[Array, " N"]) -> tuple[State, Step]:
        """Draw next states, pay."""
        chances = self.network.chances(state.local, action)
        after = State(drawn(chances, self._levels(key)), state.time + 1)
        step = Step(
            observation=self.observe(after),
            reward=jnp.mean(self.network.reward(state.local, action, after.local)),
            terminated=jnp.bool_(False),
            truncated=after.time >= self.spec.horizon,
            diagnostics=dict(self.network.figures(state.local, action)),
        )
        return after, step

    def observe(self, state: State) -> Observation:
        """Of every state but 0, whether the agent is in it and the share of its neighbours that
        are; for critics, the share of all, and the clock. Entities are the actions themselves."""
        network = self.network
        besides = jnp.arange(1, network.states)
        own = (state.local[:, None] == besides[None]).astype(jnp.float32)
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

    def _levels(self, key: Key) -> Float[Array, " N"]:
        return jax.random.uniform(key, (self.spec.agents,))


def states_of(observation: Observation, states: int) -> Int[Array, "*b N"]:
    """Local states, read back from what `Networked.observe` says of them."""
    own = observation.local[..., : states - 1].astype(jnp.int32)
    besides = jnp.expand_dims(jnp.arange(1, states), range(own.ndim - 1))
    return jnp.sum(own * besides, axis=-1)


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


def world(network: AbstractNetwork, horizon: int) -> Networked:
    """The world of a network, in episodes of so many ticks."""
    besides = network.states - 1
    spec = Spec(
        agents=network.graph.agents,
        actions=network.actions,
        horizon=horizon,
        local=2 * besides,
        entities=network.actions,
        features=network.actions,
        globals=besides + 1,
        shared=False,
    )
    return Networked(spec=spec, network=network)


def where(which: Bool[Array, " S"] | list[bool]) -> Rule:
    """The rule by which those in certain states do 1 and others 0."""

    def rule(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
        return jnp.asarray(which, jnp.int32)[state.local]

    return rule
