r"""Links that judge actions by what is known nearby, in place of the rewards that followed: each
agent's Q of its own rewards, fitted to the rollout as a function of the states and actions up to a
radius around it.

Fits are of this batch alone and nothing is remembered. What comes out is $\gamma^t \hat Q_j$, in
units of the first tick.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.types import Rollout
from descant.credit.networked import AbstractOwn
from descant.ops import occupancy
from descant.ops.linear import eliminated
from descant.ops.neighbourhood import near_codes
from descant.ops.networked import states_of


class AbstractCritic(AbstractOwn):
    """A fit to one rollout."""

    member: Int[Array, "N K"]
    """Who is near enough to be read."""
    states: int = eqx.field(static=True)
    actions: int = eqx.field(static=True)
    discount: float = eqx.field(static=True)

    def pairs(self, rollout: Rollout) -> Int[Array, "T E N"]:
        """State and action of each agent as one number."""
        state = states_of(rollout.observation, self.states)
        return state * self.actions + rollout.action.astype(jnp.int32)


class Tables(AbstractCritic):
    """A table over all that may be nearby, at the fixed point of temporal differences on the
    rollout; it takes small neighbourhoods."""

    sweeps: int = eqx.field(static=True)

    def changed(self, x: Float[Array, "T E N"], rollout: Rollout) -> Float[Array, "T E N"]:
        size = self.states * self.actions
        cell = near_codes(self.pairs(rollout), self.member, size)
        table = fixed_point(cell, x, self.discount, size ** self.member.shape[1], self.sweeps)
        return occupancy.in_first_units(occupancy.at_cells(table, cell), self.discount)


class Advantages(AbstractCritic):
    """Generalised advantages of a table of values over the states nearby."""

    sweeps: int = eqx.field(static=True)
    trace: float = eqx.field(static=True)

    def changed(self, x: Float[Array, "T E N"], rollout: Rollout) -> Float[Array, "T E N"]:
        cell = near_codes(states_of(rollout.observation, self.states), self.member, self.states)
        cells = self.states ** self.member.shape[1]
        value = occupancy.at_cells(fixed_point(cell, x, self.discount, cells, self.sweeps), cell)
        following = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])
        error = x + self.discount * following - value
        # Of the last tick nobody knows what follows.
        error = error.at[-1].set(0.0)
        decay = self.discount * self.trace

        def back(total, now):
            total = now + decay * total
            return total, total

        found = jax.lax.scan(back, jnp.zeros_like(x[0]), error, reverse=True)[1]
        return occupancy.in_first_units(found, self.discount)


class Additive(AbstractCritic):
    r"""$\hat Q_j = \sum_{k \in N_j} q_{jk}(z_k)$, or with `pairwise` $q_{jk}(z_j, z_k)$, by least
    squares of temporal differences; the first is exact where states add up, as those of voters
    do."""

    pairwise: bool = eqx.field(static=True)
    ridge: float = eqx.field(static=True)
    """Added to the diagonal, in scenarios: what tables that are added say is not unique."""

    def changed(self, x: Float[Array, "T E N"], rollout: Rollout) -> Float[Array, "T E N"]:
        size = self.states * self.actions
        read = entries(self.pairs(rollout), self.member, size, self.pairwise)
        wide = self.member.shape[1] * size ** (2 if self.pairwise else 1)
        found = least_squares(read, x, wide, self.discount, self.ridge)
        return occupancy.in_first_units(found, self.discount)


def fixed_point(
    cell: Int[Array, "T E N"],
    reward: Float[Array, "T E N"],
    discount: float,
    cells: int,
    sweeps: int,
) -> Float[Array, "N C"]:
    r"""Of $Q(z_t) = r_t + \gamma Q(z_{t+1})$ in the discounted mean over a rollout's visits to each
    cell, after so many sweeps; cells that were never visited have 0."""
    now, following = cell[:-1], cell[1:]
    weight = occupancy.tick_weights(discount, len(cell) - 1)[:, None, None]
    total = occupancy.by_cell(weight, now, cells)
    share = jnp.where(total > 0, 1 / jnp.where(total > 0, total, 1), 0)

    def sweep(_, table):
        target = reward[:-1] + discount * occupancy.at_cells(table, following)
        return occupancy.by_cell(weight * target, now, cells) * share

    nothing = jnp.zeros((cell.shape[-1], cells), reward.dtype)
    return jax.lax.fori_loop(0, sweeps, sweep, nothing)


def entries(
    pair: Int[Array, "T E N"], member: Int[Array, "N K"], size: int, pairwise: bool
) -> Callable[[Array], Int[Array, "E N K"]]:
    """Which entry of each of K tables is read at a tick; where there is nobody, one beyond all."""
    tables = member.shape[1]
    large = size**2 if pairwise else size
    beyond = tables * large

    def read(tick):
        now = pair[tick]
        nobody = jnp.full((*now.shape[:-1], 1), size, now.dtype)
        near = jnp.concatenate([now, nobody], axis=-1)[..., member]
        own = now[..., None] * size if pairwise else 0
        entry = jnp.arange(tables) * large
        entry = jnp.broadcast_to(jnp.expand_dims(entry, range(near.ndim - 1)), near.shape)
        return jnp.where(near < size, entry + own + near, beyond)

    return read


def least_squares(
    read: Callable[[Array], Int[Array, "E N K"]],
    reward: Float[Array, "T E N"],
    wide: int,
    discount: float,
    ridge: float,
) -> Float[Array, "T E N"]:
    """Sums of `wide` entries in all, by least squares of temporal differences, discounted, on a
    rollout, and at its ticks."""
    ticks, _, agents = reward.shape

    def features(tick):
        return jnp.sum(jax.nn.one_hot(read(tick), wide), axis=-2)

    def add(sums, now):
        matrix, right = sums
        tick, paid, weight = now
        here, there = features(tick), features(tick + 1)
        matrix = matrix + weight * jnp.einsum("enf,eng->nfg", here, here - discount * there)
        return (matrix, right + weight * jnp.einsum("enf,en->nf", here, paid)), None

    start = ridge * jnp.broadcast_to(jnp.eye(wide)[None], (agents, wide, wide))
    weight = occupancy.tick_weights(discount, ticks - 1)
    sums = start, jnp.zeros((agents, wide))
    (matrix, right), _ = jax.lax.scan(add, sums, (jnp.arange(ticks - 1), reward[:-1], weight))
    tables = eliminated(matrix, right)
    return jax.lax.map(
        lambda tick: jnp.einsum("enf,nf->en", features(tick), tables), jnp.arange(ticks)
    )
