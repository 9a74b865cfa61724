"""What particles are to do: where landmarks lie, where agents should be, what the team gets."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from descant.core.types import Key, Scalar
from descant.domains.particle.assignment import assign
from descant.domains.particle.physics import between, touching
from descant.ops.ordering import first

LENGTH = 1.25
"""Of the line."""
CIRCLE = 0.5
"""Radius of the formation."""
FAR = 2.0
"""Distance to a target from which on, on a line and in a formation, more costs no more."""
LOST = 15.0
"""Mean distance from which on more costs no more in assignment-spread."""


class Outcome(NamedTuple):
    """What a tick is worth."""

    reward: Scalar
    distance: Scalar
    """Mean distance of what should be reached from who is to reach it."""
    success: Bool[Array, ""]


Places = Float[Array, "N 2"]
Landmarks = Float[Array, "L 2"]


class Task(NamedTuple):
    """One task; the tables of the papers as values."""

    landmarks: int
    """How many; 0 for one per agent."""
    radius: float
    """Of an agent."""
    place: Callable[[Key, int], Landmarks]
    """Draw so many landmarks."""
    targets: Callable[[Places, Landmarks], Places]
    """Where agents should be, in no order."""
    near: float
    """Distance at which a target is reached."""
    costs: Callable[[Float[Array, " N"]], Scalar] | None
    """From the distances of agents to their targets to the team's cost; None where agents are not
    assigned, but each target looks for the nearest."""


def anywhere(key: Key, count: int) -> Landmarks:
    """Uniform in the arena."""
    return jax.random.uniform(key, (count, 2), minval=-1.0, maxval=1.0)


def on_line(key: Key, count: int) -> Landmarks:
    """Two ends: the first in the central quarter, the other in a random direction, turned by 5
    degrees until it lies in the arena."""
    start_key, turn_key = jax.random.split(key)
    start = 0.25 * anywhere(start_key, 1)
    turn = jax.random.uniform(turn_key, maxval=2 * jnp.pi) + jnp.deg2rad(jnp.arange(0.0, 360, 5))
    ends = start + LENGTH * jnp.stack([jnp.cos(turn), jnp.sin(turn)], axis=-1)
    inside = jnp.all(jnp.abs(ends) < 1, axis=-1)
    return jnp.concatenate([start, ends[first(inside)][None]])


def central(key: Key, count: int) -> Landmarks:
    """In the central half."""
    return 0.5 * anywhere(key, count)


def landmarks(position: Places, landmarks: Landmarks) -> Places:
    """The landmarks themselves."""
    return landmarks


def along(position: Places, landmarks: Landmarks) -> Places:
    """Evenly from one end to the other, both included; one agent stands at the first."""
    return jnp.linspace(landmarks[0], landmarks[1], position.shape[0])


def around(position: Places, landmarks: Landmarks) -> Places:
    """Evenly on a circle, beginning at the smallest angle at which an agent stands."""
    agents = position.shape[0]
    x, y = (position - landmarks).T
    start = jnp.min(jnp.mod(jnp.arctan2(y, x), 2 * jnp.pi))
    angle = start + 2 * jnp.pi * jnp.arange(agents) / agents
    return landmarks + CIRCLE * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def each_clipped(distances: Float[Array, " N"]) -> Scalar:
    """Mean of clipped distances."""
    return jnp.mean(jnp.minimum(distances, FAR))


def mean_clipped(distances: Float[Array, " N"]) -> Scalar:
    """Clipped mean of distances."""
    return jnp.minimum(jnp.mean(distances), LOST)


TASKS = {
    "spread": Task(0, 0.15, anywhere, landmarks, 0.1, None),
    "assignment-spread": Task(0, 0.05, anywhere, landmarks, 0.1, mean_clipped),
    "line": Task(2, 0.03, on_line, along, 0.05, each_clipped),
    "formation": Task(1, 0.05, central, around, 0.05, each_clipped),
}


def judge(task: Task, position: Places, marks: Landmarks, local_ratio: float) -> Outcome:
    """What the team gets for standing here."""
    distances = between(position, task.targets(position, marks))
    if task.costs is None:
        away = jnp.min(distances, axis=0)
        # Every agent gets both parts, and the team what all of them get.
        shared = (1 - local_ratio) * position.shape[0] * jnp.sum(away)
        reward = -shared - local_ratio * jnp.sum(touching(position, task.radius))
    else:
        away = jnp.take_along_axis(distances, assign(distances)[:, None], axis=1)[:, 0]
        reward = -task.costs(away)
    return Outcome(reward, jnp.mean(away), jnp.all(away < task.near))
