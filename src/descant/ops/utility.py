r"""Utilities of discounted occupancies, by formula; gradients come from differentiation.

$\lambda$ is an agent's occupancy, $\nu(s) = \sum_a \lambda(s, a)$ its states', $\alpha(a)$ its
actions'; $\delta > 0$ keeps logarithms finite where nobody has been. Costs and rewards are tables
over states and actions, and $C = \langle c, \lambda \rangle$. What is about spread here
(`MeanVariance`, `LowerTail`) is about the reward of single ticks under the occupancy, not about the
return of an episode.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.errors import UserError
from descant.core.types import Scalar
from descant.core.utility import AbstractObjective, AbstractUtility

Table = Float[Array, "*n S A"]
"""Per state and action; of many agents side by side with a leading axis."""


def _numbers(x: Any) -> Array:
    return jnp.asarray(x, jnp.result_type(float))


class Linear(AbstractUtility):
    r"""$\langle r, \lambda \rangle$: the ordinary discounted reward."""

    reward: Table = eqx.field(converter=_numbers)

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        return jnp.sum(self.reward * occupancy)

    def gradient(self, occupancy: Float[Array, "S A"]) -> Float[Array, "S A"]:
        return self.reward.astype(occupancy.dtype)

    @property
    def concave(self) -> bool:
        return True

    def bound(self, states: int, actions: int) -> float | None:
        return _largest(np.abs(self.reward))

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        return _shape("reward", self.reward, (*lead, states, actions))


class Entropy(AbstractUtility):
    r"""$-\sum_s (\nu_s + \delta) \log (\nu_s + \delta)$: be everywhere."""

    delta: float | Array = 1e-2

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        share = _states(occupancy) + self.delta
        return -jnp.sum(share * jnp.log(share))

    @property
    def concave(self) -> bool:
        return True

    def bound(self, states: int, actions: int) -> float | None:
        return _log_bound(self.delta, 1 + np.asarray(self.delta))

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        return _positive("delta", self.delta)


class QuadraticEntropy(AbstractUtility):
    r"""$-\tfrac12 \lVert \nu \rVert^2$, Tsallis' entropy of order 2: be everywhere, with gradients
    that are smooth at the border."""

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        return -0.5 * jnp.sum(_states(occupancy) ** 2)

    @property
    def concave(self) -> bool:
        return True

    def bound(self, states: int, actions: int) -> float | None:
        return 1.0

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        return []


class Imitation(AbstractUtility):
    r"""$-\sum_s (\nu_s + \delta) \log \frac{\nu_s + \delta}{t_s + \delta}$: minus the divergence
    $\mathrm{KL}(\nu \Vert t)$ from a target, to be met on average."""

    target: Float[Array, "*n S"] = eqx.field(converter=_numbers)
    delta: float | Array = 1e-2

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        share = _states(occupancy) + self.delta
        return -jnp.sum(share * jnp.log(share / (self.target + self.delta)))

    @property
    def concave(self) -> bool:
        return True

    def bound(self, states: int, actions: int) -> float | None:
        delta, target = _beside(self.delta, self.target), np.asarray(self.target)
        return _log_bound(delta / (target + delta), (1 + delta) / (target + delta))

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        return _law("target", self.target, (*lead, states)) + _positive("delta", self.delta)


class Coverage(AbstractUtility):
    r"""$\sum_s (t_s + \delta) \log (\nu_s + \delta)$: minus $\mathrm{KL}(t \Vert \nu)$ up to a
    constant; states that are never visited cost most."""

    target: Float[Array, "*n S"] = eqx.field(converter=_numbers)
    delta: float | Array = 1e-2

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        share = _states(occupancy) + self.delta
        return jnp.sum((self.target + self.delta) * jnp.log(share))

    @property
    def concave(self) -> bool:
        return True

    def bound(self, states: int, actions: int) -> float | None:
        delta = _beside(self.delta, self.target)
        return _largest((np.asarray(self.target) + delta) / delta)

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        return _law("target", self.target, (*lead, states)) + _positive("delta", self.delta)


class Matching(AbstractUtility):
    r"""$-\tfrac12 \lVert \nu - t \rVert^2$: minus the squared distance from a target."""

    target: Float[Array, "*n S"] = eqx.field(converter=_numbers)

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        return -0.5 * jnp.sum((_states(occupancy) - self.target) ** 2)

    @property
    def concave(self) -> bool:
        return True

    def bound(self, states: int, actions: int) -> float | None:
        target = np.asarray(self.target)
        return _largest(np.maximum(target, 1 - target))

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        return _law("target", self.target, (*lead, states))


class Penalty(AbstractUtility):
    r"""$-\tfrac{\eta}2 (C - b)_+^2$: a cost above its budget is charged by the square; its gradient
    is that of a dual variable $\eta (C - b)_+$."""

    cost: Table = eqx.field(converter=_numbers)
    budget: float | Array
    weight: float | Array = 1.0

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        over = jnp.maximum(jnp.sum(self.cost * occupancy) - self.budget, 0)
        return -0.5 * self.weight * over**2

    @property
    def concave(self) -> bool:
        return True

    def bound(self, states: int, actions: int) -> float | None:
        _, most, size = _span(self.cost)
        return _largest(self.weight * size * np.maximum(most - self.budget, 0))

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        shape = _shape("cost", self.cost, (*lead, states, actions))
        return shape + _positive("weight", self.weight)


class SoftPenalty(AbstractUtility):
    r"""$-\tfrac{\eta}{\beta} \log (1 + e^{\beta (C - b)})$: a cost above its budget is charged by
    its size; `sharpness` $\beta$ says how suddenly that begins."""

    cost: Table = eqx.field(converter=_numbers)
    budget: float | Array
    weight: float | Array = 1.0
    sharpness: float | Array = 10.0

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        over = self.sharpness * (jnp.sum(self.cost * occupancy) - self.budget)
        return -self.weight / self.sharpness * jax.nn.softplus(over)

    @property
    def concave(self) -> bool:
        return True

    def bound(self, states: int, actions: int) -> float | None:
        return _largest(self.weight * _span(self.cost)[2])

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        shape = _shape("cost", self.cost, (*lead, states, actions))
        return shape + _positive("weight", self.weight) + _positive("sharpness", self.sharpness)


class Barrier(AbstractUtility):
    r"""$-\tau B(b - C)$ with $B(z) = -\log z$ down to a slack $\epsilon$ and its quadratic
    continuation $\tfrac12 ((z / \epsilon - 2)^2 - 1) - \log \epsilon$ below: keeps away from a
    budget, and brings back who is beyond it."""

    cost: Table = eqx.field(converter=_numbers)
    budget: float | Array
    weight: float | Array = 1e-2
    slack: float | Array = 1e-2

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        left = self.budget - jnp.sum(self.cost * occupancy)
        inside = left >= self.slack
        # The branch that is not taken must have a gradient, too.
        logarithm = -jnp.log(jnp.where(inside, left, 1.0))
        beyond = 0.5 * ((left / self.slack - 2) ** 2 - 1) - jnp.log(self.slack)
        return -self.weight * jnp.where(inside, logarithm, beyond)

    @property
    def concave(self) -> bool:
        return True

    def bound(self, states: int, actions: int) -> float | None:
        _, most, size = _span(self.cost)
        # The slope falls with what is left, so it is steepest where the cost is highest.
        left, slack = self.budget - most, np.asarray(self.slack)
        beyond = (2 * slack - left) / slack**2
        slope = np.where(left >= slack, 1 / np.maximum(left, slack), beyond)
        return _largest(self.weight * slope * size)

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        shape = _shape("cost", self.cost, (*lead, states, actions))
        return shape + _positive("weight", self.weight) + _positive("slack", self.slack)


class Margin(AbstractUtility):
    r"""$g(\lambda) - c$: what another utility has beyond its least value; below 0 where it falls
    short, as in a constraint."""

    utility: AbstractUtility
    least: float | Array

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        return self.utility(occupancy) - self.least

    @property
    def concave(self) -> bool:
        return self.utility.concave

    def bound(self, states: int, actions: int) -> float | None:
        return self.utility.bound(states, actions)

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        return self.utility.problems(states, actions, lead)


class Shortfall(AbstractUtility):
    r"""$-\tfrac{\eta}2 (c - g(\lambda))_+^2$: what another utility is short of its least value is
    charged by the square."""

    utility: AbstractUtility
    least: float | Array
    weight: float | Array = 1.0

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        short = jnp.maximum(self.least - self.utility(occupancy), 0)
        return -0.5 * self.weight * short**2

    @property
    def concave(self) -> bool:
        return self.utility.concave

    def bound(self, states: int, actions: int) -> float | None:
        return None

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        return self.utility.problems(states, actions, lead) + _positive("weight", self.weight)


class MeanVariance(AbstractUtility):
    r"""$\langle r, \lambda \rangle - \beta (\langle r^2, \lambda \rangle - \langle r, \lambda
    \rangle^2)$: reward, less its variance from tick to tick. Not concave: a variance is concave in
    the occupancy."""

    reward: Table = eqx.field(converter=_numbers)
    aversion: float | Array = 1.0

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        mean = jnp.sum(self.reward * occupancy)
        return mean - self.aversion * (jnp.sum(self.reward**2 * occupancy) - mean**2)

    @property
    def concave(self) -> bool:
        return False

    def bound(self, states: int, actions: int) -> float | None:
        reward = np.asarray(self.reward)
        aversion = _beside(self.aversion, reward)
        # Linear in the mean, so largest at one of its ends.
        ends = [x[..., None, None] for x in _span(reward)[:2]]
        return max(_largest(np.abs(reward - aversion * (reward**2 - 2 * reward * x))) for x in ends)

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        shape = _shape("reward", self.reward, (*lead, states, actions))
        return shape + _positive("aversion", self.aversion)


class LowerTail(AbstractUtility):
    r"""$\max_x x - \tfrac1q \mathbb{E}_\lambda (x - r)_+$: mean reward of the worst share $q$ of
    ticks (their CVaR). Not concave: it is a maximum of linear functions."""

    reward: Table = eqx.field(converter=_numbers)
    share: float | Array = 0.1

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        values, weight = self.reward.reshape(-1), occupancy.reshape(-1)

        def at(level):
            return level - jnp.sum(jnp.maximum(level - values, 0) * weight) / self.share

        # Linear between rewards, so the best level is one of them; and as it is the best, its own
        # moving counts nothing in the gradient.
        return at(values[jnp.argmax(jax.vmap(at)(values))])

    @property
    def concave(self) -> bool:
        return False

    def bound(self, states: int, actions: int) -> float | None:
        least, most, _ = _span(self.reward)
        return _largest((most - least) / self.share)

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        shape = _shape("reward", self.reward, (*lead, states, actions))
        good = bool(np.all((np.asarray(self.share) > 0) & (np.asarray(self.share) <= 1)))
        return shape + (
            [] if good else [f"share: expected above 0 and at most 1, got {self.share}"]
        )


class Fair(AbstractUtility):
    r"""$\phi(J)$ of an agent's mean reward $J = \langle r, \lambda \rangle \ge 0$, with $\phi(x) =
    \log (x + \delta)$ or $(x + \delta)^{1 - a} / (1 - a)$: the mean over agents is fair, up to the
    least of them as the `aversion` $a$ grows, and needs no word between agents."""

    reward: Table = eqx.field(converter=_numbers)
    aversion: float = eqx.field(default=1.0, static=True)
    delta: float | Array = 1e-2

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        mean = jnp.sum(self.reward * occupancy) + self.delta
        if self.aversion == 1:
            return jnp.log(mean)
        return mean ** (1 - self.aversion) / (1 - self.aversion)

    @property
    def concave(self) -> bool:
        return True

    def bound(self, states: int, actions: int) -> float | None:
        least, most, _ = _span(self.reward)
        return _largest(most * (least + self.delta) ** -self.aversion)

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        found = _shape("reward", self.reward, (*lead, states, actions))
        if np.min(self.reward) < 0:
            found.append(f"reward: expected nothing below 0, got {np.min(self.reward)}")
        if not self.aversion >= 0:
            found.append(f"aversion: expected at least 0, got {self.aversion}")
        return found + _positive("delta", self.delta)


class Determinism(AbstractUtility):
    r"""$\tfrac12 \sum_a w_a \alpha(a)^2$: keep to one of the actions that count. Not concave."""

    weight: Float[Array, "*n A"] = eqx.field(converter=_numbers)
    """1 for actions that count, 0 for others, such as doing nothing."""

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        return 0.5 * jnp.sum(self.weight * jnp.sum(occupancy, axis=0) ** 2)

    @property
    def concave(self) -> bool:
        return False

    def bound(self, states: int, actions: int) -> float | None:
        return _largest(np.abs(self.weight))

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        return _shape("weight", self.weight, (*lead, actions))


class Weighted(AbstractUtility):
    """A sum of utilities with weights."""

    parts: tuple[AbstractUtility, ...]
    weights: tuple[float, ...] = eqx.field(static=True)

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        return sum(
            (w * part(occupancy) for w, part in zip(self.weights, self.parts, strict=True)),
            start=jnp.zeros((), occupancy.dtype),
        )

    @property
    def concave(self) -> bool:
        pairs = zip(self.weights, self.parts, strict=True)
        return all((w >= 0 and p.concave) or isinstance(p, Linear) for w, p in pairs)

    def bound(self, states: int, actions: int) -> float | None:
        bounds = [part.bound(states, actions) for part in self.parts]
        known = [abs(w) * b for w, b in zip(self.weights, bounds, strict=True) if b is not None]
        return sum(known) if len(known) == len(bounds) else None

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        if len(self.parts) != len(self.weights):
            return [f"weights: expected {len(self.parts)}, got {len(self.weights)}"]
        return [s for part in self.parts for s in part.problems(states, actions, lead)]


class Own(AbstractUtility):
    """A function of your own of the occupancy [S, A], differentiable by JAX."""

    function: Callable[[Array], Scalar] = eqx.field(static=True)
    is_concave: bool = eqx.field(default=False, static=True)
    limit: float | None = eqx.field(default=None, static=True)
    """A bound on the gradient, where you know one."""

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        return self.function(occupancy)

    @property
    def concave(self) -> bool:
        return self.is_concave

    def bound(self, states: int, actions: int) -> float | None:
        return self.limit

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        return _not_smooth(self.function, states, actions)


class Features(AbstractUtility):
    r"""$f(\mu)$ of mean features $\mu = \mathbb{E}_\lambda \phi(s, a)$; its shadow reward is
    $\langle \nabla f(\mu), \phi(s, a) \rangle$. Where states are too many to count or are numbers,
    `shadow_weights` at an estimate of $\mu$ takes the place of the gradient."""

    features: Float[Array, "*n S A M"] = eqx.field(converter=_numbers)
    function: Callable[[Array], Scalar] = eqx.field(static=True)
    is_concave: bool = eqx.field(default=False, static=True)

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        return self.function(jnp.einsum("sam,sa->m", self.features, occupancy))

    @property
    def concave(self) -> bool:
        return self.is_concave

    def bound(self, states: int, actions: int) -> float | None:
        return None

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        shape = (*lead, states, actions, self.features.shape[-1])
        found = _shape("features", self.features, shape)
        one = self.features.reshape(-1, states, actions, shape[-1])[0] if not found else None
        return found or _not_smooth(
            lambda x: self.function(jnp.einsum("sam,sa->m", one, x)), states, actions
        )


class Unnormalised(AbstractUtility):
    r"""A utility of the occupancy whose mass is $1 / (1 - \gamma)$: $f(\Lambda) = g((1 - \gamma)
    \Lambda)$, whose gradient is $(1 - \gamma) \nabla g$."""

    utility: AbstractUtility
    discount: float = eqx.field(static=True)

    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""
        return self.utility((1 - self.discount) * occupancy)

    @property
    def concave(self) -> bool:
        return self.utility.concave

    def bound(self, states: int, actions: int) -> float | None:
        bound = self.utility.bound(states, actions)
        return None if bound is None else (1 - self.discount) * bound

    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        found = self.utility.problems(states, actions, lead)
        if not 0 <= self.discount < 1:
            found.append(f"discount: expected from 0 to below 1, got {self.discount}")
        return found


def shadow_weights(
    function: Callable[[Array], Scalar], mean: Float[Array, " M"]
) -> Float[Array, " M"]:
    r"""$\nabla f(\mu)$: what the reward of a tick gives for each of its features."""
    return jax.grad(function)(mean)


def action_cost(cost: Sequence[float], states: int) -> Float[Array, "S A"]:
    """A table that charges actions alike in all states."""
    return jnp.broadcast_to(_numbers(cost)[None], (states, len(cost)))


def dwelling(which: Sequence[int], states: int, actions: int) -> Float[Array, "S A"]:
    """A table whose mean is the share of time in certain states."""
    return jnp.zeros((states, actions)).at[jnp.asarray(which)].set(1.0)


def switching(states: int) -> Float[Array, "S A"]:
    """A table whose mean is the share of ticks at which the action is not the one that the state
    stands for, where a state is the last action."""
    return 1 - jnp.eye(states)


class Part(eqx.Module):
    """Agents that want the same kind of thing."""

    name: str = eqx.field(static=True)
    utility: AbstractUtility
    who: Int[Array, " P"] = eqx.field(converter=jnp.asarray)
    each: bool = eqx.field(default=False, static=True)
    """Whether the utility's arrays have a leading axis, one row for each of these agents."""

    def over(self, ask: Callable, occupancy: Float[Array, "N S A"]) -> Array:
        """`ask(utility, occupancy)` of each of them."""
        # Numbers that all of them share have no axis, also where they are arguments of a program.
        rows = lambda leaf: 0 if eqx.is_array(leaf) and leaf.ndim else None  # noqa: E731
        axes = rows if self.each else None
        return eqx.filter_vmap(ask, in_axes=(axes, 0))(self.utility, occupancy[self.who])


