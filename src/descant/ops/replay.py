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


def draw(ring: Ring, key: Key, count: int, span: int) -> PyTree:
    """`count` times `span` ticks in the order in which they came, [count, span, ...]: the first is
    any of the ring with equal chances.

    What follows the newest tick is of no meaning: callers know by the ticks themselves where a
    sequence ends.
    """
    first = ring.place - ring.filled + jax.random.randint(key, (count, 1), 0, ring.filled)
    at = (first + jnp.arange(span)[None]) % _places(ring.ticks)
    return jax.tree.map(lambda x: x[at], ring.ticks)


def _places(ticks: PyTree) -> int:
    return jax.tree.leaves(ticks)[0].shape[0]
