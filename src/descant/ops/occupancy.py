r"""Where agents spend their time, from rollouts: estimates of discounted occupancies.

Cells are what an agent may be in, such as what it sees, numbered from 0.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def tick_weights(discount: float, ticks: int) -> Float[Array, " T"]:
    r"""$(1 - \gamma) \gamma^t / (1 - \gamma^T)$: what a tick of an episode cut off after T ticks
    counts. They sum to one, so what the cut leaves out is spread over the rest."""
    size = discount ** jnp.arange(ticks)
    return size / jnp.sum(size)


def by_cell(
    x: Float[Array, "T #E #N"], cell: Int[Array, "T E N"], cells: int
) -> Float[Array, "N C"]:
    """Sums over time and scenarios of each agent's numbers, by the cell that it is in."""
    agents = cell.shape[-1]

    def tick(total, now):
        values, where = now
        who = jnp.broadcast_to(jnp.arange(agents)[None], where.shape)
        return total.at[where, who].add(jnp.broadcast_to(values, where.shape)), None

    return jax.lax.scan(tick, jnp.zeros((cells, agents), x.dtype), (x, cell))[0].T


def at_cells(table: Float[Array, "N C"], cell: Int[Array, "T E N"]) -> Float[Array, "T E N"]:
    """Each agent's entry for the cell that it is in, tick after tick."""
    who = jnp.arange(cell.shape[-1])[None]
    return jax.lax.map(lambda now: table[who, now], cell)


def occupancy(
    visits: Float[Array, "N C"], chances: Float[Array, "#N C A"], states: int
) -> Float[Array, "N S A"]:
    r"""$\hat\lambda_i(s, a) = \sum_{o : s(o) = s} \hat\nu_i(o)\, \pi_i(a | o)$ from shares of time
    by what agents see, $o$, whose last digit to base S is the own state. Chances take the place of
    the actions drawn: the same mean, less noise."""
    agents, cells = visits.shape
    taken = visits[..., None] * chances
    return jnp.sum(taken.reshape(agents, cells // states, states, -1), axis=1)


def ahead(reward: Float[Array, "T E N"], discount: float) -> Float[Array, "T E N"]:
    r"""$\sum_{t' \ge t} \gamma^{t'} r(t')$: what follows, in units of the first tick."""
    scale = discount ** jnp.arange(reward.shape[0])

    def back(total, now):
        weight, paid = now
        total = total + weight * paid
        return total, total

    return jax.lax.scan(back, jnp.zeros_like(reward[0]), (scale, reward), reverse=True)[1]


def against_others(x: Float[Array, "T E N"]) -> Float[Array, "T E N"]:
    """Each scenario's number less the mean of the other scenarios'; with one scenario there is no
    other, and nothing is taken off."""
    count = x.shape[1]
    if count == 1:
        return x
    return (x - jnp.mean(x, axis=1, keepdims=True)) * (count / (count - 1))
