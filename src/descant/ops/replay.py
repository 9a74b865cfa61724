"""The newest ticks, kept in a ring to be learnt from more than once."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from descant.core.types import Key, PyTree


class Ring(NamedTuple):
    """As many ticks as there is room for; the next one takes the place of the oldest."""

    ticks: PyTree
    """Leaves with a first axis of places."""
    place: Int[Array, ""]
    """Of the next tick."""
    filled: Int[Array, ""]
    """Places in use."""


def empty(tick: PyTree, room: int) -> Ring:
    """Room for ticks with these shapes and dtypes."""
    ticks = jax.tree.map(lambda x: jnp.zeros((room, *x.shape), x.dtype), tick)
    return Ring(ticks, jnp.int32(0), jnp.int32(0))


def push(ring: Ring, ticks: PyTree) -> Ring:
    """Put ticks in, [M, ...], in their order; at most as many as there is room for."""
    room, count = _places(ring.ticks), _places(ticks)
    if count > room:
        raise ValueError(f"{count} ticks do not fit into a ring with room for {room}.")
    at = (ring.place + jnp.arange(count)) % room
    return Ring(
        ticks=jax.tree.map(lambda old, new: old.at[at].set(new), ring.ticks, ticks),
        place=(ring.place + count) % room,
        filled=jnp.minimum(ring.filled + count, room),
    )


def draw(ring: Ring, key: Key, count: int, span: int, *, every: int = 1, before: int = 0) -> PyTree:
    """`count` times `span` ticks in the order in which they came, and so many `before` them,
    [count, before + span, ...]: with equal chances, they begin at any tick of the ring from which
    the newest is `every` ticks away, or twice as many, and so on.

    What follows the newest tick, or comes before the oldest, is of no meaning: callers know by the
    ticks themselves where a sequence ends.
    """
    pieces = ring.filled // every
    first = ring.place + every * (jax.random.randint(key, (count, 1), 0, pieces) - pieces)
    at = (first + jnp.arange(-before, span)[None]) % _places(ring.ticks)
    return jax.tree.map(lambda x: x[at], ring.ticks)


def _places(ticks: PyTree) -> int:
    return jax.tree.leaves(ticks)[0].shape[0]
