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
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.core.types import Action, Key, Observation, PyTree, Rollout, Scalar, Signal
from descant.core.utility import AbstractObjective

Probe = Callable[[PyTree, Action, Key], Float[Array, " N"]]
"""`(state, action, key) -> [N]`: a quantity per agent, measured while stepping; the key is the one
that the step is made with."""


class AbstractLuck(eqx.Module):
    """A probe that looks at nothing but the key of the step, so that it may be drawn for many ticks
    at once."""

    def __call__(self, state: PyTree, action: Action, key: Key) -> Float[Array, " N"]:
        """What is drawn, whatever goes on."""
        return self.draw(key)

    @abc.abstractmethod
    def draw(self, key: Key) -> Float[Array, " N"]:
        """A quantity per agent."""


Schedule = Callable[[Scalar], Scalar]
"""A number as a function of progress, which runs from 0 at the first update to 1."""


class Assessment(NamedTuple):
    """What a policy thinks of a joint action, for all agents or some of them (P)."""

    log_prob: Float[Array, " P"]
    entropy: Float[Array, " P"]
    probabilities: Float[Array, "P A"]
    """Of every choice; of no use where actions are continuous."""
    acts: Bool[Array, " P"]
    """Whether the agent acts this tick."""
    who: Int[Array, " P"]
    """Which agents the rows are about; the same for all ticks of a batch."""
    known: Int[Array, " P"]
    """Where agents choose in order: the first one whose choice this one does not know; the same for
    all ticks of a batch."""
    aim: Float[Array, "P A"] | None = None
    """Where actions are continuous: the point that an agent goes for."""
    charge: Float[Array, "P A"] | None = None
    """What the analytic model charges for each choice, where agents asked it as they chose."""


OVER_TICKS = Assessment(0, 0, 0, 0, None, None, 0, 0)  # type: ignore[arg-type]
"""Axes of the assessments of a batch of ticks: `jax.vmap(policy.assess, (0, 0, None), OVER_TICKS)`.
"""


def each_tick(said: Assessment, change: Callable[[Array], Array]) -> Assessment:
    """A change of what differs from tick to tick, such as of its leading axes."""
    pairs = zip(said, OVER_TICKS, strict=True)
    return Assessment._make(x if axis is None else jax.tree.map(change, x) for x, axis in pairs)


class Parts(NamedTuple):
    r"""What each decision adds to an objective, by source and before any weight: an actor climbs
    $(1 - \alpha)\,$`learning`$\, - \alpha\,$`guidance`; Yang & Liu (2026), eq. 8.

    Its derivatives, at the policy that collected, are the decision's parts of the gradient.
    """

    learning: Float[Array, "T E N"]
    """From the return: log-probability times advantage."""
    guidance: Float[Array, "T E N"]
    """From the analytic model; zero without one."""


class AbstractPolicy(eqx.Module):
    """A joint policy: how the agents of one tick choose.

    Where agents remember, all but `informed`, `listen` and `follow` want an observation that has
    been listened to.
    """

    def informed(self, state: PyTree, observation: Observation) -> Observation:
        """The observation with all that this policy asks of a state; as a rule it is complete."""
        return observation

    def begin(self) -> PyTree:
        """What agents remember before an episode's first tick; None for those that do not."""
        return None

    def listen(self, observation: Observation) -> Observation:
        """Take a tick in: what is remembered before it becomes what is remembered now, which all
        other methods read."""
        return observation

    def follow(self, observation: Observation, fresh: Bool[Array, " L"]) -> Observation:
        """Take in ticks that follow one another, [L, ...]; at `fresh` ones by the memory that is
        written there, the first one's among them, at others by that of the tick before."""
        return observation

    @abc.abstractmethod
    def sample(self, observation: Observation, key: Key) -> tuple[Action, Float[Array, " N"]]:
        """Actions drawn from the policy, and their log-probabilities."""

    @abc.abstractmethod
    def draw(
        self, observation: Observation, level: Float[Array, " N"]
    ) -> tuple[Action, Float[Array, " N"]]:
        """The actions that chance picks at given levels in [0, 1), one for each agent, and their
        log-probabilities: at independent uniform levels, a sample."""

    @abc.abstractmethod
    def best(self, observation: Observation) -> Action:
        """Every agent's most likely action."""

    @abc.abstractmethod
    def act(self, observation: Observation, key: Key) -> Action:
        """Actions as the policy is meant to be used once trained."""

    def by_state(self) -> Float[Array, "N S A"] | None:
        """Chances of each agent's actions by its own state on a network, where the policy reads
        nothing else; None where it may."""
        return None

    @abc.abstractmethod
    def assess(
        self,
        observation: Observation,
        action: Action,
        some: Int[Array, " P"] | None = None,
    ) -> Assessment:
        """Log-probabilities, entropies and all probabilities at a joint action; of `some` agents,
        in ascending order, or of all."""


