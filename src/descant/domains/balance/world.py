"""The world of `balance`, its model, its rules."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.domain import Domain
from descant.core.env import AbstractEnv
from descant.core.model import AbstractTargetModel
from descant.core.types import Key, Observation, Scalar, Spec, Step, World
from descant.domains.balance import Config


class State(NamedTuple):
    """The moment when the agents of a tick choose."""

    level: Float[Array, " A"]
    """Load that is still there."""
    capacity: Float[Array, " A"]
    """Its sum is the number of agents."""
    size: Float[Array, " N"]
    """What each agent brings."""
    time: Int[Array, ""]


class Balance(AbstractEnv):
    r"""Loads are dropped on resources; the team pays $\frac1{2N} \sum_j (x_j - \tilde x_j)^2 /
    \mu_j$, where $\tilde x$ is all load in proportion to capacity $\mu$.
    """

    spec: Spec = eqx.field(static=True)
    config: Config = eqx.field(static=True)

    def reset(self, key: Key) -> tuple[State, Observation]:
        """Draw the first loads."""
        config = self.config
        weight = jnp.linspace(1 - config.uneven, 1 + config.uneven, config.resources)
        capacity = config.agents * weight / jnp.sum(weight)
        state = State(jnp.zeros_like(capacity), capacity, self._deal(key), jnp.int32(0))
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Int[Array, " N"]) -> tuple[State, Step]:
        """Drop the loads, pay, let some of them go, and hand out new ones."""
        size_key, noise_key = jax.random.split(key)
        load = dropped(state, jax.nn.one_hot(action, state.capacity.shape[0]))
        cost = potential(state, load)
        luck = self.config.noise * jax.random.normal(noise_key) if self.config.noise else 0.0
        state = State(self.config.stay * load, state.capacity, self._deal(size_key), state.time + 1)
        step = Step(
            observation=self.observe(state),
            reward=luck - cost,
            terminated=jnp.bool_(False),
            truncated=state.time >= self.spec.horizon,
            diagnostics={"cost": cost, "highest": jnp.max(load / state.capacity)},
        )
        return state, step

    def observe(self, state: State) -> Observation:
        """Own load; room below the target, target and level of each resource, in mean capacities;
        the clock."""
        unit = self.config.resources / self.config.agents
        goal = target(state)
        entities = unit * jnp.stack([goal - state.level, goal, state.level], axis=-1)
        return Observation(
            local=unit * state.size[:, None],
            world=World(entities=entities, globals=(state.time / self.spec.horizon)[None]),
            mask=jnp.ones((1, self.spec.actions), bool),
            active=jnp.ones((self.spec.agents,), bool),
        )

    def _deal(self, key: Key) -> Float[Array, " N"]:
        spread = self.config.sizes
        shape = (self.config.agents,)
        return 1 + spread * jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


def dropped(state: State, action: Float[Array, "N A"]) -> Float[Array, " A"]:
    """Load after a (relaxed) joint action."""
    return state.level + state.size @ action


def target(state: State) -> Float[Array, " A"]:
    """All load, in proportion to capacity."""
    total = jnp.sum(state.level) + jnp.sum(state.size)
    return state.capacity * total / jnp.sum(state.capacity)


def metric(state: State) -> Float[Array, " A"]:
    """Weight of each resource's squared distance."""
    return 1 / (state.capacity * state.size.shape[0])


def potential(state: State, load: Float[Array, " A"]) -> Scalar:
    """What the team pays."""
    return 0.5 * jnp.sum(metric(state) * (load - target(state)) ** 2)


class Shares(AbstractTargetModel):
    """Loads against a share in proportion to capacity; the reward is minus this potential."""

    def context(self, state: State) -> State:
        return state

    def reference(self, context: State) -> Float[Array, " M"]:
        return target(context)

    def respond(self, context: State, action: Float[Array, "N A"]) -> Float[Array, " M"]:
        return dropped(context, action)

    def metric(self, context: State) -> Float[Array, " M"]:
        return metric(context)

    def influence(
        self, context: State, agent: Int[Array, ""], action: Int[Array, ""]
    ) -> Float[Array, " M"]:
        return context.size[agent] * jax.nn.one_hot(action, context.capacity.shape[0])

    def pull(
        self, context: State, agent: Int[Array, ""], covector: Float[Array, " M"]
    ) -> Float[Array, " A"]:
        return context.size[agent] * covector

    def weight(self, context: State) -> Float[Array, "N A"]:
        return context.size[:, None] ** 2 * metric(context)[None]

    def rewards(self, context: State, x: Float[Array, " M"]) -> dict[str, Scalar]:
        return {"cost": -potential(context, x)}


def anywhere(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """Any resource."""
    return jax.random.randint(key, state.size.shape, 0, state.capacity.shape[0])


def by_capacity(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """A resource drawn in proportion to its capacity."""
    return jax.random.categorical(key, jnp.log(state.capacity), shape=state.size.shape)


def least_filled(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """One agent after another, each where the share of capacity in use will be lowest."""

    def turn(level, size):
        choice = jnp.argmin((level + size) / state.capacity)
        return level.at[choice].add(size), choice

    return jax.lax.scan(turn, state.level, state.size)[1]


def build(config: Config) -> Domain:
    """World, model and rules."""
    spec = Spec(
        agents=config.agents,
        actions=config.resources,
        horizon=config.horizon,
        local=1,
        entities=config.resources,
        features=3,
        globals=1,
        supplies=((0, 0, 1),),
    )
    return Domain(
        name="balance",
        env=Balance(spec=spec, config=config),
        model=Shares(),
        rules={"anywhere": anywhere, "by-capacity": by_capacity, "least-filled": least_filled},
        headline="least-filled",
        figures=("cost", "highest"),
        default=lambda state: jnp.zeros((config.agents,), jnp.int32),
    )
