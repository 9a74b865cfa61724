"""What leaves for other libraries and comes from them: plain rows of numbers."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from descant.core.types import Observation, Spec, World


def world_row(world: World) -> Float[np.ndarray, " W"]:
    """Entities, globals, and which entities are there where that differs, in one row."""
    parts = [world.entities, world.globals, *([] if world.present is None else [world.present])]
    return np.concatenate([np.asarray(part, np.float32).reshape(-1) for part in parts])


def views(observation: Observation, spec: Spec) -> Float[np.ndarray, "N I"]:
    """What each agent may act on, a row each: its own view, and the world where that is shared."""
    local = np.asarray(observation.local, np.float32)
    if not spec.shared:
        return local
    row = world_row(observation.world)
    return np.concatenate([local, np.broadcast_to(row, (spec.agents, row.size))], axis=1)


def legal(observation: Observation, spec: Spec) -> Int[np.ndarray, "*batch N A"]:
    """1 where an agent may choose an action; one that rests may choose the first, which changes
    nothing."""
    active = np.asarray(observation.active)[..., None]
    may = np.broadcast_to(observation.mask, (*active.shape[:-1], spec.actions))
    return np.where(active, may, np.arange(spec.actions) == 0).astype(np.int8)


def kinds(sizes: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """The kind of each agent by what it sees and can do, counted from 0; () if all are equal."""
    known = list(dict.fromkeys(sizes))
    return tuple(known.index(size) for size in sizes) if len(known) > 1 else ()
