"""Send cars to charging stations whose feeders also supply houses.

A whole domain in one file: the world, the model that planners have for it, and today's rules.

    descant train examples/my_domain.py dgpg --train.iterations 5
"""

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

HOUR = 12
"""Ticks in an hour: one is five minutes."""
POWER = (50.0, 350.0)
"""Range of a feeder's power, kW."""
ASKS = (10.0, 60.0)
"""Range of what a car wants to charge, kWh."""
HOUSES, SWING, EVENING = 0.4, 0.2, 19
"""Share of a feeder that houses take, how far it swings over a day, and when it is highest."""


@dataclass(frozen=True)
class Config:
    """Charging."""

    stations: int = 10
    """Charging stations."""
    cars: int = 8
    """Cars that can be sent on their way in one tick."""
    horizon: int = 288
    """Ticks of an episode; the default is a day."""
    load: float = 0.9
    """Energy that cars ask for, as a share of what houses leave over a day."""
    near: float = 0.7
    """Chance that a car can reach a station."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            ValueError: a value is out of its range; the sentence starts with its name.
        """
        for name in ("stations", "cars", "horizon"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}.")
        if not self.load > 0:
            raise ValueError(f"load: expected above 0, got {self.load}.")
        if not 0 <= self.near <= 1:
            raise ValueError(f"near: expected 0 to 1, got {self.near}.")


class State(NamedTuple):
    """The moment when the cars of a tick are sent on their way; energies in kWh."""

    power: Float[Array, " A"]
    """What each feeder can deliver in a tick."""
    waiting: Float[Array, " A"]
    """What each station has promised and not delivered."""
    chance: Float[Array, ""]
    """Of a car in each slot, per tick."""
    asks: Float[Array, " N"]
    """What each car wants; zero where there is none."""
    near: Bool[Array, "N A"]
    """Stations that each car can reach."""
    time: Int[Array, ""]


class Charging(AbstractEnv):
    """Stations deliver what houses leave; the team pays for energy that is kept waiting."""

    spec: Spec = eqx.field(static=True)
    config: Config = eqx.field(static=True)

    def reset(self, key: Key) -> tuple[State, Observation]:
        """Draw feeders and the first cars, at midnight."""
        power_key, deal_key = jax.random.split(key)
        low, high = POWER
        stations = (self.config.stations,)
        power = jax.random.uniform(power_key, stations, minval=low, maxval=high) / HOUR
        supply = self.config.load * (1 - HOUSES) * jnp.sum(power)
        chance = jnp.minimum(supply / (self.config.cars * sum(ASKS) / 2), 1.0)
        cars = self._deal(deal_key, chance)
        state = State(power, jnp.zeros(stations), chance, *cars, jnp.int32(0))
        return state, self.observe(state)

    def step(self, key: Key, state: State, action: Int[Array, " N"]) -> tuple[State, Step]:
        """Cars plug in, stations deliver, time passes."""
        load = state.waiting + state.asks @ jax.nn.one_hot(action, self.config.stations)
        waiting = jnp.maximum(load - spare(state), 0)
        ticks = jnp.sum(waiting) / jnp.sum(state.power)
        cars = self._deal(key, state.chance)
        state = State(state.power, waiting, state.chance, *cars, state.time + 1)
        step = Step(
            observation=self.observe(state),
            reward=-ticks,
            terminated=jnp.bool_(False),
            truncated=state.time >= self.spec.horizon,
            diagnostics={"waiting": ticks, "longest": jnp.max(waiting / state.power)},
        )
        return state, step

    def observe(self, state: State) -> Observation:
        """What each car asks for; what each station can deliver within the hour; the clock."""
        unit = ASKS[1]
        hour = spare(state) * HOUR / unit
        left = hour - state.waiting / unit
        wait = jnp.log1p(state.waiting / state.power)
        angle = 2 * jnp.pi * state.time / (24 * HOUR)
        world = World(
            entities=jnp.stack([left, hour, wait], axis=-1),
            globals=jnp.stack([jnp.sin(angle), jnp.cos(angle)]),
        )
        local = state.asks[:, None] / unit
        return Observation(local=local, world=world, mask=state.near, active=state.asks > 0)

    def _deal(self, key: Key, chance: Scalar) -> tuple[Array, Array]:
        size_key, come_key, near_key, home_key = jax.random.split(key, 4)
        cars, stations = self.config.cars, self.config.stations
        asks = jax.random.uniform(size_key, (cars,), minval=ASKS[0], maxval=ASKS[1])
        comes = jax.random.uniform(come_key, (cars,)) < chance
        near = jax.random.uniform(near_key, (cars, stations)) < self.config.near
        # Everybody reaches one station at least.
        home = jax.random.randint(home_key, (cars,), 0, stations)
        near = near | (jnp.arange(stations)[None] == home[:, None])
        return jnp.where(comes, asks, 0.0), near


