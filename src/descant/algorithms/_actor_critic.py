"""What the policy-gradient algorithms have in common: an actor, a critic, and the way between
them."""

import abc
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from descant.ascent.together import adam, chunks, flatten, followed, fresh, minibatches
from descant.ascent.weigher import Weigher
from descant.core.algorithm import (
    AbstractAlgorithm,
    AbstractAscent,
    AbstractCredit,
    AbstractPolicy,
    Assessment,
    Parts,
    Probe,
    Schedule,
    Term,
    each_tick,
)
from descant.core.model import AbstractModel, Advisor
from descant.core.types import Key, Observation, PyTree, Rollout, Scalar, Signal
from descant.credit.schedules import Given
from descant.nets.recurrent import Listener
from descant.ops import moments
from descant.ops.guidance import aligned_share
from descant.ops.losses import huber

Critic = Callable[[Observation, Float[Array, " D"]], Float[Array, ""]] | Listener

ALIGNMENT_TICKS = 256
"""Ticks of a rollout at which the model is asked whether it points the way of the reward."""


class Learner(eqx.Module):
    """Everything that learning changes."""

    actor: AbstractPolicy
    critic: Critic
    actor_state: PyTree
    critic_state: PyTree
    credit: PyTree
    values: moments.Moments
    """Running moments of the critic's targets."""
    evidence: PyTree = ()
    """What the weigher knows of the gradients."""
    actions: PyTree = ()
    """What the critic of actions has learnt."""


class Fit(eqx.Module):
    """How the critic follows its targets."""

    epochs: int = eqx.field(static=True)
    minibatch: int = eqx.field(static=True)
    minibatches: int = eqx.field(static=True)
    norm: float = eqx.field(static=True)
    delta: float = eqx.field(static=True)
    """Where the Huber loss turns linear, in deviations of the targets."""
    momentum: float | None = eqx.field(static=True)
    """Of the targets' moments; None leaves targets in units of reward."""
    rate: Schedule
    chunk: int = eqx.field(static=True, default=1)
    """Ticks in a row through which a critic that remembers is followed; 0 for a rollout's."""


