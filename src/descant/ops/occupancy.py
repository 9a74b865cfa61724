r"""Where agents spend their time, from rollouts: estimates of discounted occupancies.

Cells are what an agent may be in, such as what it sees, numbered from 0.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.ops.linear import eliminated

STEPS = 30
"""Of Newton's method."""


def tick_weights(discount: float, ticks: int) -> Float[Array, " T"]:
    r"""$(1 - \gamma) \gamma^t / (1 - \gamma^T)$: what a tick of an episode cut off after T ticks
    counts. They sum to one, so what the cut leaves out is spread over the rest."""
    size = discount ** jnp.arange(ticks)
    return size / jnp.sum(size)


def hats(x: Float[Array, "*b"], cells: int) -> Float[Array, "*b S"]:
    """Shares of the two of so many evenly spaced points from 0 to 1 that a number lies between, by
    how near it is: what is linear between the points is told exactly by their shares."""
    place = jnp.clip(x, 0, 1)[..., None] * (cells - 1)
    points = jnp.expand_dims(jnp.arange(cells), range(x.ndim))
    return jnp.maximum(1 - jnp.abs(place - points), 0)


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


def in_first_units(x: Float[Array, "T E N"], discount: float) -> Float[Array, "T E N"]:
    r"""$\gamma^t x_t$: in units of the first tick."""
    return x * (discount ** jnp.arange(x.shape[0]))[:, None, None]


def against_others(x: Float[Array, "T E N"]) -> Float[Array, "T E N"]:
    """Each scenario's number less the mean of the other scenarios'; with one scenario there is no
    other, and nothing is taken off."""
    count = x.shape[1]
    if count == 1:
        return x
    return (x - jnp.mean(x, axis=1, keepdims=True)) * (count / (count - 1))


def polynomial(share: Float[Array, "N S"], degree: int, *, ridge: float = 1e-3) -> Array:
    r"""Law of cells in an order, $p(s) \propto \exp \sum_{k \le m} w_k T_k(s)$ with Chebyshev's
    polynomials $T_k$ over the range of cells, of the greatest likelihood for given shares of time:
    the means of the $T_k$ are theirs, up to a ridge that keeps cells nobody was in above 0."""
    cells = share.shape[-1]
    degree = min(degree, cells - 1)
    place = np.linspace(-1, 1, cells)
    basis = jnp.asarray(np.cos(np.arange(1, degree + 1) * np.arccos(place)[:, None]), share.dtype)

    def step(_, weight):
        law = jax.nn.softmax(weight @ basis.T)
        mean = law @ basis
        slope = share @ basis - mean - ridge * weight
        spread = jnp.einsum("ns,sk,sl->nkl", law, basis, basis) - mean[:, :, None] * mean[:, None]
        move = eliminated(spread + ridge * jnp.eye(degree)[None], slope)
        # Newton's step, held back where the likelihood is no parabola yet.
        size = jnp.linalg.norm(move, axis=-1, keepdims=True)
        return weight + move * jnp.minimum(1, 2 / jnp.maximum(size, 1e-9))

    weight = jax.lax.fori_loop(0, STEPS, step, jnp.zeros((share.shape[0], degree), share.dtype))
    return jax.nn.softmax(weight @ basis.T)


def kernel(share: Float[Array, "N S"], width: float) -> Float[Array, "N S"]:
    """Shares of time in cells in an order, spread over those around by a bell of a width in shares
    of their range; none is lost at the ends."""
    place = np.linspace(0, 1, share.shape[-1])
    bell = np.exp(-0.5 * ((place[:, None] - place) / width) ** 2)
    return share @ jnp.asarray(bell / bell.sum(axis=1, keepdims=True), share.dtype)


def resorted(here: Float[Array, "N S A"], law: Float[Array, "N S"]) -> Float[Array, "N S A"]:
    """Occupancies with another law of states, and what is done in each as before; where nobody was,
    as anywhere."""
    share = jnp.sum(here, axis=-1, keepdims=True)
    anywhere = jnp.broadcast_to(jnp.sum(here, axis=1, keepdims=True), here.shape)
    chance = jnp.where(share > 0, here / jnp.where(share > 0, share, 1), anywhere)
    return law[..., None] * chance
