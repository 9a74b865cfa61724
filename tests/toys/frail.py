"""Agents spread over bins in a world that can be made slow, and can break at a given tick."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.types import Key, Observation, Spec, Step, World

AGENTS, BINS = 2, 3


@dataclass(frozen=True)
class Config:
    """Frail."""

    horizon: int = 8
    """Ticks of an episode."""
    work: int = 0
    """Idle calculation in each tick, so that an iteration takes a while."""
    start: int = -1
    """First tick that is broken; -1 for none."""
    stop: int = 1000000
    """First tick that is sound again."""
    site: Literal["reward", "observation", "state"] = "reward"
    """What is NaN on a broken tick; a state stays so."""


class State(NamedTuple):
    """Levels of the bins before a tick."""

    level: Float[Array, " A"]
    time: Int[Array, ""]


class Frail(AbstractEnv):
    """Levels leak by half each tick; the reward is minus the highest."""

    spec: Spec = eqx.field(static=True)
    work: int = eqx.field(static=True)
    start: Int[Array, ""]
    stop: Int[Array, ""]
    site: Int[Array, ""]
    """Index into `SITES`."""

    def reset(self, key: Key) -> tuple[State, Observation]:
        """Draw the levels."""
        state = State(jax.random.uniform(key, (BINS,)), jnp.int32(0))
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Int[Array, " N"]) -> tuple[State, Step]:
        """Put one unit for each agent on its bin."""
        level = state.level + jnp.sum(jax.nn.one_hot(action, BINS), axis=0)
        reward = -jnp.max(level) + 0 * self.idle(key)
        time = state.time + 1
        broken = (self.start >= 0) & (time >= self.start) & (time < self.stop)
        pain = {
            name: jnp.where(broken & (self.site == i), jnp.nan, 0.0) for i, name in enumerate(SITES)
        }
        following = State(0.5 * level + pain["state"], time)
        observation = self.observe(following)
        observation = eqx.tree_at(
            lambda o: o.local, observation, replace_fn=lambda x: x + pain["observation"]
        )
        step = Step(
            observation=observation,
            reward=reward + pain["reward"],
            terminated=jnp.array(False),
            truncated=time >= self.spec.horizon,
            diagnostics={"level": jnp.mean(level)},
        )
        return following, step

    def observe(self, state: State) -> Observation:
        """The levels."""
        return Observation(
            local=jnp.ones((AGENTS, 1)),
            world=World(entities=state.level[:, None], globals=jnp.ones(1)),
            mask=jnp.ones((AGENTS, BINS), bool),
            active=jnp.ones(AGENTS, bool),
        )

    def idle(self, key: Key) -> Array:
        """A finite number that takes a while."""
        x = jax.random.uniform(key, (64, 64))
        return jnp.sum(jax.lax.fori_loop(0, self.work, lambda _, x: jnp.tanh(x @ x), x))


SITES = ("reward", "observation", "state")


def lowest(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """Everybody to the lowest bin."""
    return jnp.full(AGENTS, jnp.argmin(state.level))


def anywhere(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """Any bin."""
    return jax.random.randint(key, (AGENTS,), 0, BINS)


def make(config: Config) -> Domain:
    """The domain."""
    spec = Spec(
        agents=AGENTS,
        actions=BINS,
        horizon=config.horizon,
        local=1,
        entities=BINS,
        features=1,
        globals=1,
    )
    return Domain(
        name="frail",
        env=Frail(
            spec=spec,
            work=config.work,
            start=jnp.int32(config.start),
            stop=jnp.int32(config.stop),
            site=jnp.int32(SITES.index(config.site)),
        ),
        rules={"lowest": lowest, "anywhere": anywhere},
        headline="lowest",
        figures=("level",),
    )
