r"""Exact answers for noisy voters, at any number of agents.

Policies read the own state alone: $q_i(s)$ is the chance that agent $i$ pushes in state $s$. With
$m_i$ the discounted share of time with opinion 1, $\Delta = p_1 - p_0$ and $q_i(1) - q_i(0) = d_i$,

$$K m = (1 - \gamma) \xi + \gamma (1 - \alpha) (p_0 + \Delta q(0)), \quad
K = I - \gamma (\alpha W + (1 - \alpha) \Delta\, \mathrm{diag}(d)),$$

and $\lambda_i(s, a) = \nu_i(s) \pi_i(a | s)$. Whatever the policy, even one that sees everything,
$m$ is affine in the discounted shares of time that agents push; so for concave utilities of the two
marginals the best of all policies is found in a box.

All in float64, with sparse matrices.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import optimize, sparse
from scipy.sparse import linalg

from descant.core.errors import UserError
from descant.core.utility import AbstractObjective, AbstractOracle, exact_shadow, exact_value
from descant.domains.voter.world import Voter

BLOCK = 256
"""Columns of the inverse that are solved for side by side."""
CLOSE, ROUNDING = 4e-16, 1e-13
"""Changes, relative to the largest entry: below the first a solution stands still; below the second
one that no longer falls is rounding."""


class Occupied(NamedTuple):
    """Where time is spent under a policy."""

    ones: Float[np.ndarray, " N"]
    """m: discounted share of time with opinion 1."""
    occupancy: Float[np.ndarray, "N 2 2"]


class Optimum(NamedTuple):
    """The best that any policy can do, and the proof."""

    value: float
    """Of the policy below: what can be had."""
    bound: float
    """What no policy exceeds."""
    push: Float[np.ndarray, " N"]
    """Chance to push, in either state."""

    @property
    def gap(self) -> float:
        """What is not known of the optimum."""
        return self.bound - self.value


class Exact(AbstractOracle):
    """Exact answers about one network at one discount."""

    def __init__(self, network: Voter, discount: float):
        if not 0 <= discount < 1:
            raise UserError(f"discount: expected from 0 to below 1, got {discount}.")
        self.network, self.discount = network, discount
        self.agents = network.graph.agents
        self.spread = network.high - network.low
        self.lean = discount * (1 - network.alpha) * self.spread
        """How much a push moves m."""

    @cached_property
    def weight(self) -> sparse.csr_array:
        """W, as the world has it."""
        near, value = np.asarray(self.network.near), np.asarray(self.network.traits, np.float64)
        row, slot = np.nonzero((near < self.agents) & (value != 0))
        where = (row, near[row, slot])
        return sparse.csr_array((value[row, slot], where), shape=(self.agents, self.agents))

    def system(self, push: Float[np.ndarray, "N 2"]) -> sparse.csr_array:
        """K under a policy, the chance to push by agent and state."""
        own = sparse.diags_array(self.lean * (push[:, 1] - push[:, 0]))
        carried = self.discount * self.network.alpha * self.weight + own
        return sparse.csr_array(sparse.eye_array(self.agents) - carried)

    def occupied(self, push: Float[np.ndarray, "N 2"]) -> Occupied:
        """Exact occupancies under a policy."""
        push = np.asarray(push, np.float64)
        ones = solved(self.system(push), self._source(push[:, 0]))
        return Occupied(ones, _occupancy(ones, push))

    def occupancy(self, chances: Float[np.ndarray, "N 2 2"]) -> Float[np.ndarray, "N 2 2"]:
        """Exact occupancies, given all chances."""
        return self.occupied(chances[:, :, 1]).occupancy

    def bracket(self, objective: AbstractObjective) -> tuple[float, float]:
        """The best that any policy can do and its proof, as for `optimum`."""
        best = self.optimum(objective)
        return best.value, best.bound

    def value(self, objective: AbstractObjective, push: Float[np.ndarray, "N 2"]) -> float:
        """F under a policy."""
        return exact_value(objective, self.occupied(push).occupancy)

    def gradient(
        self, objective: AbstractObjective, push: Float[np.ndarray, "N 2"]
    ) -> Float[np.ndarray, "N 2"]:
        r"""$\partial F / \partial q_i(s)$, by one solve with the transposed matrix."""
        push = np.asarray(push, np.float64)
        ones, occupancy = self.occupied(push)
        shadow = exact_shadow(objective, occupancy)
        felt = solved(sparse.csr_array(self.system(push).T), _worth(shadow, push))
        return self._chained(ones, shadow, felt)

    def truncated(
        self,
        objective: AbstractObjective,
        push: Float[np.ndarray, "N 2"],
        radii: Iterable[int],
        agents: Int[np.ndarray, " I"] | None = None,
    ) -> dict[int, Float[np.ndarray, "I 2"]]:
        """The gradient of some agents, or all, where each counts the utilities of those up to a
        radius away, for several radii: the entries of the inverse of K that are that near."""
        push = np.asarray(push, np.float64)
        agents = np.arange(self.agents) if agents is None else np.asarray(agents)
        ones, occupancy = self.occupied(push)
        shadow = exact_shadow(objective, occupancy)
        radii = sorted(set(radii))
        felt = self._felt_within(push, _worth(shadow, push), radii, agents)
        rows = ones[agents], shadow[agents]
        return {radius: self._chained(*rows, felt[radius]) for radius in radii}

    def influence(
        self, push: Float[np.ndarray, "N 2"], agents: Int[np.ndarray, " I"]
    ) -> Float[np.ndarray, "N I"]:
        """Columns of the inverse of K: how far a push of these agents is felt."""
        factors = linalg.splu(sparse.csc_array(self.system(np.asarray(push, np.float64))))
        columns = np.zeros((self.agents, len(agents)))
        columns[agents, np.arange(len(agents))] = 1
        return factors.solve(columns)

    def optimum(self, objective: AbstractObjective, *, rounds: int = 500) -> Optimum:
        """The best of all policies for a concave objective of state and action marginals.

        The certificate is the linear bound of a concave function: nothing in the box exceeds
        $F(A) + \\max_B \\langle \\nabla F(A), B - A \\rangle$.

        Raises:
            UserError: the objective is not concave, or reads states and actions together.
        """
        if not objective.concave:
            raise UserError("objective: the optimum is only known for concave ones.")
        system = self.system(np.zeros((self.agents, 2)))
        back = sparse.csr_array(system.T)

        def ask(push: np.ndarray) -> tuple[float, np.ndarray]:
            ones = solved(system, self._source(push))
            both = np.stack([push, push], axis=1)
            occupancy = _occupancy(ones, both)
            shadow = exact_shadow(objective, occupancy)
            _check_apart(shadow)
            felt = solved(back, _worth(shadow, both)) / self.agents
            slope = self.lean * felt + (shadow[:, 0, 1] - shadow[:, 0, 0]) / self.agents
            return exact_value(objective, occupancy), slope

        def cost(push: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = ask(push)
            return -value * self.agents, -slope * self.agents

        found = optimize.minimize(
            cost,
            np.full(self.agents, 0.5),
            jac=True,
            method="L-BFGS-B",
            bounds=optimize.Bounds(0, 1),
            options={"maxiter": rounds, "maxfun": 2 * rounds, "ftol": 0, "gtol": 1e-7},
        )
        push = np.clip(found.x, 0, 1)
        value, slope = ask(push)
        left = float(np.sum(np.maximum(slope * (1 - push), -slope * push)))
        return Optimum(value=value, bound=value + left, push=push)

    def _source(self, push: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        first = np.asarray(self.network.start, np.float64)[:, 1]
        drift = self.discount * (1 - self.network.alpha) * self.network.low
        return (1 - self.discount) * first + drift + self.lean * push

    def _chained(
        self,
        ones: Float[np.ndarray, " I"],
        shadow: Float[np.ndarray, "I 2 2"],
        felt: Float[np.ndarray, " I"],
    ) -> Float[np.ndarray, "I 2"]:
        """From what a push is worth later and now to the slope in each state."""
        share = np.stack([1 - ones, ones], axis=1)
        now = shadow[:, :, 1] - shadow[:, :, 0]
        return share * (self.lean * felt[:, None] + now) / self.agents

    def _felt_within(
        self,
        push: Float[np.ndarray, "N 2"],
        worth: Float[np.ndarray, " N"],
        radii: list[int],
        agents: Int[np.ndarray, " I"],
    ) -> dict[int, Float[np.ndarray, " I"]]:
        factors = linalg.splu(sparse.csc_array(self.system(push)))
        centre, member, distance = self.network.graph.pairs(radii[-1])
        felt = {radius: np.zeros(len(agents)) for radius in radii}
        for at in range(0, len(agents), BLOCK):
            some = agents[at : at + BLOCK]
            columns = np.zeros((self.agents, len(some)))
            columns[some, np.arange(len(some))] = 1
            columns = factors.solve(columns) * worth[:, None]
            for slot, agent in enumerate(some):
                ball = slice(*np.searchsorted(centre, (agent, agent + 1)))
                near, hops = columns[member[ball], slot], distance[ball]
                for radius in radii:
                    felt[radius][at + slot] = near[hops <= radius].sum()
        return felt


def solved(system: sparse.csr_array, right: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Solve $K x = b$ where $I - K$ contracts, by steps of residuals until nothing moves any more;
    their number does not depend on N."""
    x, change = np.zeros_like(right), np.inf
    while True:
        step = right - system @ x
        x = x + step
        last, change = change, float(np.max(np.abs(step)))
        still = change <= CLOSE * float(np.max(np.abs(x)))
        if still or (change >= last and change < ROUNDING * float(np.max(np.abs(x)))):
            return x


