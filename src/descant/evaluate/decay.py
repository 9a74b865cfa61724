r"""How fast what one agent does is forgotten with distance: what can be proved, beside what is.

The **certificate** reads local laws alone. $M_{ij}$ is the most that a change of agent $j$'s state
and action alone moves the law of agent $i$'s next state, in total variation. With a rate $\omega$,
$\chi = \max_i \sum_j e^{\omega d(i, j)} M_{ij}$ and $\gamma \chi < 1$, two joint states and actions
that agree up to $\kappa$ hops around an agent differ in its Q, if policies read the own state, by
at most $\mathrm{osc}(r)\, \frac{\gamma \chi}{1 - \gamma \chi} e^{-\omega (\kappa + 1)}$; the
**light cone** says $\mathrm{osc}(r)\, \gamma^{t} / (1 - \gamma)$ with the first tick $t$ that can
tell them apart, whatever the laws. The **spectral radius** is of $E_s + E_a \Pi$: influence of
states, of actions, and how much policies react to states; below one, what is forgotten is forgotten
fast whatever the discount. Certificates are loose, and void where sums of rows are large though
decay may be fast: hence the **measured** one.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse import linalg

from descant.core.errors import UserError
from descant.core.network import AbstractNetwork, doubled
from descant.core.types import PyTree

MOST = 2**26
"""Chances that are held at once (512 MiB)."""
FARTHEST = 700.0
"""Rates beyond this are infinite: exponentials of them overflow."""


class Influence(NamedTuple):
    """Most that a change at agent j moves the law of agent i's next state, [N, N]."""

    both: sparse.csr_array
    """Of state and action together: M."""
    states: sparse.csr_array
    """Of the state alone: $E_s$."""
    actions: sparse.csr_array
    """Of the action alone: $E_a$."""


@dataclass(frozen=True)
class Certificate:
    """What local laws prove, for policies that read the own state alone."""

    network: AbstractNetwork
    discount: float
    influence: Influence

    @property
    def row_sum(self) -> float:
        """Largest sum of a row of M."""
        return float(self.influence.both.sum(axis=1).max())

    def growth(self, rate: float) -> float:
        r"""$\chi$ at a rate."""
        weighed, hops = self.influence.both.copy(), self._hops
        weighed.data = weighed.data * np.exp(rate * hops)
        return float(weighed.sum(axis=1).max())

    @cached_property
    def rate(self) -> float:
        r"""Largest $\omega$ with $\gamma \chi < 1$; 0 where the certificate is void, infinite where
        agents have nothing to do with each other."""
        if self.discount * self.growth(0.0) >= 1:
            return 0.0
        low, high = 0.0, 1.0
        while self.discount * self.growth(high) < 1:
            low, high = high, 2 * high
            if high > FARTHEST:
                return math.inf
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.discount * self.growth(middle) < 1 else (low, middle)
        return low

    @property
    def factor(self) -> float:
        r"""$\phi = e^{-\omega}$ at the largest rate: what is left after one hop more."""
        return math.exp(-self.rate)

    def bound(self, radius: int) -> float:
        """What Q can differ by beyond a radius, for a reward that spreads over one unit, at the
        best rate for that radius; infinite where the certificate is void."""
        best = self.rate
        if best in (0.0, math.inf):
            return math.inf if best == 0.0 else 0.0
        rates = best * (1 - np.logspace(-12, 0, 200))
        spread = [self.discount * self.growth(float(rate)) for rate in rates]
        pairs = zip(spread, rates, strict=True)
        return min(x / (1 - x) * math.exp(-rate * (radius + 1)) for x, rate in pairs if x < 1)

    def light_cone(self, radius: int, view: int = 0) -> float:
        """The same from distances alone, for policies that read states up to `view` hops away."""
        delay = self.network.reach.delay(radius, view)
        return self.discount**delay / (1 - self.discount)

    def spectral_radius(self, chances: Float[np.ndarray, "N S A"]) -> float:
        r"""Of $E_s + E_a \Pi$ under a policy, given as chances of actions by own state."""
        reacts = 0.5 * np.abs(chances[:, :, None] - chances[:, None]).sum(axis=-1).max(axis=(1, 2))
        matrix = self.influence.states + self.influence.actions @ sparse.diags_array(reacts)
        return _spectral_radius(sparse.csr_array(matrix))

    @cached_property
    def _hops(self) -> Int[np.ndarray, " _"]:
        """Distance of each entry of M."""
        near, hops = np.asarray(self.network.near), np.asarray(self.network.hops)
        agents = len(near)
        row, slot = np.nonzero(near < agents)
        distance = sparse.csr_array(
            (hops[row, slot] + 1, (row, near[row, slot])), shape=(agents, agents)
        )
        where = self.influence.both.tocoo()
        return np.asarray(distance[where.coords[0], where.coords[1]]).reshape(-1) - 1


