"""One agent acts throughout, the other at the first tick only, and the team gets one at each."""

from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.types import Action, Key, Observation, Spec, Step, World
from descant.ops.rules import anything


@dataclass(frozen=True)
class Config:
    """Rest."""

    horizon: int = 6
    """Ticks."""


class State(NamedTuple):
    """The tick."""

    time: Int[Array, ""]


class Rest(AbstractEnv):
    """Who acts sees the tick, and who rests sees nothing."""

    spec: Spec = eqx.field(static=True)

    def reset(self, key: Key) -> tuple[State, Observation]:
        state = State(jnp.int32(0))
        return state, self.observe(state)

    def observe(self, state: State) -> Observation:
        """The tick as a row with a one in it."""
        active = jnp.array([True, False]) | (state.time == 0)
        shown = jax.nn.one_hot(state.time, self.spec.local)
        return Observation(
            local=active[:, None] * shown[None],
            world=World(entities=jnp.zeros((0, 0)), globals=jnp.zeros((0,))),
            mask=jnp.ones((1, self.spec.actions), bool),
            active=active,
        )

    def step(self, key: Key, state: State, action: Action) -> tuple[State, Step]:
        state = State(state.time + 1)
        return state, Step(
            observation=self.observe(state),
            reward=jnp.float32(1),
            terminated=state.time >= self.spec.horizon,
            truncated=jnp.bool_(False),
            diagnostics={},
        )


def make(config: Config) -> Domain:
    spec = Spec(
        agents=2,
        actions=2,
        horizon=config.horizon,
        local=config.horizon + 1,
        entities=0,
        features=0,
        globals=0,
        shared=False,
    )
    return Domain(
        name="rest", env=Rest(spec=spec), rules={"random": anything(2)}, headline="random"
    )
