r"""Small networks, all of whose joint states and actions are enumerated: exact occupancies, exact
policy gradients of any objective, and what each way of truncating them gives. In float64.

    from descant.evaluate.enumerated import enumerate_network

    whole = enumerate_network(domain.network, discount=0.9)
    logits = whole.logits(view=0)
    whole.value(domain.objective, logits)
    whole.gradient(domain.objective, logits)
    whole.truncated(domain.objective, logits, credit=1)

Policies are tables: an agent's chances are a softmax over the row that belongs to the states up to
`view` hops around it. Rows are numbered as `descant.core.network.codes` does.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from descant.core.errors import UserError
from descant.core.network import AbstractNetwork, codes, doubled
from descant.core.utility import AbstractObjective, exact_shadow, exact_value

MOST = 2**27
"""Chances that are held at once (1 GiB)."""

Truncation = Literal["none", "conditional", "td", "placeholder"]
"""What an agent knows of another's shadow Q: all of it; its mean given states and actions nearby;
what temporal differences on those find; or its value where everybody else is and does 0."""


class Joint(NamedTuple):
    """A network under a policy; X joint states, U joint actions."""

    chances: Float[np.ndarray, "N X A"]
    """Of every agent's actions."""
    policy: Float[np.ndarray, "X U"]
    occupancy: Float[np.ndarray, "X U"]
    """Discounted, sums to one."""


