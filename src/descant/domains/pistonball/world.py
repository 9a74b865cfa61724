"""The pistons and the ball, what is paid, their rules."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from descant.core.domain import Domain, Rule
from descant.core.graph import Graph
from descant.core.network import AbstractSystem, Quantity, Reach, around
from descant.core.types import Key, Observation, Scalar
from descant.domains.pistonball import Config
from descant.ops import graphs, networked
from descant.ops.networked import State
from descant.ops.occupancy import hats
from descant.ops.rules import always, anything
from descant.ops.utility import Entropy, Margin, Mean, everybody

LEVELS = 17
"""Heights of a piston, a tenth of its width apart."""
STEPS, STEP = 10, 0.05
"""Of the physics in a tick, and the seconds that one takes."""
FASTEST = 1 / (STEPS * STEP)
"""Pistons per second: no more than one piston in a tick, which is what makes the ball local."""
NEAR = 1.0
"""Pistons between its middle and the ball's up to which a piston knows of the ball."""
PATIENCE = 3
"""Ticks over the same pistons before it costs anything."""
WIDTH = 40.0
"""Pixels of a piston, which rewards are told in."""
WAY = np.arange(-2, 3)
"""Pistons that a tick of one reads."""
UNITS = np.array([[1.0, 1.0, 1.0, FASTEST, 1.0, PATIENCE]], np.float32)
"""Of a state's numbers, in which they are seen."""


class Ball(NamedTuple):
    """The ball as a piston sees it."""

    there: Bool[Array, ""]
    """Whether it is near enough to know."""
    place: Float[Array, ""]
    """How far to the right of the piston, in pistons."""
    speed: Float[Array, ""]
    """To the right, in pistons per second."""
    stuck: Float[Array, ""]
    """Ticks that it has been over the same pistons."""