class AbstractCredit(eqx.Module):
    """A link on the way from a rollout to a learning signal."""

    @property
    def probes(self) -> Mapping[str, Probe]:
        """What the collector must measure for this link, by name."""
        return {}

    def init(self, key: Key) -> PyTree:
        """Running statistics, or what is learnt, before the first update."""
        return ()

    @abc.abstractmethod
    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        """Rewrite the signal; statistics go through."""

    def split(
        self, signal: Signal, rollout: Rollout, state: PyTree
    ) -> tuple[Signal, Float[Array, "T E N"]]:
        """The signal before guidance comes into it, and the guidance of each action taken."""
        signal, _ = self(signal, rollout, jnp.float32(0), state)
        return signal, jnp.zeros_like(rollout.log_prob)

    def frozen(self, signal: Signal, rollout: Rollout, state: PyTree) -> "AbstractCredit":
        """The link with the statistics of this batch instead of any batch's own."""
        return self


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
    def guidance(self, said: Assessment, batch: Rollout) -> Float[Array, "B N"]:
        """What the loss terms charge each decision, before their weight.

        Raises:
            UserError: a term cannot tell one decision from another.
        """

    @abc.abstractmethod
    def frozen(self, actor: AbstractPolicy, rollout: Rollout) -> "AbstractAscent":
        """The same with the statistics of this batch instead of any batch's own."""

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

    @property
    def radii(self) -> Mapping[str, int]:
        """Hops up to which agents hear of others, by what for (`policy`, `critic`, `credit`), where
        it has such limits."""
        return {}

    @property
    def aims(self) -> tuple[AbstractObjective | None, AbstractObjective | None]:
        """What it climbs instead of the reward, and what every agent is to have at least 0 of; None
        where there is none."""
        return None, None

    @abc.abstractmethod
    def init(self, key: Key) -> PyTree:
        """A learner before training."""

    @abc.abstractmethod
    def policy(self, learner: PyTree) -> AbstractPolicy:
        """The joint policy of a learner."""

    def begin(self, learner: PyTree) -> PyTree:
        """What actor and critic remember before an episode's first tick; None if nothing."""
        return self.policy(learner).begin()

    def listen(self, learner: PyTree, observation: Observation) -> Observation:
        """Take a tick in, as actor and as critic."""
        return self.policy(learner).listen(observation)

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

    @abc.abstractmethod
    def frozen(self, learner: PyTree, rollout: Rollout) -> "AbstractAlgorithm":
        """The same, normalising with the statistics of this rollout from now on: no decision then
        changes what another one's signal is measured in."""

    @abc.abstractmethod
    def parts(self, learner: PyTree, said: Assessment, rollout: Rollout) -> Parts:
        """What each decision of a rollout adds to the objective of the actor, by source; a function
        of what a policy says of all agents at all ticks, [T, E, ...], to be differentiated by
        it."""