@dataclass(frozen=True)
class Enumerated:
    """Everything that can be and everything that can be done."""

    network: AbstractNetwork
    discount: float
    states: Int[np.ndarray, "X N"]
    actions: Int[np.ndarray, "U N"]
    laws: Float[np.ndarray, "X U N S"]
    """Of each agent's next state."""

    @cached_property
    def move(self) -> Float[np.ndarray, "X U X"]:
        """Chances of the next joint state."""
        move = np.ones((len(self.states), len(self.actions), len(self.states)))
        for agent, state in enumerate(self.states.T):
            move *= self.laws[:, :, agent, state]
        return move

    @cached_property
    def start(self) -> Float[np.ndarray, " X"]:
        """Law of the first joint state."""
        first = np.asarray(self.network.start, np.float64)
        first = first / first.sum(axis=1, keepdims=True)
        return np.prod(first[np.arange(first.shape[0]), self.states], axis=1)

    def codes(self, view: int) -> Int[np.ndarray, "X N"]:
        """Rows of every agent's table."""
        near = self.network.graph.balls(view).member
        return codes(self.states, near, self.network.states)

    def logits(
        self, view: int = 0, *, seed: int | None = None, scale: float = 1.0
    ) -> Float[np.ndarray, "N C A"]:
        """Tables of an even policy, or of a random one."""
        widest = self.network.graph.balls(view).member.shape[1]
        shape = (self.states.shape[1], self.network.states**widest, self.network.actions)
        return scale * (np.zeros(shape) if seed is None else _normal(seed, shape))

    def joint(self, logits: Float[np.ndarray, "N C A"], view: int = 0) -> Joint:
        """Occupancies under a policy."""
        agents = np.arange(self.states.shape[1])
        table = _softmax(np.asarray(logits, np.float64))
        chances = table[agents, self.codes(view)].swapaxes(0, 1)
        policy = np.prod(chances[agents, :, self.actions], axis=1).T
        return Joint(chances, policy, self.visited(policy))

    def visited(self, policy: Float[np.ndarray, "X U"]) -> Float[np.ndarray, "X U"]:
        """Discounted occupancy of any joint policy; sums to one."""
        chain = self.chain(policy)
        matrix = np.eye(len(chain)) - self.discount * chain.T
        return np.linalg.solve(matrix, (1 - self.discount) * self.start)[:, None] * policy

    def chain(self, policy: Float[np.ndarray, "X U"]) -> Float[np.ndarray, "X X"]:
        """From joint state to joint state."""
        return np.einsum("xu,xuy->xy", policy, self.move)

    def value(
        self, objective: AbstractObjective, logits: Float[np.ndarray, "N C A"], view: int = 0
    ) -> float:
        """F of a policy."""
        return self.valued(objective, self.joint(logits, view).occupancy)

    def valued(self, objective: AbstractObjective, occupancy: Float[np.ndarray, "X U"]) -> float:
        """F of a joint occupancy."""
        return exact_value(objective, self.local(occupancy))

    def shadowed(
        self, objective: AbstractObjective, occupancy: Float[np.ndarray, "X U"]
    ) -> Float[np.ndarray, "N S A"]:
        """Shadow rewards at a joint occupancy."""
        return exact_shadow(objective, self.local(occupancy))

    def action_values(
        self, joint: Joint, reward: Float[np.ndarray, "N S A"]
    ) -> Float[np.ndarray, "N X U"]:
        """Every agent's own Q, of its own reward table, at every joint state and action."""
        each = self.everywhere(reward)
        paid = np.einsum("nxu,xu->nx", each, joint.policy)
        matrix = np.eye(len(self.states)) - self.discount * self.chain(joint.policy)
        value = np.linalg.solve(matrix, paid.T).T
        return each + self.discount * np.einsum("xuy,ny->nxu", self.move, value)

    def gradient(
        self, objective: AbstractObjective, logits: Float[np.ndarray, "N C A"], view: int = 0
    ) -> Float[np.ndarray, "N C A"]:
        r"""$\nabla_{\theta_i} F = \mathbb{E}_\lambda [\psi_i \tfrac1N \sum_j Q_j]$, the policy
        gradient with shadow rewards; Zhang et al. (2020)."""
        joint = self.joint(logits, view)
        team = self.action_values(joint, self.shadowed(objective, joint.occupancy)).mean(axis=0)
        each = np.broadcast_to(team, (self.states.shape[1], *team.shape))
        return self._scored(joint, each, logits.shape[1], view)

    def truncated(
        self,
        objective: AbstractObjective,
        logits: Float[np.ndarray, "N C A"],
        *,
        credit: int,
        critic: int | None = None,
        truncation: Truncation = "none",
        view: int = 0,
    ) -> Float[np.ndarray, "N C A"]:
        """The gradient where each agent counts the Q of those up to `credit` hops away, and those
        are known from states and actions up to `critic` hops around them (as far as `credit`, if
        not said otherwise)."""
        joint = self.joint(logits, view)
        reward = self.shadowed(objective, joint.occupancy)
        values = self.action_values(joint, reward)
        if truncation != "none":
            radius = credit if critic is None else critic
            values = self._known(joint, reward, values, radius, truncation)
        member = self.network.graph.balls(credit).member
        wide = np.concatenate([values, np.zeros((1, *values.shape[1:]))])
        near = np.stack([wide[row].sum(axis=0) for row in member]) / len(member)
        return self._scored(joint, near, logits.shape[1], view)

    def differentiated(
        self, objective: AbstractObjective, logits: Float[np.ndarray, "N C A"], view: int = 0
    ) -> Float[np.ndarray, "N C A"]:
        """The gradient by differentiating the equations of the occupancy: no theorem comes in."""
        agents = np.arange(self.states.shape[1])
        rows = self.codes(view)
        is_in = np.stack([np.eye(self.network.states)[self.states[:, i]].T for i in agents])
        does = np.stack([np.eye(self.network.actions)[self.actions[:, i]] for i in agents])

        def value(logits, move, start):
            chances = jax.nn.softmax(logits)[agents, rows].swapaxes(0, 1)
            policy = jnp.prod(jnp.stack([chances[i][:, self.actions[:, i]] for i in agents]), 0)
            chain = jnp.einsum("xu,xuy->xy", policy, move)
            visits = jnp.linalg.solve(
                jnp.eye(len(start)) - self.discount * chain.T, (1 - self.discount) * start
            )
            local = jnp.einsum("nsx,x,xu,nua->nsa", is_in, visits, policy, does)
            return objective.value(local)

        with jax.enable_x64(True):
            given = (jnp.asarray(logits, jnp.float64), self.move, self.start)
            return np.asarray(jax.jit(jax.grad(value))(*given))

    def felt(
        self,
        logits: Float[np.ndarray, "N C A"],
        reward: Float[np.ndarray, "N S A"],
        ticks: int,
        view: int = 0,
    ) -> Float[np.ndarray, "L N N"]:
        r"""How much the choice of agent i is felt in the reward of agent j after 0, 1, ... ticks:
        the largest entry of $\mathbb{E}[\psi_i(0)\, r_j(l)]$."""
        joint = self.joint(logits, view)
        value = self.everywhere(reward)
        felt = []
        for _ in range(ticks):
            felt.append(self._felt_now(joint, value, logits.shape[1], view))
            mean = np.einsum("nxu,xu->nx", value, joint.policy)
            value = np.einsum("xuy,ny->nxu", self.move, mean)
        return np.stack(felt)

    def decay(self, values: Float[np.ndarray, "N X U"]) -> Float[np.ndarray, "N R"]:
        """How far an agent's Q can differ between joint states and actions that agree 0, 1, ...
        hops around it; the last column, where they agree on all it can reach, is 0."""
        farthest = int(self.network.graph.pairs(self.states.shape[1]).distance.max())
        return np.stack(
            [
                [_spread(values[i], self._nearby(i, radius)) for radius in range(farthest + 1)]
                for i in range(len(values))
            ]
        )

    def _felt_now(
        self, joint: Joint, value: Float[np.ndarray, "N X U"], rows: int, view: int
    ) -> Float[np.ndarray, "N N"]:
        shape = (len(value), *value.shape[1:])
        return np.stack(
            [
                np.abs(self._scored(joint, np.broadcast_to(v, shape), rows, view)).max(axis=(1, 2))
                for v in value
            ],
            axis=1,
        )

    def local(self, occupancy: Float[np.ndarray, "X U"]) -> Float[np.ndarray, "N S A"]:
        """Every agent's part of a joint occupancy."""
        s, a = self.network.states, self.network.actions
        return np.stack(
            [
                np.eye(s)[state].T @ occupancy @ np.eye(a)[action]
                for state, action in zip(self.states.T, self.actions.T, strict=True)
            ]
        )

    def everywhere(self, reward: Float[np.ndarray, "N S A"]) -> Float[np.ndarray, "N X U"]:
        """Every agent's reward at every joint state and action."""
        pairs = zip(reward, self.states.T, self.actions.T, strict=True)
        return np.stack([table[state[:, None], action] for table, state, action in pairs])

    def _scored(
        self, joint: Joint, values: Float[np.ndarray, "N X U"], rows: int, view: int
    ) -> Float[np.ndarray, "N C A"]:
        """$\\mathbb{E}_\\lambda [\\psi_i v_i]$, by agent."""
        found = np.zeros((len(values), rows, self.network.actions))
        for i, row in enumerate(self.codes(view).T):
            mass = joint.occupancy * values[i]
            taken = mass @ np.eye(self.network.actions)[self.actions[:, i]]
            np.add.at(found[i], row, taken - joint.chances[i] * mass.sum(axis=1, keepdims=True))
        return found

    def _nearby(self, agent: int, radius: int) -> Int[np.ndarray, "X U"]:
        """One number for the states and actions up to a radius around an agent."""
        row = self.network.graph.balls(radius).member[agent][None]
        state = codes(self.states, row, self.network.states)[:, 0]
        action = codes(self.actions, row, self.network.actions)[:, 0]
        return state[:, None] * self.network.actions ** row.shape[1] + action[None]

    def _known(
        self,
        joint: Joint,
        reward: Float[np.ndarray, "N S A"],
        values: Float[np.ndarray, "N X U"],
        radius: int,
        truncation: Truncation,
    ) -> Float[np.ndarray, "N X U"]:
        known = []
        for agent, value in enumerate(values):
            _, cell = np.unique(self._nearby(agent, radius), return_inverse=True)
            cell = cell.reshape(value.shape)
            if truncation == "placeholder":
                known.append(self._frozen(value, agent, radius))
            elif truncation == "conditional":
                known.append(_means(value, joint.occupancy, cell)[cell])
            else:
                paid = self.everywhere(reward)[agent]
                known.append(self._fixed_point(joint, paid, cell)[cell])
        return np.stack(known)

    def _frozen(
        self, value: Float[np.ndarray, "X U"], agent: int, radius: int
    ) -> Float[np.ndarray, "X U"]:
        near = self.network.graph.balls(radius).member[agent]
        inside = np.isin(np.arange(self.states.shape[1]), near)
        return value[
            np.ix_(
                _places(self.states * inside, self.network.states),
                _places(self.actions * inside, self.network.actions),
            )
        ]

    def _fixed_point(
        self, joint: Joint, paid: Float[np.ndarray, "X U"], cell: Int[np.ndarray, "X U"]
    ) -> Float[np.ndarray, " G"]:
        """Of the Bellman equation projected on functions of cells, the occupancy as weight. Solved
        for the values of joint states, of which there are fewer than cells at large radii."""
        count, size = int(cell.max()) + 1, len(cell)
        weight = np.bincount(cell.ravel(), joint.occupancy.ravel(), count)
        # What follows a joint state, by cell, [X, G]; and a cell, by joint state, [G, X].
        following = np.zeros((size, count))
        for x, (row, policy) in enumerate(zip(cell, joint.policy, strict=True)):
            following[x] = np.bincount(row, policy, count)
        after = np.zeros((count, size))
        np.add.at(after, cell.ravel(), joint.occupancy.reshape(-1, 1) * self.move.reshape(-1, size))
        # Cells that are never visited have no equation; their value is never read.
        after /= np.where(weight > 0, weight, 1)[:, None]
        mean = _means(paid, joint.occupancy, cell)
        matrix = np.eye(size) - self.discount * following @ after
        return mean + self.discount * after @ np.linalg.solve(matrix, following @ mean)


