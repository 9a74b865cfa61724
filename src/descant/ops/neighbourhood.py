"""Sums over those around an agent, for numbers per agent on the last axis."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def near_sum(x: Float[Array, "*b N"], index: Int[Array, "N K"]) -> Float[Array, "*b N"]:
    r"""$y_i = \sum_{j \in B_i} x_j$ over padded lists, for graphs in which all have about as many
    neighbours. Column after column: all terms side by side would be K times the input."""
    wide = jnp.concatenate([x, jnp.zeros((*x.shape[:-1], 1), x.dtype)], axis=-1)

    def add(total, column):
        return total + wide[..., column], None

    return jax.lax.scan(add, jnp.zeros_like(x), index.T)[0]


def pair_sum(
    x: Float[Array, "*b N"], centre: Int[Array, " P"], member: Int[Array, " P"]
) -> Float[Array, "*b N"]:
    """The same over one sorted list of pairs, for graphs in which few agents have most of the
    neighbours."""
    total = jax.ops.segment_sum(
        jnp.moveaxis(x[..., member], -1, 0),
        centre,
        num_segments=x.shape[-1],
        indices_are_sorted=True,
    )
    return jnp.moveaxis(total, 0, -1)


def ring_sum(
    x: Float[Array, "T *b N"], rings: Sequence[Int[Array, "N _"]], lags: Sequence[int | float]
) -> Float[Array, "T *b N"]:
    r"""$y_i(t) = \sum_d \sum_{j : d(i, j) = d} x_j(t + \ell_d)$: what comes from farther away is
    read from a later tick on, and nothing follows the last tick.

    With $x_j(t) = \sum_{t' \ge t} \gamma^{t'} r_j(t')$, the lags of `Reach.lag` give returns that
    leave out what the action at $t$ cannot have changed.
    """
    total = jnp.zeros_like(x)
    for index, lag in zip(rings, lags, strict=True):
        if lag < x.shape[0]:
            late = near_sum(x[int(lag) :], index)
            total = total.at[: late.shape[0]].add(late)
    return total
