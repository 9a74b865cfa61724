"""Links of a credit chain for networks, where every agent has a reward of its own: the signal of an
agent and tick is first that reward, then what follows it, then what follows nearby."""

import abc
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.algorithm import AbstractCredit
from descant.core.types import PyTree, Rollout, Scalar, Signal
from descant.ops import occupancy
from descant.ops.neighbourhood import Ring, ring_sum


class AbstractOwn(AbstractCredit):
    """A link that rewrites each agent's own signal, and measures and remembers nothing."""

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        return replace(signal, advantage=self.changed(signal.advantage, rollout)), state

    @abc.abstractmethod
    def changed(self, x: Float[Array, "T E N"], rollout: Rollout) -> Float[Array, "T E N"]:
        """The signal of each agent and tick."""


class Ahead(AbstractOwn):
    r"""What follows a tick, $\sum_{t' \ge t} \gamma^{t'} r_j(t')$, to the end of the episode."""

    discount: float = eqx.field(static=True)

    def changed(self, x: Float[Array, "T E N"], rollout: Rollout) -> Float[Array, "T E N"]:
        return occupancy.ahead(x, self.discount)


class Nearby(AbstractOwn):
    r"""$\sum_d \sum_{j : d(i, j) = d} x_j(t + \ell_d)$: agents count what follows for those around
    them, from the first tick on that their action can be felt there. Earlier rewards are noise:
    what they have to do with the action has mean zero."""

    rings: tuple[Ring, ...]
    lags: tuple[int | float, ...] = eqx.field(static=True)

    def changed(self, x: Float[Array, "T E N"], rollout: Rollout) -> Float[Array, "T E N"]:
        return ring_sum(x, self.rings, self.lags)


class AgainstOthers(AbstractOwn):
    """Less the mean of the other scenarios at the same agent and tick: a baseline that knows
    nothing of the action."""

    def changed(self, x: Float[Array, "T E N"], rollout: Rollout) -> Float[Array, "T E N"]:
        return occupancy.against_others(x)


def shadowed(
    shadow: Float[Array, "N S A"], state: Int[Array, "T E N"], action: Int[Array, "T E N"]
) -> Float[Array, "T E N"]:
    """Shadow rewards along a rollout."""
    agents, _, actions = shadow.shape
    cell = state * actions + action.astype(jnp.int32)
    return occupancy.at_cells(shadow.reshape(agents, -1), cell)
