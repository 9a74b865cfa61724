"""Agents are shown a number once and asked for it some ticks later: nothing but memory helps."""

from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.types import Action, Key, Observation, Spec, Step, World


@dataclass(frozen=True)
class Config:
    """Echo."""

    agents: int = 2
    """Agents."""
    wait: int = 2
    """Ticks from the number to the question."""


class State(NamedTuple):
    """What each agent was shown."""

    shown: Int[Array, " N"]
    time: Int[Array, ""]


class Echo(AbstractEnv):
    """The team gets the share of agents that say what they were shown, at the last tick."""

    spec: Spec = eqx.field(static=True)

    def reset(self, key: Key) -> tuple[State, Observation]:
        state = State(jax.random.randint(key, (self.spec.agents,), 0, 2), jnp.int32(0))
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Action) -> tuple[State, Step]:
        last = state.time == self.spec.horizon - 1
        after = State(state.shown, state.time + 1)
        step = Step(
            observation=self.observe(after),
            reward=jnp.where(last, jnp.mean(action == state.shown), 0.0),
            terminated=last,
            truncated=jnp.bool_(False),
            diagnostics={},
        )
        return after, step

    def observe(self, state: State) -> Observation:
        shown = jnp.where(state.time == 0, 2.0 * state.shown - 1.0, 0.0)
        last = jnp.broadcast_to(state.time == self.spec.horizon - 1, shown.shape)
        return Observation(
            local=jnp.stack([shown, last.astype(jnp.float32)], axis=-1),
            world=World(entities=jnp.zeros((0, 0)), globals=jnp.zeros((0,))),
            mask=jnp.ones((1, 2), bool),
            active=jnp.ones(shown.shape, bool),
        )


def make(config: Config) -> Domain:
    spec = Spec(
        agents=config.agents,
        actions=2,
        horizon=config.wait + 1,
        local=2,
        entities=0,
        features=0,
        globals=0,
        shared=False,
    )
    return Domain(name="echo", env=Echo(spec=spec))
