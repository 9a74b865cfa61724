"""Sums over those around an agent, for numbers per agent on the last axis."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

WASTE = 4
"""Entries of padded lists for each that leads to somebody, up to which lists are faster."""


def near_sum(
    x: Float[Array, "*b N"], index: Int[Array, "N K"], weight: Float[Array, "N K"] | None = None
) -> Float[Array, "*b N"]:
    r"""$y_i = \sum_{j \in B_i} w_{ij} x_j$ over padded lists, for graphs in which all have about as
    many neighbours; weights are 1 where none are given. Column after column: all terms side by side
    would be K times the input."""
    return _folded(jnp.add, jnp.zeros_like(x), x, index, weight)


def near_escape(
    x: Float[Array, "*b N"], index: Int[Array, "N K"], weight: Float[Array, "N K"]
) -> Float[Array, "*b N"]:
    r"""$y_i = \prod_{j \in B_i} (1 - w_{ij} x_j)$: the chance that none of those around gets
    through, where each does with chance $w_{ij} x_j$ by itself."""

    def missed(total: Float[Array, "*b N"], term: Float[Array, "*b N"]) -> Float[Array, "*b N"]:
        return total * (1 - term)

    return _folded(missed, jnp.ones_like(x), x, index, weight)


def _folded(
    join: Callable[[Array, Array], Array],
    start: Float[Array, "*b N"],
    x: Float[Array, "*b N"],
    index: Int[Array, "N K"],
    weight: Float[Array, "N K"] | None,
) -> Float[Array, "*b N"]:
    wide = jnp.concatenate([x, jnp.zeros((*x.shape[:-1], 1), x.dtype)], axis=-1)

    def add(total, now):
        column, counts = now
        term = wide[..., column]
        term = term if counts is None else jnp.broadcast_to(counts, x.shape) * term
        return join(total, term), None

    columns = index.T, None if weight is None else weight.T
    return jax.lax.scan(add, start, columns)[0]


Ring = Int[Array, "N _"] | tuple[Int[Array, " P"], Int[Array, " P"]]
"""Those at some distances: padded lists, or one list of centres and members."""


def ring_of(member: Int[np.ndarray, "N K"]) -> Ring:
    """Padded lists as they are, or, where hubs make most of them padding, one list of pairs."""
    there = member < len(member)
    if member.size <= WASTE * there.sum():
        return jnp.asarray(member)
    centre, slot = np.nonzero(there)
    return jnp.asarray(centre, jnp.int32), jnp.asarray(member[centre, slot])


def heard(ring: Ring) -> int:
    """Pairs in it."""
    if isinstance(ring, tuple):
        return len(ring[0])
    return int(jnp.sum(ring < ring.shape[0]))


def near_codes(
    state: Int[Array, "*b N"], index: Int[Array, "N K"], states: int
) -> Int[Array, "*b N"]:
    """`core.network.codes` in JAX, column after column."""
    wide = jnp.concatenate([state, jnp.zeros((*state.shape[:-1], 1), state.dtype)], axis=-1)

    def add(code, column):
        return code * states + wide[..., column].astype(jnp.int32), None

    return jax.lax.scan(add, jnp.zeros(state.shape, jnp.int32), index.T[::-1])[0]


def gathered(x: Float[Array, "*b N F"], index: Int[np.ndarray, "N K"]) -> Float[Array, "*b N F2"]:
    """Everybody's numbers around each agent side by side, slot after slot, and in each whether
    there is anybody: so that who has few neighbours is told from who has quiet ones."""
    *lead, agents, _ = x.shape
    there = jnp.broadcast_to(jnp.ones((agents, 1), x.dtype), (*lead, agents, 1))
    told = jnp.concatenate([x, there], axis=-1)
    wide = jnp.concatenate([told, jnp.zeros_like(told[..., :1, :])], axis=-2)
    return wide[..., index, :].reshape(*lead, agents, -1)


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
    x: Float[Array, "T *b N"], rings: Sequence[Ring], lags: Sequence[int | float]
) -> Float[Array, "T *b N"]:
    r"""$y_i(t) = \sum_d \sum_{j : d(i, j) = d} x_j(t + \ell_d)$: what comes from farther away is
    read from a later tick on, and nothing follows the last tick.

    With $x_j(t) = \sum_{t' \ge t} \gamma^{t'} r_j(t')$, the lags of `Reach.lag` give returns that
    leave out what the action at $t$ cannot have changed.
    """
    total = jnp.zeros_like(x)
    for index, lag in zip(rings, lags, strict=True):
        if lag < x.shape[0]:
            late = _around(x[int(lag) :], index)
            total = total.at[: late.shape[0]].add(late)
    return total


def _around(x: Float[Array, "T *b N"], ring: Ring) -> Float[Array, "T *b N"]:
    if not isinstance(ring, tuple):
        return near_sum(x, ring)
    centre, member = ring
    # Tick after tick: what is read side by side is as long as the list of pairs.
    return jax.lax.map(lambda now: pair_sum(now, centre, member), x)