class AbstractActionCritic(eqx.Module):
    """What judges actions, beside the critic that judges ticks."""

    @abc.abstractmethod
    def init(self, key: Key) -> PyTree:
        """Before training."""

    @abc.abstractmethod
    def fit(
        self, state: PyTree, actor: AbstractPolicy, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[PyTree, dict[str, Scalar]]:
        """Learn from a rollout, before the actor does."""

    def read(
        self, state: PyTree, actor: AbstractPolicy, rollout: Rollout, key: Key
    ) -> Mapping[str, Float[Array, "T E N *_"]]:
        """What credit links and loss terms want to know of a rollout; it goes among its probes."""
        return {}

    def term(self, state: PyTree, unit: Scalar | float) -> Term | None:
        """What it adds to the actor's loss, where an advantage of one is `unit` of reward."""
        return None


class ActorCritic(AbstractAlgorithm):
    """Collect, turn rewards into credit, move the actor, fit the critic."""

    make_actor: Callable[[Key], AbstractPolicy] = eqx.field(static=True)
    make_critic: Callable[[Key], Critic] = eqx.field(static=True)
    view: Literal["world", "local"] = eqx.field(static=True)
    """Whether the critic looks at the tick as a whole, once, or with each agent's own eyes."""
    credit: AbstractCredit
    ascent: AbstractAscent
    fit: Fit
    model: AbstractModel | None = None
    """Whose context rollouts keep."""
    weigher: Weigher | None = None
    """Sets the guidance weight of each update; None takes credit and ascent as they are."""
    advisor: Advisor | None = eqx.field(static=True, default=None)
    """The model that the actor's agents ask as they choose, if they do."""
    actions: AbstractActionCritic | None = None

    @property
    def probes(self) -> Mapping[str, Probe]:
        """What the credit chain reads."""
        return self.credit.probes

    def init(self, key: Key) -> Learner:
        actor_key, critic_key = jax.random.split(key)
        actor, critic = self.make_actor(actor_key), self.make_critic(critic_key)
        return Learner(
            actor=actor,
            critic=critic,
            actor_state=self.ascent.init(actor),
            critic_state=adam(self.fit.norm).init(critic),
            credit=self.credit.init(),
            values=moments.start(),
            evidence=() if self.weigher is None else self.weigher.init(),
            actions=() if self.actions is None else self.actions.init(jax.random.fold_in(key, 2)),
        )

    def policy(self, learner: Learner) -> AbstractPolicy:
        # Of a learner from a cluster of another size, the model of this one is asked.
        advisor = self.advisor
        return learner.actor if advisor is None else replace(learner.actor, advisor=advisor)

    def begin(self, learner: Learner) -> PyTree:
        actor, critic = self.policy(learner).begin(), learner.critic
        return actor if not isinstance(critic, Listener) else (actor or {}) | critic.ear.begin()

    def listen(self, learner: Learner, observation: Observation) -> Observation:
        heard, critic = self.policy(learner).listen(observation), learner.critic
        return heard if not isinstance(critic, Listener) else critic.ear.listen(heard)

    def context(self, state: PyTree) -> PyTree:
        if self.model is None or self.advisor is not None:
            return ()
        return self.model.context(state)

    def value(self, learner: Learner, observation: Observation) -> Float[Array, " V"]:
        mean, deviation = self._scale(learner.values)
        return mean + deviation * self._judge(learner.critic, observation)

    def update(
        self, learner: Learner, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[Learner, dict[str, Scalar]]:
        actor_key, critic_key = jax.random.split(key)
        rollout = self._advised(rollout)
        actions, rollout, told = self._asked(learner, rollout, progress, key)
        link, ascent, evidence, said = self._weighed(learner, rollout, progress, key)
        signal, credit = link(_unjudged(rollout), rollout, progress, learner.credit)
        term = None if self.actions is None else self.actions.term(actions, signal.unit)
        ascent = ascent if term is None else ascent.with_term(term)
        actor, actor_state, metrics = ascent(
            learner.actor, learner.actor_state, rollout, signal.advantage, progress, actor_key
        )
        values = self._follow(learner.values, signal.target)
        critic, critic_state, more = self._fit_critic(
            learner.critic,
            learner.critic_state,
            rollout,
            signal.target,
            values,
            progress,
            critic_key,
        )
        learner = Learner(
            actor=actor,
            critic=critic,
            actor_state=actor_state,
            critic_state=critic_state,
            credit=credit,
            values=values,
            evidence=evidence,
            actions=actions,
        )
        return learner, metrics | more | said | told

    def _asked(
        self, learner: Learner, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[PyTree, Rollout, dict[str, Scalar]]:
        """The critic of actions once it has learnt, and the rollout with what it says of it."""
        if self.actions is None:
            return learner.actions, rollout, {}
        fit_key, read_key = jax.random.split(jax.random.fold_in(key, 3))
        given = learner.actor, rollout
        state, told = self.actions.fit(learner.actions, *given, progress, fit_key)
        read = self.actions.read(state, *given, read_key)
        return state, replace(rollout, probes={**rollout.probes, **read}), told

    def _weighed(
        self, learner: Learner, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[AbstractCredit, AbstractAscent, PyTree, dict[str, Scalar]]:
        """Credit and ascent of this update, and what there is to say of the model's part in it."""
        said = {}
        if self.model is not None:
            said = aligned_share(self.model, flatten(rollout), ALIGNMENT_TICKS)
        if self.weigher is None:
            return self.credit, self.ascent, learner.evidence, said
        signal, slope = self.credit.split(_unjudged(rollout), rollout, learner.credit)
        weight, evidence, more = self.weigher(
            learner.actor,
            self.ascent,
            rollout,
            signal.advantage,
            slope,
            learner.evidence,
            progress,
            jax.random.fold_in(key, 2),
        )
        return *self.weigher.guided(Given(level=weight)), evidence, said | more

    def _advised(self, rollout: Rollout) -> Rollout:
        """The rollout with the model's context, which agents that ask the model observe anyway."""
        if self.advisor is None:
            return rollout
        return replace(rollout, context=rollout.observation.advice.context)

    def frozen(self, learner: Learner, rollout: Rollout) -> "ActorCritic":
        rollout = self._advised(rollout)
        return replace(
            self,
            credit=self.credit.frozen(_unjudged(rollout), rollout, learner.credit),
            ascent=self.ascent.frozen(learner.actor, rollout),
        )

    def parts(self, learner: Learner, said: Assessment, rollout: Rollout) -> Parts:
        rollout = self._advised(rollout)
        signal, slope = self.credit.split(_unjudged(rollout), rollout, learner.credit)
        by_tick = each_tick(said, flatten)
        charged = self.ascent.guidance(by_tick, flatten(rollout)).reshape(slope.shape)
        log_prob = jnp.where(said.acts, said.log_prob, 0.0)
        return Parts(learning=log_prob * signal.advantage, guidance=log_prob * slope + charged)

    def _judge(self, critic: Critic, observation: Observation) -> Float[Array, " V"]:
        """The critic's word in its own units."""
        if isinstance(critic, Listener):
            return critic(observation)
        if self.view == "local":
            return jax.vmap(critic, in_axes=(None, 0))(observation, observation.local)
        active = observation.active.astype(jnp.float32)
        # The mean own view of those who act: where one agent acts, both views are one.
        mean = active @ observation.local / jnp.maximum(jnp.sum(active), 1)
        return critic(observation, mean)[None]

    def _scale(self, values: moments.Moments) -> tuple[Scalar, Scalar]:
        if self.fit.momentum is None:
            return jnp.float32(0), jnp.float32(1)
        return moments.read(values)

    def _follow(self, values: moments.Moments, target: Float[Array, "T E V"]) -> moments.Moments:
        if self.fit.momentum is None:
            return values
        return moments.follow(values, jnp.mean(target), jnp.var(target), self.fit.momentum)

    def _fit_critic(
        self,
        critic: Critic,
        state: PyTree,
        rollout: Rollout,
        target: Float[Array, "T E V"],
        values: moments.Moments,
        progress: Scalar,
        key: Key,
    ) -> tuple[Critic, PyTree, dict[str, Scalar]]:
        fit = self.fit
        mean, deviation = self._scale(values)
        target = (target - mean) / deviation
        weight = jnp.ones_like(target)
        if self.view == "local":
            weight = rollout.observation.active.astype(jnp.float32)
        pieces = chunks((rollout, target, weight), fresh(rollout), fit.chunk)
        count, length = pieces.fresh.shape

        def loss(critic, index):
            batch = jax.tree.map(lambda x: x[index], pieces)
            ticks, target, weight = followed(_follow(critic), batch)
            said = jax.vmap(self._judge, in_axes=(None, 0))(critic, ticks.observation)
            each = huber(said - target, fit.delta) * weight
            return jnp.sum(each) / jnp.maximum(jnp.sum(weight), 1)

        def step(carry, index):
            critic, state = carry
            error, slope = jax.value_and_grad(loss)(critic, index)
            move, state = adam(fit.norm).update(slope, state)
            critic = jax.tree.map(lambda w, m: w - fit.rate(progress) * m, critic, move)
            return (critic, state), (error, optax.tree.norm(slope))

        everywhere = jnp.ones((count,), bool)
        size = -(-fit.minibatch // length)
        indices = minibatches(key, everywhere, fit.epochs, size, fit.minibatches)
        (critic, state), (error, norm) = jax.lax.scan(step, (critic, state), indices)
        said = (rollout.value - mean) / deviation
        explained = 1 - jnp.var(said - target) / jnp.maximum(jnp.var(target), 1e-12)
        metrics = {
            "critic_loss": jnp.mean(error),
            "critic_gradient_norm": jnp.mean(norm),
            "explained_variance": explained,
        }
        return critic, state, metrics


def _follow(critic: Critic) -> Callable:
    """How a critic takes in ticks that follow one another."""
    if isinstance(critic, Listener):
        return critic.ear.follow
    return lambda observation, fresh: observation


def _unjudged(rollout: Rollout) -> Signal:
    """The signal before the first link."""
    return Signal(rollout.reward, jnp.zeros_like(rollout.log_prob), rollout.value)
