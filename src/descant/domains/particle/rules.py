"""Scripted agents: choose a target, and look a few moves ahead on the way to it."""

from collections.abc import Callable
from itertools import product

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.domain import Rule
from descant.core.types import Key, Observation, PyTree
from descant.domains.particle import LARGEST
from descant.domains.particle.assignment import assign
from descant.domains.particle.physics import DAMPING, MOVES, PUSH, TICK, between
from descant.domains.particle.tasks import Task
from descant.ops.ordering import best
from descant.ops.rules import always, anything

PLANNED = 3
"""Moves that a scripted agent plans."""
AHEAD = 6
"""Ticks over which it adds up its distance; after the planned moves it drifts."""


def nearest(distances: Float[Array, "N N"]) -> Int[Array, " N"]:
    """Everybody to the nearest target, whoever else goes there."""
    return best(-distances)


def toward(choose: Callable[[Array], Array], task: Task) -> Rule:
    """Move to the chosen target as if alone in the world."""

    def rule(state: PyTree, observation: Observation, key: Key) -> Int[Array, " N"]:
        targets = task.targets(state.position, state.landmarks)
        chosen = choose(between(state.position, targets))
        return steer(state.position, state.velocity, targets[chosen])

    return rule


def rules(task: Task, agents: int) -> dict[str, Rule]:
    """By name; the best assignment only where it can be found."""
    found: dict[str, Rule] = {
        "random": anything(len(MOVES)),
        "still": always(0),
        "nearest": toward(nearest, task),
    }
    if agents <= LARGEST:
        found["assigned"] = toward(assign, task)
    return found


PLANS = np.array(list(product(range(len(MOVES)), repeat=PLANNED)))
"""All sequences of planned moves."""


def _reach() -> Float[np.ndarray, "A2 H 2"]:
    """How far each plan takes a particle that stood still, tick by tick."""
    place, speed, path = np.zeros((len(PLANS), 2)), np.zeros((len(PLANS), 2)), []
    for tick in range(AHEAD):
        push = PUSH * MOVES[PLANS[:, tick]] if tick < PLANNED else 0.0
        place, speed = place + TICK * speed, (1 - DAMPING) * speed + TICK * push
        path.append(place)
    return np.stack(path, axis=1).astype(np.float32)


REACH = _reach()
DRIFT = (TICK * np.cumsum((1 - DAMPING) ** np.arange(AHEAD))).astype(np.float32)
"""How far a velocity of 1 takes a particle, tick by tick."""


def steer(
    position: Float[Array, "N 2"], velocity: Float[Array, "N 2"], target: Float[Array, "N 2"]
) -> Int[Array, " N"]:
    """The first move of the plan that is nearest to the target over the next ticks."""
    drift = (position - target)[:, None] + velocity[:, None] * DRIFT[None, :, None]
    away = drift[:, None] + REACH[None]
    total = jnp.sum(jnp.sqrt(jnp.sum(away**2, axis=-1)), axis=-1)
    return jnp.asarray(PLANS[:, 0], jnp.int32)[best(-total)]