def spare(state: State) -> Float[Array, " A"]:
    """What houses leave of each feeder in this tick, kWh."""
    hour = state.time / HOUR - EVENING
    return state.power * (1 - HOUSES - SWING * jnp.cos(2 * jnp.pi * hour / 24))


class Context(NamedTuple):
    """What guidance needs of a state."""

    power: Float[Array, " A"]
    spare: Float[Array, " A"]
    waiting: Float[Array, " A"]
    asks: Float[Array, " N"]


class Backlog(AbstractTargetModel):
    r"""Energy promised by each station, against a share of all of it in proportion to its power.

    Everybody then waits equally long. The cost is convex in the backlogs and this reference is one
    of its minimisers, so that moving towards it can never hurt.
    """

    def context(self, state: State) -> Context:
        return Context(state.power, spare(state), state.waiting, state.asks)

    def reference(self, context: Context) -> Float[Array, " M"]:
        total = jnp.sum(context.waiting) + jnp.sum(context.asks)
        return context.power / jnp.sum(context.power) * total

    def respond(self, context: Context, action: Float[Array, "N A"]) -> Float[Array, " M"]:
        return context.waiting + context.asks @ action

    def metric(self, context: Context) -> Float[Array, " M"]:
        return 1 / (context.power * jnp.sum(context.power))

    def influence(
        self, context: Context, agent: Int[Array, ""], action: Int[Array, ""]
    ) -> Float[Array, " M"]:
        return context.asks[agent] * jax.nn.one_hot(action, context.power.shape[0])

    def pull(
        self, context: Context, agent: Int[Array, ""], covector: Float[Array, " M"]
    ) -> Float[Array, " A"]:
        return context.asks[agent] * covector

    def weight(self, context: Context) -> Float[Array, "N A"]:
        return context.asks[:, None] ** 2 * self.metric(context)[None]

    def rewards(self, context: Context, x: Float[Array, " M"]) -> dict[str, Scalar]:
        late = jnp.sum(jnp.maximum(x - context.spare, 0))
        return {"waiting": -late / jnp.sum(context.power)}


def anywhere(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """Any station within reach."""
    return jax.random.categorical(key, jnp.where(state.near, 0.0, -jnp.inf))


def by_power(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """A station within reach, drawn in proportion to its power."""
    logits = jnp.broadcast_to(jnp.log(state.power), state.near.shape)
    return jax.random.categorical(key, jnp.where(state.near, logits, -jnp.inf))


def shortest_wait(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """One car after another, each where it is done first, seeing where those before it went."""

    def turn(load, car):
        asks, near = car
        station = jnp.argmin(jnp.where(near, (load + asks) / state.power, jnp.inf))
        return load.at[station].add(asks), station

    return jax.lax.scan(turn, state.waiting, (state.asks, state.near))[1]


def make(config: Config) -> Domain:
    """The domain."""
    spec = Spec(
        agents=config.cars,
        actions=config.stations,
        horizon=config.horizon,
        local=1,
        entities=config.stations,
        features=3,
        globals=2,
        supplies=((0, 0, 1),),
    )
    return Domain(
        name="charging",
        env=Charging(spec=spec, config=config),
        model=Backlog(),
        rules={"anywhere": anywhere, "by-power": by_power, "shortest-wait": shortest_wait},
        headline="shortest-wait",
        figures=("waiting", "longest"),
    )