def enumerate_network(network: AbstractNetwork, discount: float) -> Enumerated:
    """All of a small network.

    Raises:
        UserError: there is too much of it, or the discount is out of its range.
    """
    if not 0 <= discount < 1:
        raise UserError(f"discount: expected from 0 to below 1, got {discount}.")
    agents = network.graph.agents
    size = agents * (2 * math.log2(network.states) + math.log2(network.actions))
    if size > math.log2(MOST):
        raise UserError(
            f"enumeration: {agents} agents with {network.states} states and {network.actions} "
            f"actions have 2^{size:.0f} chances; 2^{math.log2(MOST):.0f} can be held."
        )
    states, actions = _all(network.states, agents), _all(network.actions, agents)
    with jax.enable_x64(True):
        given = jnp.asarray(states, jnp.int32), jnp.asarray(actions, jnp.int32)
        laws = np.asarray(_laws(doubled(network), *given))
    # Tables in single precision sum to one up to its rounding.
    laws = laws / laws.sum(axis=-1, keepdims=True)
    return Enumerated(network, discount, states, actions, laws)


@eqx.filter_jit
def _laws(network: AbstractNetwork, states: jax.Array, actions: jax.Array) -> jax.Array:
    inner = jax.vmap(network.chances, in_axes=(None, 0))
    return jax.vmap(inner, in_axes=(0, None))(states, actions)


