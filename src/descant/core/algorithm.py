"""What an algorithm is: who sees what, who shares weights, what each agent learns from, how it
moves.

*Credit* turns a rollout into one number per agent and tick, as a chain of links; *ascent* moves the
actors on it, with extra loss terms where an algorithm has them. A new algorithm replaces the cell
in which it differs.
"""

import abc
from collections.abc import Callable, Mapping
from typing import NamedTuple

import equinox as eqx
from jaxtyping import Array, Float, Int

from descant.core.types import Key, Observation, PyTree, Rollout, Scalar, Signal

Probe = Callable[[PyTree, Int[Array, " N"]], Float[Array, " N"]]
"""`(state, action) -> [N]`: a quantity per agent, measured while stepping."""

Schedule = Callable[[Scalar], Scalar]
"""A number as a function of progress, which runs from 0 at the first update to 1."""


class Assessment(NamedTuple):
    """What a policy thinks of a joint action, agent by agent."""

    log_prob: Float[Array, " N"]
    entropy: Float[Array, " N"]
    probabilities: Float[Array, "N A"]


class AbstractPolicy(eqx.Module):
    """A joint policy: how the agents of one tick choose."""

    @abc.abstractmethod
    def sample(
        self, observation: Observation, key: Key
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        """Actions drawn from the policy, and their log-probabilities."""

    @abc.abstractmethod
    def best(self, observation: Observation) -> Int[Array, " N"]:
        """Every agent's most likely action."""

    @abc.abstractmethod
    def act(self, observation: Observation, key: Key) -> Int[Array, " N"]:
        """Actions as the policy is meant to be used once trained."""

    @abc.abstractmethod
    def assess(self, observation: Observation, action: Int[Array, " N"]) -> Assessment:
        """Log-probabilities, entropies and all probabilities at a joint action."""


class AbstractCredit(eqx.Module):
    """A link on the way from a rollout to a learning signal."""

    @property
    @abc.abstractmethod
    def probes(self) -> Mapping[str, Probe]:
        """What the collector must measure for this link, by name."""

    @abc.abstractmethod
    def init(self) -> PyTree:
        """Running statistics before the first update."""

    @abc.abstractmethod
    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        """Rewrite the signal; statistics go through."""


Term = Callable[[Assessment, Rollout, Scalar], tuple[Scalar, dict[str, Scalar]]]
"""An extra loss beside the clipped surrogate: `(assessment [B, ...], minibatch [B, ...], progress)`
to a number and what to record of it."""


class AbstractAscent(eqx.Module):
    """How the learners move on a signal."""

    @abc.abstractmethod
    def init(self, actor: AbstractPolicy) -> PyTree:
        """Optimiser state."""

    @abc.abstractmethod
    def with_term(self, term: Term) -> "AbstractAscent":
        """The same with one more loss term."""

    @abc.abstractmethod
    def __call__(
        self,
        actor: AbstractPolicy,
        state: PyTree,
        rollout: Rollout,
        advantage: Float[Array, "T E N"],
        progress: Scalar,
        key: Key,
    ) -> tuple[AbstractPolicy, PyTree, dict[str, Scalar]]:
        """Move the actor; metrics say how."""


class AbstractAlgorithm(eqx.Module):
    """A way to learn a joint policy from rollouts. All of it is pure."""

    @property
    @abc.abstractmethod
    def probes(self) -> Mapping[str, Probe]:
        """What the collector must measure, by name."""

    @abc.abstractmethod
    def init(self, key: Key) -> PyTree:
        """A learner before training."""

    @abc.abstractmethod
    def policy(self, learner: PyTree) -> AbstractPolicy:
        """The joint policy of a learner."""

    @abc.abstractmethod
    def value(self, learner: PyTree, observation: Observation) -> Float[Array, " V"]:
        """What the critic expects from here on, in units of reward."""

    @abc.abstractmethod
    def context(self, state: PyTree) -> PyTree:
        """What to keep of an environment state for learning; `()` where nothing is needed."""

    @abc.abstractmethod
    def update(
        self, learner: PyTree, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[PyTree, dict[str, Scalar]]:
        """One iteration of learning."""
