"""Which is best: by integers, because on CPUs XLA finds the largest of many floats, and above all
its position, many times slower."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

MOST = jnp.iinfo(jnp.int32).max


def ordinal(score: Float[Array, "*n"]) -> Int[Array, "*n"]:
    """Integers in the order of the numbers; infinities are numbers, NaN is not."""
    # -0.0 equals 0.0, and so must its integer.
    bits = jax.lax.bitcast_convert_type(score + 0.0, jnp.int32)
    return bits ^ ((bits >> 31) & MOST)


def first(marked: Bool[Array, "*n K"]) -> Int[Array, "*n"]:
    """Index of the first that is marked along the last axis; the last one if none is."""
    here = jnp.arange(marked.shape[-1], dtype=jnp.int32)
    return jnp.min(jnp.where(marked, here, marked.shape[-1] - 1), axis=-1)


def best(score: Float[Array, "*n K"]) -> Int[Array, "*n"]:
    """Index of the highest score along the last axis; of equals, the first."""
    order = ordinal(score)
    return first(order == jnp.max(order, axis=-1, keepdims=True))


def best_listed(score: Float[Array, "*n K"], place: Int[Array, "*n K"]) -> Int[Array, "*n"]:
    """Index of the highest score; of equals, of the one with the lowest place in a list."""
    order = ordinal(score)
    listed = jnp.where(order == jnp.max(order, axis=-1, keepdims=True), place, MOST)
    return first(listed == jnp.min(listed, axis=-1, keepdims=True))