class Pistonball(AbstractSystem):
    """A state is the height, which side the ball is on (1 is right, 0 near), and, of a ball that is
    near, its place and speed; how far it went to the left in the last tick if it was near before or
    after; and for how many ticks it has been over the same pistons.

    Past the first piston the ball is gone, and nothing is paid any more.
    """

    near: Int[Array, "N K"]
    hops: Int[Array, "N K"]
    graph: Graph = eqx.field(static=True)
    config: Config = eqx.field(static=True)
    states: int = eqx.field(static=True, default=LEVELS)
    actions: int = eqx.field(static=True, default=3)
    reach: Reach = eqx.field(static=True, default=Reach(states=2, actions=2, acts=False))

    @property
    def width(self) -> int:
        return UNITS.shape[1]

    @property
    def ordered(self) -> bool:
        return True

    def first(self, key: Key) -> Float[Array, "N F"]:
        """Pistons anywhere in their lower part, the ball at rest at the right end."""
        height_key, place_key = jax.random.split(key)
        agents = self.graph.agents
        top = 1 + round(self.config.start * (LEVELS - 1))
        height = jax.random.randint(height_key, (agents,), 0, top) / (LEVELS - 1)
        where = agents - 1 - 0.5 * jax.random.uniform(place_key)
        place = where - jnp.arange(agents)
        nothing = jnp.zeros(agents)
        return _state(height, place, nothing, nothing, nothing)

    def move(
        self, key: Key, state: Float[Array, "N F"], action: Int[Array, " N"]
    ) -> Float[Array, "N F"]:
        agents = self.graph.agents
        push = self.config.noise * jax.random.normal(key, (STEPS,))
        height = jnp.clip(state[:, 0] + (action - 1) / (LEVELS - 1), 0, 1)
        who = jnp.arange(agents)
        window = who[:, None] + jnp.asarray(WAY)[None]
        inside = (window >= 0) & (window < agents)
        window = jnp.clip(window, 0, agents - 1)

        def piston(i, rows, known, heights, own):
            before = _found(rows, known)
            place, speed = self.rolled(i, before, heights, push)
            gone = i + place <= 0
            over = jnp.floor(place) == jnp.floor(before.place)
            stuck = jnp.where(over, jnp.minimum(before.stuck + 1, PATIENCE), 0.0)
            felt = (jnp.abs(before.place) <= NEAR) | (jnp.abs(place) <= NEAR)
            moved = jnp.where(felt, before.place - place, 0.0)
            # A ball that is gone is far to the left, and known to nobody.
            now = _state(own[0], jnp.where(gone, -2.0, place), speed, moved, stuck)
            kept = jnp.stack([own[0], own[1], *jnp.zeros(4)])
            return jnp.where(before.there, now, kept)

        own = state.at[:, 0].set(height)
        return jax.vmap(piston)(who, state[window], inside, height[window], own)

    def rolled(
        self,
        piston: Int[Array, ""],
        ball: Ball,
        heights: Float[Array, " K"],
        push: Float[Array, " steps"],
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Place and speed after a tick: down the slope between the middles of pistons, elastic at
        the right wall."""
        wall = self.graph.agents - 1 - piston
        rise = (LEVELS - 1) / 10 * jnp.diff(heights)

        def step(now, push):
            place, speed = now
            slot = jnp.clip(jnp.floor(place).astype(jnp.int32) - WAY[0], 0, len(WAY) - 2)
            pull = -self.config.gravity * rise[slot] - self.config.friction * speed + push
            speed = jnp.clip(speed + STEP * pull, -FASTEST, FASTEST)
            place = place + STEP * speed
            hit = place > wall
            return (jnp.where(hit, 2 * wall - place, place), jnp.where(hit, -speed, speed)), None

        return jax.lax.scan(step, (ball.place, ball.speed), push)[0]

    def seen(self, state: Float[Array, "N F"]) -> Float[Array, "N F"]:
        return state / UNITS

    def read(self, seen: Float[Array, "N F"]) -> Float[Array, "N F"]:
        return seen * UNITS

    def cells(self, seen: Float[Array, "*b F"]) -> Float[Array, "*b S"]:
        """The height."""
        return hats(seen[..., 0], LEVELS)

    @property
    def quantity(self) -> Quantity:
        return Quantity("Height of a piston", np.linspace(0, 1, LEVELS))

    def reward(
        self, state: Float[Array, "N F"], action: Int[Array, " N"], after: Float[Array, "N F"]
    ) -> Float[Array, " N"]:
        """Half of what a ball that was near moved to the left, all of what it moved to the right,
        in pixels; less 1 where it will not move on."""
        moved = WIDTH * after[:, 4]
        return jnp.where(moved > 0, 0.5 * moved, moved) - (after[:, 5] >= PATIENCE)

    def figures(self, state: Float[Array, "N F"], action: Int[Array, " N"]) -> dict[str, Scalar]:
        over = state[:, 1] == 0
        last = self.graph.agents - 1
        where = jnp.sum(over * (jnp.arange(last + 1) + state[:, 2])) / jnp.maximum(jnp.sum(over), 1)
        return {
            "progress": 1 - where / last,
            "arrived": 1.0 * jnp.all(state[:, 1] < 0),
            "height": jnp.mean(state[:, 0]),
        }


def _found(rows: Float[Array, "K F"], known: Bool[Array, " K"]) -> Ball:
    """The ball as the nearest of those around knows it, from the middle one's place."""
    over = known & (rows[:, 1] == 0)
    at = jnp.argmin(jnp.where(over, jnp.abs(rows[:, 2]), jnp.inf))
    _, _, place, speed, _, stuck = rows[at]
    return Ball(jnp.any(over), at + WAY[0] + place, speed, stuck)


def _state(
    height: Float[Array, "*n"],
    place: Float[Array, "*n"],
    speed: Float[Array, "*n"],
    moved: Float[Array, "*n"],
    stuck: Float[Array, "*n"],
) -> Float[Array, "*n F"]:
    over = jnp.abs(place) <= NEAR
    side = jnp.where(over, 0.0, jnp.sign(place))
    rest = (jnp.where(over, x, 0.0) for x in (place, speed))
    return jnp.stack([height, side, *rest, moved, jnp.where(over, stuck, 0.0)], axis=-1)


def pistonball(config: Config) -> Pistonball:
    """The row."""
    graph = graphs.line(config.agents)
    near, hops = around(graph, Reach(states=2, actions=2))
    return Pistonball(near=near, hops=hops, graph=graph, config=config)


def wave(state: State, observation: Observation, key: Key) -> Int[Array, " N"]:
    """Pistons left of the ball go down and those right of it up."""
    side = state.local[:, 1] + state.local[:, 2]
    return jnp.where(side > 0, 0, 2)


def build(config: Config) -> Domain:
    """Network, world, rules."""
    network = pistonball(config)
    constraint: Mean | None = None
    if config.entropy:
        kept = Margin(utility=Entropy(), least=config.entropy)
        constraint = everybody(kept, config.agents)
    rules: dict[str, Rule] = {"still": always(1), "random": anything(3), "wave": wave}
    return Domain(
        name="pistonball",
        env=networked.world(network, config.horizon),
        rules=rules,
        headline="wave",
        figures=("progress", "arrived", "height"),
        network=network,
        constraint=constraint,
    )