def rate(alpha: float, discount: float, neighbours: int = 2) -> float:
    r"""By what factor a push is felt less a hop farther away, where policies do not read states: on
    a ring, $\phi = (1 - \sqrt{1 - (\gamma \alpha)^2}) / (\gamma \alpha)$; on an endless tree whose
    agents have $q$ neighbours each,
    $(q - \sqrt{q^2 - 4 (q - 1) (\gamma \alpha)^2}) / (2 (q - 1) \gamma \alpha)$."""
    x, q = discount * alpha, neighbours
    return (q - np.sqrt(q * q - 4 * (q - 1) * x * x)) / (2 * (q - 1) * x) if x else 0.0


def _occupancy(
    ones: Float[np.ndarray, " N"], push: Float[np.ndarray, "N 2"]
) -> Float[np.ndarray, "N 2 2"]:
    share = np.stack([1 - ones, ones], axis=1)
    return share[:, :, None] * np.stack([1 - push, push], axis=2)


def _worth(
    shadow: Float[np.ndarray, "N 2 2"], push: Float[np.ndarray, "N 2"]
) -> Float[np.ndarray, " N"]:
    """What a tick with opinion 1 is worth to each agent, against one with 0."""
    expected = np.sum(shadow * np.stack([1 - push, push], axis=2), axis=2)
    return expected[:, 1] - expected[:, 0]


def _check_apart(shadow: Float[np.ndarray, "N 2 2"]) -> None:
    together = shadow[:, 1, 1] - shadow[:, 1, 0] - shadow[:, 0, 1] + shadow[:, 0, 0]
    if np.max(np.abs(together)) > 1e-6 * (1 + np.max(np.abs(shadow))):
        raise UserError(
            "objective: the optimum is only known where utilities read states and actions apart, "
            "and one of these reads them together."
        )