class Mean(AbstractObjective):
    r"""$F = \tfrac1N \sum_i f_i(\lambda_i)$; Ying et al. (2023)."""

    parts: tuple[Part, ...]

    @property
    def groups(self) -> Mapping[str, Int[np.ndarray, " _"]]:
        return {part.name: np.asarray(part.who) for part in self.parts}

    @property
    def concave(self) -> bool:
        return all(part.utility.concave for part in self.parts)

    def local(self, occupancy: Float[Array, "N S A"]) -> Float[Array, " N"]:
        return self._gathered(lambda utility, x: utility(x), occupancy)

    def value(self, occupancy: Float[Array, "N S A"]) -> Scalar:
        return jnp.mean(self.local(occupancy))

    def shadow(self, occupancy: Float[Array, "N S A"]) -> Float[Array, "N S A"]:
        return self._gathered(lambda utility, x: utility.gradient(x), occupancy)

    def check(self, agents: int, states: int, actions: int) -> None:
        known = np.sort(np.concatenate([np.asarray(part.who) for part in self.parts]))
        if not np.array_equal(known, np.arange(agents)):
            raise UserError(
                f"objective: expected each of {agents} agents in exactly one part; the parts name "
                f"{len(known)}, {len(np.unique(known))} of them different."
            )
        problems = []
        for part in self.parts:
            lead = (len(part.who),) if part.each else ()
            found = part.utility.problems(states, actions, lead)
            kind = type(part.utility).__name__
            problems += [f"objective {part.name!r} ({kind}): {said}." for said in found]
        if problems:
            raise UserError(*problems)

    def _gathered(self, ask: Callable, occupancy: Float[Array, "N S A"]) -> Array:
        order = jnp.argsort(jnp.concatenate([part.who for part in self.parts]))
        return jnp.concatenate([part.over(ask, occupancy) for part in self.parts])[order]


