r"""What a team on a network wants: a function of where its agents spend their time.

The **occupancy** of an agent is the law of its state and action at a tick drawn with discount,
$\lambda(s, a) = (1 - \gamma) \sum_t \gamma^t \Pr(s_t = s, a_t = a)$: it sums to one. A utility is
any function of it. Its gradient is the **shadow reward**: the reward that a policy gradient has to
take where a linear problem has its own; Zhang et al. (2020), Ying et al. (2023).
"""

import abc
from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from descant.core.types import Scalar


class AbstractUtility(eqx.Module):
    """What one agent wants of its occupancy; more is better."""

    @abc.abstractmethod
    def __call__(self, occupancy: Float[Array, "S A"]) -> Scalar:
        """Its value."""

    @property
    @abc.abstractmethod
    def concave(self) -> bool:
        """Whether it is concave, so that the mean of such utilities has no local optima in
        occupancies."""

    @abc.abstractmethod
    def bound(self, states: int, actions: int) -> float | None:
        """What no entry of the gradient exceeds in size, at any occupancy; None if not known."""

    @abc.abstractmethod
    def problems(self, states: int, actions: int, lead: tuple[int, ...] = ()) -> list[str]:
        """A sentence for each parameter that cannot be used; `lead` are leading axes of the
        parameters of many agents side by side."""

    def gradient(self, occupancy: Float[Array, "S A"]) -> Float[Array, "S A"]:
        """The shadow reward."""
        return jax.grad(self)(occupancy)


class AbstractObjective(eqx.Module):
    """What the team wants of all its occupancies; more is better."""

    @property
    @abc.abstractmethod
    def groups(self) -> Mapping[str, Int[np.ndarray, " _"]]:
        """Agents that want the same kind of thing, by name."""

    @property
    @abc.abstractmethod
    def concave(self) -> bool:
        """Whether it is concave in the occupancies together."""

    @abc.abstractmethod
    def local(self, occupancy: Float[Array, "N S A"]) -> Float[Array, " N"]:
        """What each agent has of it."""

    @abc.abstractmethod
    def value(self, occupancy: Float[Array, "N S A"]) -> Scalar:
        r"""What the team has of it: $F$."""

    @abc.abstractmethod
    def shadow(self, occupancy: Float[Array, "N S A"]) -> Float[Array, "N S A"]:
        r"""Shadow rewards, $N \nabla F$: the team's reward is their mean, as with rewards."""

    @abc.abstractmethod
    def check(self, agents: int, states: int, actions: int) -> None:
        """Check it against a network's sizes.

        Raises:
            UserError: it does not fit, or it has no gradient.
        """


class AbstractOracle(abc.ABC):
    """Exact answers about a network at one discount, computed on the host."""

    @abc.abstractmethod
    def occupancy(self, chances: Float[np.ndarray, "N S A"]) -> Float[np.ndarray, "N S A"]:
        """Where agents spend their time, given their chances by own state."""

    @abc.abstractmethod
    def bracket(self, objective: AbstractObjective) -> tuple[float, float]:
        """What some policy reaches, and what none exceeds.

        Raises:
            UserError: that is not known for this objective.
        """


def exact_value(objective: AbstractObjective, occupancy: Float[np.ndarray, "N S A"]) -> float:
    """The team's value in double precision."""
    with jax.enable_x64(True):
        return float(_value(objective, jnp.asarray(occupancy)))


def exact_local(
    objective: AbstractObjective, occupancy: Float[np.ndarray, "N S A"]
) -> Float[np.ndarray, " N"]:
    """What each agent has of it, in double precision."""
    with jax.enable_x64(True):
        return np.asarray(_local(objective, jnp.asarray(occupancy)), np.float64)


def exact_shadow(
    objective: AbstractObjective, occupancy: Float[np.ndarray, "N S A"]
) -> Float[np.ndarray, "N S A"]:
    """Shadow rewards in double precision."""
    with jax.enable_x64(True):
        return np.asarray(_shadow(objective, jnp.asarray(occupancy)), np.float64)


_value = eqx.filter_jit(lambda objective, occupancy: objective.value(occupancy))
_local = eqx.filter_jit(lambda objective, occupancy: objective.local(occupancy))
_shadow = eqx.filter_jit(lambda objective, occupancy: objective.shadow(occupancy))