def certificate(network: AbstractNetwork, discount: float) -> Certificate:
    """The certificate of a network.

    Raises:
        UserError: too much is around an agent to enumerate, or the discount is out of its range.
    """
    if not 0 <= discount < 1:
        raise UserError(f"discount: expected from 0 to below 1, got {discount}.")
    return Certificate(network, discount, influence(network))


def influence(network: AbstractNetwork) -> Influence:
    """By enumeration of what is around each agent.

    Raises:
        UserError: that is too much.
    """
    hops = np.asarray(network.hops)
    nobody = np.asarray(network.near) >= network.graph.agents
    state_slots = _slots(hops, nobody, network.reach.states)
    action_slots = _slots(hops, nobody, network.reach.actions)
    size = state_slots * math.log2(network.states) + action_slots * math.log2(network.actions)
    if size > math.log2(MOST):
        raise UserError(
            f"certificate: 2^{size:.0f} combinations of states and actions around an agent are too "
            f"many to enumerate."
        )
    states, actions = _around(network, hops.shape[1], state_slots, action_slots)
    block = max(1, MOST // (len(states) * network.states))
    parts = []
    for at in range(0, len(hops), block):
        some = slice(at, at + block)
        with jax.enable_x64(True):
            traits = jax.tree.map(lambda x, some=some: x[some], doubled(network.traits))
            laws = np.asarray(_laws(network, traits, states, actions))
        counts = (network.states,) * state_slots + (network.actions,) * action_slots
        parts.append(_moves(laws.reshape(len(laws), *counts, -1), state_slots))
    both, states_alone, actions_alone = (np.concatenate(x) for x in zip(*parts, strict=True))
    return Influence(*(_matrix(network, x) for x in (both, states_alone, actions_alone)))


def fitted_factor(error: Float[np.ndarray, " R"]) -> float:
    """Factor per hop of errors that fall geometrically: from the slope of their logarithms."""
    error = np.asarray(error, np.float64)
    return float(np.exp(np.polyfit(np.arange(len(error)), np.log(error), 1)[0]))


def _slots(hops: np.ndarray, nobody: np.ndarray, radius: int) -> int:
    return int(((hops <= radius) & ~nobody).sum(axis=1).max())


def _around(
    network: AbstractNetwork, width: int, state_slots: int, action_slots: int
) -> tuple[jax.Array, jax.Array]:
    """All states and actions in the slots that laws read, zeros in the others."""
    counts = (network.states,) * state_slots + (network.actions,) * action_slots
    every = np.indices(counts, dtype=np.int32).reshape(len(counts), -1).T
    states, actions = np.zeros((2, len(every), width), np.int32)
    states[:, :state_slots], actions[:, :action_slots] = np.split(every, [state_slots], axis=1)
    return jnp.asarray(states), jnp.asarray(actions)


@eqx.filter_jit
def _laws(
    network: AbstractNetwork, traits: PyTree, states: jax.Array, actions: jax.Array
) -> jax.Array:
    every = jax.vmap(network.law, in_axes=(None, 0, 0))
    return jax.vmap(every, in_axes=(0, None, None))(traits, states, actions)


def _moves(laws: np.ndarray, state_slots: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per agent and slot, the most that changing the slot's state and action, its state, its action
    moves the law; laws are [n, one axis per slot, S]."""
    slots = laws.ndim - 2
    width = state_slots
    both = np.zeros((len(laws), width))
    states, actions = np.zeros_like(both), np.zeros_like(both)
    for slot in range(width):
        acts = state_slots + slot < slots
        states[:, slot] = _farthest(laws, [1 + slot])
        if acts:
            actions[:, slot] = _farthest(laws, [1 + state_slots + slot])
        both[:, slot] = (
            _farthest(laws, [1 + slot, 1 + state_slots + slot]) if acts else states[:, slot]
        )
    return both, states, actions


def _farthest(laws: np.ndarray, axes: list[int]) -> np.ndarray:
    """Largest total variation between laws that differ along some axes only."""
    moved = np.moveaxis(laws, axes, range(1, 1 + len(axes)))
    flat = moved.reshape(len(laws), math.prod(moved.shape[1 : 1 + len(axes)]), -1, laws.shape[-1])
    most = np.zeros(len(laws))
    for one in range(flat.shape[1]):
        for other in range(one):
            apart = 0.5 * np.abs(flat[:, one] - flat[:, other]).sum(axis=-1)
            most = np.maximum(most, apart.max(axis=1))
    return most


def _matrix(network: AbstractNetwork, slots: np.ndarray) -> sparse.csr_array:
    near = np.asarray(network.near)[:, : slots.shape[1]]
    row, slot = np.nonzero((near < len(near)) & (slots > 0))
    return sparse.csr_array((slots[row, slot], (row, near[row, slot])), shape=(len(near),) * 2)


def _spectral_radius(matrix: sparse.csr_array) -> float:
    size = len(matrix.indptr) - 1
    if size <= 64:
        return float(np.abs(np.linalg.eigvals(matrix.toarray())).max())
    start = np.ones(size)
    found = linalg.eigs(matrix, k=1, which="LM", return_eigenvectors=False, v0=start)
    return float(np.abs(found[0]))
