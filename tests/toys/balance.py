"""Agents carry loads to bins, and the bins should stand at given levels: small enough to
enumerate."""

from dataclasses import dataclass
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.model import AbstractTargetModel
from descant.core.types import Key, Observation, Scalar, Spec, Step, World


@dataclass(frozen=True)
class Config:
    """Balance."""

    agents: int = 3
    """Agents."""
    bins: int = 4
    """Bins to choose from."""
    per_bin: int = 1
    """Entities that speak for one bin."""
    horizon: int = 6
    """Ticks of an episode."""
    idle: float = 0.25
    """Share of agents that rest in a tick."""
    closed: float = 0.25
    """Share of bins, beyond the first, that an agent may not choose in a tick."""
    stop: float = 0.0
    """Chance per tick that an episode terminates; above 0 episodes differ in length."""
    world: bool = True
    """Whether there is a shared world to see; without it all agents see the same few numbers."""


class State(eqx.Module):
    """Before the agents of a tick act; what they carry and may choose follows from `key`."""

    level: Float[Array, " A"]
    target: Float[Array, " A"]
    size: Float[Array, " N"]
    """Load of each agent; zero where it rests."""
    mask: Bool[Array, "N A"]
    time: Int[Array, ""]


class Balance(AbstractEnv):
    """Levels leak by half each tick; the reward is minus half the squared distance to the
    target."""

    spec: Spec = eqx.field(static=True)
    config: Config = eqx.field(static=True)

    def reset(self, key: Key) -> tuple[State, Observation]:
        """Draw a target; bins are empty."""
        target_key, key = jax.random.split(key)
        bins = self.config.bins
        target = jax.random.uniform(target_key, (bins,), minval=0.0, maxval=2.0)
        state = State(jnp.zeros(bins), target, *self._deal(key), jnp.int32(0))
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Int[Array, " N"]) -> tuple[State, Step]:
        """Drop the loads, take the reward, leak, and hand out new loads."""
        deal_key, stop_key = jax.random.split(key)
        chosen = jax.nn.one_hot(action, self.config.bins)
        level = state.level + state.size @ chosen
        reward = -0.5 * jnp.sum((level - state.target) ** 2)
        state = State(0.5 * level, state.target, *self._deal(deal_key), state.time + 1)
        step = Step(
            observation=self.observe(state),
            reward=reward,
            terminated=jax.random.uniform(stop_key) < self.config.stop,
            truncated=state.time >= self.spec.horizon,
            diagnostics={"level": jnp.mean(level), "farthest": jnp.max(jnp.abs(level))},
        )
        return state, step

    def observe(self, state: State) -> Observation:
        """Own load; level, room and target of each bin; the clock."""
        config = self.config
        active = state.size > 0
        if config.world:
            left = state.target - state.level
            rows = jnp.stack([state.level, left, state.target], axis=-1)
            entities = jnp.repeat(rows, config.per_bin, axis=0)
            local = jnp.stack([state.size, active.astype(jnp.float32)], axis=-1)
            common = (state.time / config.horizon)[None]
        else:
            entities, common = jnp.zeros((0, 0)), jnp.zeros((0,))
            gap = jnp.concatenate([state.level - state.target, state.level])
            local = jnp.broadcast_to(gap[None], (config.agents, gap.shape[0]))
        world = World(entities=entities, globals=common)
        return Observation(local=local, world=world, mask=state.mask, active=active)

    def _deal(self, key: Key) -> tuple[Array, Array]:
        size_key, idle_key, mask_key = jax.random.split(key, 3)
        shape = (self.config.agents, self.config.bins)
        size = jax.random.uniform(size_key, shape[:1], minval=0.5, maxval=1.5)
        works = jax.random.uniform(idle_key, shape[:1]) >= self.config.idle
        mask = jax.random.uniform(mask_key, shape) >= self.config.closed
        return jnp.where(works, size, 0.0), mask.at[:, 0].set(True)


class Context(NamedTuple):
    """What guidance needs of a state."""

    level: Float[Array, " A"]
    target: Float[Array, " A"]
    size: Float[Array, " N"]


class Levels(AbstractTargetModel):
    """The bins' levels against their target, the second half of the bins counting double."""

    def context(self, state: State) -> Context:
        return Context(state.level, state.target, state.size)

    def reference(self, context: Context) -> Float[Array, " M"]:
        return context.target

    def respond(self, context: Context, action: Float[Array, "N A"]) -> Float[Array, " M"]:
        return context.level + context.size @ action

    def metric(self, context: Context) -> Float[Array, " M"]:
        bins = context.level.shape[0]
        return jnp.where(jnp.arange(bins) < bins // 2, 1.0, 2.0)

    def influence(
        self, context: Context, agent: Int[Array, ""], action: Int[Array, ""]
    ) -> Float[Array, " M"]:
        return context.size[agent] * jax.nn.one_hot(action, context.level.shape[0])

    def pull(
        self, context: Context, agent: Int[Array, ""], covector: Float[Array, " M"]
    ) -> Float[Array, " A"]:
        return context.size[agent] * covector

    def weight(self, context: Context) -> Float[Array, "N A"]:
        return context.size[:, None] ** 2 * self.metric(context)[None]

    def rewards(self, context: Context, x: Float[Array, " M"]) -> dict[str, Scalar]:
        return {"distance": -0.5 * jnp.sum((x - context.target) ** 2), "load": -jnp.sum(x)}


def lowest(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """Everybody to the bin that is farthest below its target."""
    gap = jnp.where(observation.mask, (state.level - state.target)[None], jnp.inf)
    return jnp.argmin(gap, axis=-1)


def anywhere(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """Any legal bin."""
    return jax.random.categorical(key, jnp.where(observation.mask, 0.0, -jnp.inf))


def make(config: Config) -> Domain:
    """The domain."""
    world = config.world
    spec = Spec(
        agents=config.agents,
        actions=config.bins,
        horizon=config.horizon,
        local=2 if world else 2 * config.bins,
        entities=config.bins * config.per_bin if world else 0,
        features=3 if world else 0,
        globals=1 if world else 0,
        supplies=((0, 1, 2),) if world else (),
        fixed=config.stop == 0,
    )
    return Domain(
        name="balance",
        env=Balance(spec=spec, config=config),
        model=Levels(),
        rules={"lowest": lowest, "anywhere": anywhere},
        headline="lowest",
        figures=("level",),
        default=lambda state: jnp.zeros((config.agents,), jnp.int32),
    )
