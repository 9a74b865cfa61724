"""A game as a world of one tick, and its rules."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.types import Key, Observation, Spec, Step, World
from descant.domains.matrix import Config
from descant.domains.matrix.payoffs import payoffs
from descant.ops.rules import always, anything


class State(NamedTuple):
    """A game remembers only whether it was played."""

    time: Int[Array, ""]


class Game(AbstractEnv):
    """Everybody chooses once, nobody sees anything but who it is, and all get the same payoff."""

    spec: Spec = eqx.field(static=True)
    payoff: Float[Array, "*A"]
    """An axis for each agent."""

    def reset(self, key: Key) -> tuple[State, Observation]:
        """The game is always the same."""
        state = State(jnp.int32(0))
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Int[Array, " N"]) -> tuple[State, Step]:
        """Pay, and end."""
        reward, most = self.payoff[tuple(action)], jnp.max(self.payoff)
        state = State(state.time + 1)
        step = Step(
            observation=self.observe(state),
            reward=reward,
            terminated=jnp.bool_(True),
            truncated=jnp.bool_(False),
            diagnostics={
                "optimal": (reward >= most).astype(jnp.float32),
                "regret": most - reward,
            },
        )
        return state, step

    def observe(self, state: State) -> Observation:
        """Who one is."""
        spec = self.spec
        return Observation(
            local=jnp.eye(spec.agents),
            world=World(entities=jnp.zeros((0, 0)), globals=jnp.zeros((0,))),
            mask=jnp.ones((1, spec.actions), bool),
            active=jnp.ones((spec.agents,), bool),
        )


def best(table: Float[np.ndarray, "*A"]) -> tuple[int, ...]:
    """A joint action with the highest payoff."""
    return tuple(int(i) for i in np.unravel_index(np.argmax(table), table.shape))


def best_reply(table: Float[np.ndarray, "*A"]) -> tuple[int, ...]:
    """Each agent's best action against others that choose anything."""
    every = range(table.ndim)
    means = (table.mean(axis=tuple(j for j in every if j != i)) for i in every)
    return tuple(int(np.argmax(mean)) for mean in means)


def build(config: Config) -> Domain:
    """World and rules."""
    table = payoffs(config)
    spec = Spec(
        agents=config.agents,
        actions=config.actions,
        horizon=1,
        local=config.agents,
        entities=0,
        features=0,
        globals=0,
        shared=False,
    )
    return Domain(
        name="matrix",
        env=Game(spec=spec, payoff=jnp.asarray(table)),
        rules={
            "random": anything(config.actions),
            "best-reply": always(best_reply(table)),
            "best": always(best(table)),
        },
        headline="best-reply",
        figures=("optimal", "regret"),
        bound=lambda state: float(table.max()),
        default=lambda state: jnp.zeros((config.agents,), jnp.int32),
    )