class Worst(AbstractObjective):
    r"""$-\tfrac1\beta \log \tfrac1N \sum_i e^{-\beta J_i}$ with $J_i = \langle r_i, \lambda_i
    \rangle$: the least of the agents' mean rewards, up to $\log(N) / \beta$. Takes one number from
    all agents."""

    reward: Float[Array, "N S A"] = eqx.field(converter=_numbers)
    sharpness: float = 10.0

    @property
    def groups(self) -> Mapping[str, Int[np.ndarray, " _"]]:
        return {"worst": np.arange(len(self.reward))}

    @property
    def concave(self) -> bool:
        return True

    def local(self, occupancy: Float[Array, "N S A"]) -> Float[Array, " N"]:
        return jnp.sum(self.reward * occupancy, axis=(1, 2))

    def value(self, occupancy: Float[Array, "N S A"]) -> Scalar:
        away = jax.nn.logsumexp(-self.sharpness * self.local(occupancy))
        return -(away - math.log(len(self.reward))) / self.sharpness

    def shadow(self, occupancy: Float[Array, "N S A"]) -> Float[Array, "N S A"]:
        weight = jax.nn.softmax(-self.sharpness * self.local(occupancy))
        return len(self.reward) * weight[:, None, None] * self.reward

    def check(self, agents: int, states: int, actions: int) -> None:
        found = _shape("reward", self.reward, (agents, states, actions))
        found += _positive("sharpness", self.sharpness)
        if found:
            raise UserError(*(f"objective 'worst': {said}." for said in found))


