"""What the policy-gradient algorithms have in common: an actor, a critic, and the way between
them."""

import abc
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

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
from descant.core.errors import UserError
from descant.core.model import AbstractModel, Advisor
from descant.core.types import Key, Number, Observation, PyTree, Rollout, Scalar, Signal
from descant.credit.schedules import Given
from descant.nets import recurrent
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
    norm: Number
    delta: Number
    """Where the Huber loss turns linear, in deviations of the targets."""
    momentum: Number | None
    """Of the targets' moments; None leaves targets in units of reward."""
    rate: Schedule
    chunk: int = eqx.field(static=True, default=1)
    """Ticks in a row through which a critic that remembers is followed; 0 for a rollout's."""

    def batches(self, key: Key, count: int, length: int = 1) -> Int[Array, "steps B"]:
        """Which of `count` pieces, of so many ticks each, every step learns from."""
        everywhere = jnp.ones((count,), bool)
        size = -(-self.minibatch // length)
        return minibatches(key, everywhere, self.epochs, size, self.minibatches)

    def descent(self, loss: Callable, progress: Scalar) -> Callable:
        """A step down a loss of network and indices, to be scanned over batches."""

        def step(carry, index):
            net, state = carry
            error, slope = jax.value_and_grad(loss)(net, index)
            move, state = adam(self.norm).update(slope, state)
            net = jax.tree.map(lambda w, m: w - self.rate(progress) * m, net, move)
            return (net, state), (error, optax.tree.norm(slope))

        return step

    def scale(self, values: moments.Moments) -> tuple[Scalar, Scalar]:
        """Centre and unit of targets, in units of reward."""
        if self.momentum is None:
            return jnp.float32(0), jnp.float32(1)
        return moments.read(values)

    def follow(self, values: moments.Moments, target: Float[Array, "T E V"]) -> moments.Moments:
        """Take in the targets of a rollout."""
        if self.momentum is None:
            return values
        return moments.follow(values, jnp.mean(target), jnp.var(target), self.momentum)


class AbstractActionCritic(eqx.Module):
    """What judges actions, beside the critic that judges ticks."""

    @property
    def probes(self) -> Mapping[str, Probe]:
        """What the collector must measure for it, by name."""
        return {}

    @abc.abstractmethod
    def init(self, key: Key) -> PyTree:
        """Before training."""

    def net(self, state: PyTree) -> PyTree:
        """The network that judges, which may remember."""
        return ()

    @abc.abstractmethod
    def fit(
        self, state: PyTree, actor: AbstractPolicy, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[PyTree, dict[str, Scalar]]:
        """Learn from a rollout, before the actor does."""

    def foresight(
        self,
        state: PyTree,
        actor: AbstractPolicy,
        rollout: Rollout,
        advantage: Float[Array, "T E V"],
        key: Key,
    ) -> dict[str, Scalar]:
        """What to record of how it judges a rollout that it has not learnt from yet; advantages are
        the critic of ticks', in units of reward."""
        return {}

    def read(
        self, state: PyTree, actor: AbstractPolicy, rollout: Rollout
    ) -> Mapping[str, Float[Array, "T E N *_"]]:
        """What credit links want to know of a rollout; it goes among its probes."""
        return {}

    def look(self, state: PyTree, rollout: Rollout) -> PyTree:
        """What it makes of each tick of a rollout that it has listened to, whatever is done there;
        None where that is not worth keeping."""
        return None

    def term(self, state: PyTree, signal: Signal) -> Term | None:
        """What it adds to the actor's loss, beside the advantages of a signal."""
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
        """What the credit chain and the critic of actions read."""
        own = {} if self.actions is None else self.actions.probes
        return {**self.credit.probes, **own}

    def init(self, key: Key) -> Learner:
        actor_key, critic_key = jax.random.split(key)
        actor, critic = self.make_actor(actor_key), self.make_critic(critic_key)
        return Learner(
            actor=actor,
            critic=critic,
            actor_state=self.ascent.init(actor),
            critic_state=adam(self.fit.norm).init(critic),
            credit=self.credit.init(jax.random.fold_in(key, 3)),
            values=moments.start(),
            evidence=() if self.weigher is None else self.weigher.init(),
            actions=() if self.actions is None else self.actions.init(jax.random.fold_in(key, 2)),
        )

    def policy(self, learner: Learner) -> AbstractPolicy:
        # Of a learner from a cluster of another size, the model of this one is asked.
        advisor = self.advisor
        return learner.actor if advisor is None else replace(learner.actor, advisor=advisor)

    def begin(self, learner: Learner) -> PyTree:
        actor, critics = self.policy(learner).begin(), recurrent.begin(self._critics(learner))
        return actor if critics is None else (actor or {}) | critics

    def listen(self, learner: Learner, observation: Observation) -> Observation:
        heard = self.policy(learner).listen(observation)
        return recurrent.listen(self._critics(learner), heard)

    def _critics(self, learner: Learner) -> PyTree:
        """Those that judge ticks and actions."""
        actions = () if self.actions is None else self.actions.net(learner.actions)
        return learner.critic, actions

    def context(self, state: PyTree) -> PyTree:
        if self.model is None or self.advisor is not None:
            return ()
        return self.model.context(state)

    def value(self, learner: Learner, observation: Observation) -> Float[Array, " V"]:
        mean, deviation = self.fit.scale(learner.values)
        return mean + deviation * self._judge(learner.critic, observation)

    def update(
        self, learner: Learner, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[Learner, dict[str, Scalar]]:
        actor_key, critic_key = jax.random.split(key)
        rollout = self._advised(rollout)
        unread = rollout
        now, evidence, said = self._weighed(learner, rollout, progress, key)
        actions, rollout, told = self._asked(learner, rollout, progress, key)
        signal, credit = now.credit(_unjudged(rollout), rollout, progress, learner.credit)
        told |= self._foresight(learner, unread, signal.target - unread.value, key)
        ascent = now._climbing(actions, signal)
        actor, actor_state, metrics = ascent(
            learner.actor, learner.actor_state, rollout, signal.advantage, progress, actor_key
        )
        values = self.fit.follow(learner.values, signal.target)
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
        state, told = self.actions.fit(
            learner.actions, learner.actor, rollout, progress, jax.random.fold_in(key, 3)
        )
        return state, self._read(replace(learner, actions=state), rollout), told

    def _foresight(
        self, learner: Learner, rollout: Rollout, advantage: Float[Array, "T E V"], key: Key
    ) -> dict[str, Scalar]:
        """How the critic of actions judges what it has not learnt from."""
        if self.actions is None:
            return {}
        key = jax.random.fold_in(key, 4)
        return self.actions.foresight(learner.actions, learner.actor, rollout, advantage, key)

    def _read(self, learner: Learner, rollout: Rollout) -> Rollout:
        """The rollout with what the critic of actions says of it, and remembers at its ticks."""
        if self.actions is None:
            return rollout
        read = self.actions.read(learner.actions, learner.actor, rollout)
        seen = heard(self.actions.net(learner.actions), rollout)
        rollout = replace(rollout, observation=seen, probes={**rollout.probes, **read})
        return replace(rollout, outlook=self.actions.look(learner.actions, rollout))

    def _climbing(self, actions: PyTree, signal: Signal) -> AbstractAscent:
        """The ascent, with the term of the critic of actions if that has one."""
        term = None if self.actions is None else self.actions.term(actions, signal)
        return self.ascent if term is None else self.ascent.with_term(term)

    def _weighed(
        self, learner: Learner, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple["ActorCritic", PyTree, dict[str, Scalar]]:
        """The algorithm of this update, and what there is to say of the model's part in it.

        A critic of actions is weighed before it learns from the rollout: afterwards it agrees with
        the rollout's luck, too.
        """
        said = {}
        if self.model is not None:
            said = aligned_share(self.model, flatten(rollout), ALIGNMENT_TICKS)
        if self.weigher is None:
            return self, learner.evidence, said
        rollout = self._read(learner, rollout)
        signal, slope = self.credit.split(_unjudged(rollout), rollout, learner.credit)
        # Under guidance, the model is what is weighed against everything else.
        guided = self.model is not None
        second = self.ascent if guided else self._climbing(learner.actions, signal)
        weight, evidence, more = self.weigher(
            learner.actor,
            second,
            rollout,
            signal.advantage,
            slope,
            learner.evidence,
            progress,
            jax.random.fold_in(key, 2),
        )
        return self.weigher.guided(Given(level=weight)), evidence, said | more

    def _advised(self, rollout: Rollout) -> Rollout:
        """The rollout with the model's context, which agents that ask the model observe anyway."""
        if self.advisor is None:
            return rollout
        return replace(rollout, context=rollout.observation.advice.context)

    def frozen(self, learner: Learner, rollout: Rollout) -> "ActorCritic":
        rollout = self._read(learner, self._advised(rollout))
        return replace(
            self,
            credit=self.credit.frozen(_unjudged(rollout), rollout, learner.credit),
            ascent=self.ascent.frozen(learner.actor, rollout),
        )

    def parts(self, learner: Learner, said: Assessment, rollout: Rollout) -> Parts:
        rollout = self._read(learner, self._advised(rollout))
        signal, slope = self.credit.split(_unjudged(rollout), rollout, learner.credit)
        by_tick = each_tick(said, flatten)
        ascent = self._climbing(learner.actions, signal)
        if self.model is not None and ascent is not self.ascent:
            raise UserError(
                "Return, model and critic of actions make three parts; two can be told apart, so "
                "look at MAIPG without guidance, or at DG-PG."
            )
        charged = ascent.guidance(by_tick, flatten(rollout)).reshape(slope.shape)
        log_prob = jnp.where(said.acts, said.log_prob, 0.0)
        return Parts(learning=log_prob * signal.advantage, guidance=log_prob * slope + charged)

    def _judge(self, critic: Critic, observation: Observation) -> Float[Array, " V"]:
        """The critic's word in its own units."""
        if isinstance(critic, Listener):
            return critic(observation)[:, 0]
        if self.view == "local":
            return jax.vmap(critic, in_axes=(None, 0))(observation, observation.local)
        active = observation.active.astype(jnp.float32)
        # The mean own view of those who act: where one agent acts, both views are one.
        mean = active @ observation.local / jnp.maximum(jnp.sum(active), 1)
        return critic(observation, mean)[None]

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
        mean, deviation = fit.scale(values)
        target = (target - mean) / deviation
        # Values at ticks at which an agent rests are part of targets, so they are learnt, too.
        pieces = chunks((rollout, target), fresh(rollout), fit.chunk)
        count, length = pieces.fresh.shape

        def loss(critic, index):
            batch = jax.tree.map(lambda x: x[index], pieces)
            ticks, target = followed(partial(recurrent.follow, critic), batch)
            said = jax.vmap(self._judge, in_axes=(None, 0))(critic, ticks.observation)
            return jnp.mean(huber(said - target, fit.delta))

        indices = fit.batches(key, count, length)
        step = fit.descent(loss, progress)
        (critic, state), (error, norm) = jax.lax.scan(step, (critic, state), indices)
        said = (rollout.value - mean) / deviation
        explained = 1 - jnp.var(said - target) / jnp.maximum(jnp.var(target), 1e-12)
        metrics = {
            "critic_loss": jnp.mean(error),
            "critic_gradient_norm": jnp.mean(norm),
            "explained_variance": explained,
        }
        return critic, state, metrics


def heard(net: PyTree, rollout: Rollout) -> Observation:
    """What a rollout shows to a network that has listened to all of it, from what was remembered as
    it began."""
    follow = partial(recurrent.follow, net)
    return jax.vmap(follow, in_axes=1, out_axes=1)(rollout.observation, fresh(rollout))


def _unjudged(rollout: Rollout) -> Signal:
    """The signal before the first link."""
    return Signal(rollout.reward, jnp.zeros_like(rollout.log_prob), rollout.value)