def _all(count: int, agents: int) -> Int[np.ndarray, "_ N"]:
    """All joint choices, the first agent's digit last to change."""
    return np.indices((count,) * agents).reshape(agents, -1).T


def _places(rows: Int[np.ndarray, "X N"], count: int) -> Int[np.ndarray, " X"]:
    """Where joint choices stand in `_all`."""
    return rows @ count ** np.arange(rows.shape[1])[::-1]


def _softmax(logits: Float[np.ndarray, "N C A"]) -> Float[np.ndarray, "N C A"]:
    size = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return size / size.sum(axis=-1, keepdims=True)


def _normal(seed: int, shape: tuple[int, ...]) -> Float[np.ndarray, "N C A"]:
    return np.random.default_rng(seed).normal(size=shape)


def _means(
    value: Float[np.ndarray, "X U"],
    weight: Float[np.ndarray, "X U"],
    cell: Int[np.ndarray, "X U"],
) -> Float[np.ndarray, " G"]:
    mass = np.bincount(cell.ravel(), weight.ravel())
    total = np.bincount(cell.ravel(), (weight * value).ravel())
    return total / np.where(mass > 0, mass, 1)


def _spread(value: Float[np.ndarray, "X U"], cell: Int[np.ndarray, "X U"]) -> float:
    _, cells = np.unique(cell, return_inverse=True)
    count = int(cells.max()) + 1
    most, least = np.full(count, -np.inf), np.full(count, np.inf)
    np.maximum.at(most, cells.ravel(), value.ravel())
    np.minimum.at(least, cells.ravel(), value.ravel())
    return float(np.max(most - least))