def everybody(utility: AbstractUtility, agents: int, *, each: bool = False) -> Mean:
    """The mean of one utility over all agents; with `each`, its arrays have a row per agent."""
    name = type(utility).__name__
    return Mean(parts=(Part(name=name, utility=utility, who=jnp.arange(agents), each=each),))


def dealt(agents: int, utilities: Mapping[str, AbstractUtility]) -> Mean:
    """The mean of several utilities that agents have in turn: the first, the second, ..., the
    first."""
    count = len(utilities)
    who = [jnp.arange(agents)[i::count] for i in range(count)]
    pairs = zip(utilities.items(), who, strict=True)
    return Mean(parts=tuple(Part(name=name, utility=f, who=w) for (name, f), w in pairs if len(w)))


def _states(occupancy: Float[Array, "S A"]) -> Float[Array, " S"]:
    return jnp.sum(occupancy, axis=1)


def _largest(x: Any) -> float:
    return float(np.max(x))


def _span(table: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least, most and largest size of each agent's table."""
    flat = np.asarray(table).reshape(*np.shape(table)[:-2], -1)
    found = flat.min(axis=-1), flat.max(axis=-1), np.abs(flat).max(axis=-1)
    return tuple(np.asarray(x) for x in found)  # type: ignore[return-value]


def _beside(value: Any, table: Any) -> np.ndarray:
    """A number, or one per agent, with the axes of what is a table per agent."""
    value = np.asarray(value, np.float64)
    return (
        value.reshape(value.shape + (1,) * (np.ndim(table) - value.ndim)) if value.ndim else value
    )


def _log_bound(low: Any, high: Any) -> float:
    """Of -log(x) - 1 for x from low to high."""
    return max(_largest(np.abs(np.log(np.asarray(x, np.float64)) + 1)) for x in (low, high))


def _positive(name: str, value: Any) -> list[str]:
    good = bool(np.all(np.asarray(value) > 0))
    return [] if good else [f"{name}: expected above 0, got {np.min(value)}"]


def _shape(name: str, value: Any, shape: tuple[int, ...]) -> list[str]:
    if np.shape(value) != shape:
        return [f"{name}: expected shape {shape}, got {np.shape(value)}"]
    if not np.isfinite(value).all():
        return [f"{name}: expected finite numbers"]
    return []


def _law(name: str, value: Any, shape: tuple[int, ...]) -> list[str]:
    wrong = _shape(name, value, shape)
    if wrong:
        return wrong
    if np.min(value) < 0:
        return [f"{name}: expected nothing below 0, got {np.min(value):.6g}"]
    total = np.asarray(value, np.float64).sum(axis=-1).reshape(-1)
    off = total[np.argmax(np.abs(total - 1))]
    return [] if abs(off - 1) < 1e-4 else [f"{name}: expected a sum of 1, got {off:.6g}"]


def _not_smooth(function: Callable[[Array], Any], states: int, actions: int) -> list[str]:
    """Whether a user's function gives one number, and whether JAX's gradient is its slope."""
    shape = (states, actions)
    try:
        given = jax.eval_shape(function, jax.ShapeDtypeStruct(shape, jnp.float32))
        if not isinstance(given, jax.ShapeDtypeStruct) or given.shape != ():
            shown = given.shape if isinstance(given, jax.ShapeDtypeStruct) else type(given).__name__
            return [f"expected one number of an occupancy of shape {shape}, got {shown}"]
        if not jnp.issubdtype(given.dtype, jnp.floating):
            return [f"expected a real number, got {given.dtype}; it has no gradient"]
        return _wrong_slope(function, shape)
    except (TypeError, ValueError, jax.errors.JAXTypeError) as error:
        first = str(error).strip().split("\n")[0]
        return [f"JAX cannot differentiate it at an occupancy of shape {shape} ({first})"]


def _wrong_slope(function: Callable[[Array], Any], shape: tuple[int, ...]) -> list[str]:
    """Compare with central differences, in double precision, at a few occupancies."""
    rng = np.random.default_rng(0)
    width = 1e-5
    with jax.enable_x64(True):
        for _ in range(4):
            at = rng.dirichlet(np.ones(math.prod(shape))).reshape(shape)
            way = rng.normal(size=shape)
            slope = np.asarray(jax.grad(function)(jnp.asarray(at)))
            if not np.isfinite(slope).all():
                return ["its gradient is not finite at an occupancy that is positive everywhere"]
            ends = [float(function(jnp.asarray(at + s * width * way))) for s in (1, -1)]
            steep = (ends[0] - ends[1]) / (2 * width)
            said = float(np.sum(slope * way))
            if not abs(steep - said) <= 1e-3 * (1 + abs(steep)):
                return [
                    f"its gradient is not its slope ({said:.4g} where differences give "
                    f"{steep:.4g}); something in it is rounded, counted or held still"
                ]
    return []
