"""What the value-based algorithms have in common: the value of a joint action, a copy of it that
lags behind, a replay of ticks, and agents that explore."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from descant.algorithms._settings import check_choices
from descant.algorithms.iql import Config
from descant.ascent.together import adam, even, flatten
from descant.core.algorithm import (
    AbstractAlgorithm,
    AbstractPolicy,
    Assessment,
    Parts,
    Probe,
    Schedule,
)
from descant.core.domain import Domain
from descant.core.errors import UserError
from descant.core.types import Action, Key, Number, Observation, PyTree, Rollout, Scalar
from descant.credit.schedules import Ramp
from descant.nets import recurrent
from descant.nets.beside import Points
from descant.nets.explore import Bounded, Exploring
from descant.nets.joint import AbstractJoint, Utilities, greedy
from descant.nets.mlp import per_agent
from descant.nets.policy import Gaussian
from descant.ops import moments
from descant.ops.losses import masked_mean, masked_moments
from descant.ops.policies import masked_log_softmax, relaxed, rows
from descant.ops.replay import Ring, draw, empty, push
from descant.ops.returns import lambda_returns
from descant.ops.targets import lag

MOMENTUM = 0.99
"""Of the moments that targets are standardised with, per gradient step."""
NEVER = 1e-9
"""The least that 1 less the discount counts as: at a discount of 1, rewards of any size may add up,
but only to their own sign."""


class Tick(eqx.Module):
    """What is kept of a tick for replay."""

    observation: Observation
    action: Action
    """Points are those of the cube that were played."""
    reward: Float[Array, "*b"]
    terminated: Bool[Array, "*b"]
    cut: Bool[Array, "*b"]
    """Whether what follows is not in the replay, and counts as it was valued when it came."""
    bootstrap: Float[Array, "*b V"]
    counts: Bool[Array, "*b"]
    """Whether to learn from it."""


class Brain(eqx.Module):
    """What is learnt."""

    joint: AbstractJoint | Points
    actor: Utilities | Bounded | None = None
    """Logits of the agents, or the points they go for; without them, agents take what has the
    highest utility."""

    @property
    def scores(self) -> Utilities:
        """What agents choose by."""
        if self.actor is not None:
            return self.actor
        assert isinstance(self.joint, AbstractJoint)  # noqa: S101  points take an actor
        return self.joint.utilities

    def policy(self, epsilon: Scalar) -> AbstractPolicy:
        """Agents that explore."""
        if isinstance(self.actor, Bounded):
            return Gaussian(net=self.actor, deviation=jnp.log(epsilon)[None, None])
        return Exploring(self.scores, epsilon, soft=self.actor is not None)

    def choice(self, observation: Observation) -> Float[Array, "N A"]:
        """Every agent's best action: one-hot rows, or points."""
        if isinstance(self.actor, Bounded):
            return self.actor(observation)
        return greedy(self.scores(observation), observation)

    def going(self, observation: Observation, noise: Float[Array, "N A"]) -> Float[Array, "N A"]:
        """What the actor goes for, differentiably; with Gumbel noise, choices are drawn."""
        if isinstance(self.actor, Bounded):
            return self.actor(observation)
        log_probabilities = masked_log_softmax(self.scores(observation), observation.mask)
        return relaxed(log_probabilities, noise, 1.0, hard=True)

    def strain(self, observation: Observation) -> Scalar:
        """How far the actor has gone to where no slope reaches it: beyond the bounds of points, or
        to chances near 0 and 1. Squares of what it says before that, their mean over each agent's
        legal actions, all agents that act together, as the value that it climbs is everybody's."""
        net = self.actor.net if isinstance(self.actor, Bounded) else self.scores
        said = net(observation)
        legal = jnp.broadcast_to(observation.mask, said.shape).astype(jnp.float32)
        each = jax.vmap(masked_mean)(said**2, legal)
        return jnp.sum(jnp.where(observation.active, each, 0.0))


class Span(NamedTuple):
    """From least to most."""

    least: Scalar
    most: Scalar


class Learner(eqx.Module):
    """Everything that learning changes."""

    brain: Brain
    target: Brain
    joint_state: PyTree
    actor_state: PyTree
    ring: Ring
    values: moments.Moments
    """Running moments of targets: values are learnt in these units."""
    paid: Span
    """What ticks have been rewarded with so far, and 0, which is all that follows an end."""
    epsilon: Scalar
    step: Int[Array, ""]

    @property
    def lagging(self) -> Brain:
        """The target, which remembers for itself."""
        return recurrent.copied(self.target)


class Fit(eqx.Module):
    """How values follow their targets."""

    updates: int = eqx.field(static=True)
    """Gradient steps in an iteration."""
    minibatch: int = eqx.field(static=True)
    """Ticks in a step."""
    span: int = eqx.field(static=True)
    """Ticks of a sequence that are learnt from; one more is looked at."""
    chunk: int | None = eqx.field(static=True)
    """Where agents remember, ticks of a rollout's chunks, which are then the sequences, at most; 0
    for all. None where they do not."""
    burn: int = eqx.field(static=True)
    """Ticks before a chunk that agents listen to beforehand."""
    discount: Number
    trace: Number
    norm: Number
    rate: Schedule
    actor_rate: Schedule
    pull: Number
    """Weight of the actor's `strain`."""
    target_rate: Number
    target_every: int = eqx.field(static=True)


class ValueBased(AbstractAlgorithm):
    """Collect, remember, and fit the value of joint actions to its own forecast."""

    name: str = eqx.field(static=True)
    make_brain: Callable[[Key], Brain] = eqx.field(static=True)
    make_ring: Callable[[], Ring] = eqx.field(static=True)
    epsilon: Schedule
    fit: Fit

    @property
    def probes(self) -> Mapping[str, Probe]:
        """Nothing but rewards is measured."""
        return {}

    def init(self, key: Key) -> Learner:
        brain, norm = self.make_brain(key), self.fit.norm
        return Learner(
            brain=brain,
            target=brain,
            joint_state=adam(norm).init(brain.joint),
            actor_state=adam(norm).init(brain.actor),
            ring=self.make_ring(),
            values=moments.start(),
            paid=Span(jnp.float32(0), jnp.float32(0)),
            epsilon=self.epsilon(jnp.float32(0)),
            step=jnp.int32(0),
        )

    def policy(self, learner: Learner) -> AbstractPolicy:
        return learner.brain.policy(learner.epsilon)

    def begin(self, learner: Learner) -> PyTree:
        return recurrent.begin((learner.brain, learner.lagging))

    def listen(self, learner: Learner, observation: Observation) -> Observation:
        return recurrent.listen((learner.brain, learner.lagging), observation)

    def context(self, state: PyTree) -> PyTree:
        return ()

    def value(self, learner: Learner, observation: Observation) -> Float[Array, " V"]:
        # Of an action that was chosen for its own error, the other network's word is taken: double
        # Q-learning, van Hasselt et al. (2016). An actor lags with the values it was made for.
        brain = learner.brain if learner.brain.actor is None else learner.lagging
        mean, deviation = moments.read(learner.values)
        said = mean + deviation * learner.lagging.joint(observation, brain.choice(observation))
        # Values are learnt in units of targets that are made of values: where the best actions look
        # better by more than such a unit, unit and values would make each other grow for ever.
        rest = jnp.maximum(1 - self.fit.discount, NEVER)
        return jnp.clip(said, learner.paid.least / rest, learner.paid.most / rest)

    def update(
        self, learner: Learner, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[Learner, dict[str, Scalar]]:
        least = jnp.minimum(learner.paid.least, jnp.min(rollout.reward))
        most = jnp.maximum(learner.paid.most, jnp.max(rollout.reward))
        ring = _remember(learner.ring, rollout)
        learner = replace(learner, ring=ring, paid=Span(least, most))
        step = partial(self._step, progress, rollout.reward.shape[0])
        learner, metrics = jax.lax.scan(step, learner, jax.random.split(key, self.fit.updates))
        epsilon = self.epsilon(progress)
        metrics = jax.tree.map(jnp.mean, metrics) | {"epsilon": epsilon}
        return replace(learner, epsilon=epsilon), metrics

    def frozen(self, learner: Learner, rollout: Rollout) -> "ValueBased":
        return self

    def parts(self, learner: Learner, said: Assessment, rollout: Rollout) -> Parts:
        raise UserError(
            f"{self.name} does not climb the chances of single decisions, so there is no such "
            "gradient to take apart; MAPPO, IPPO and DG-PG have one."
        )

    def _step(
        self, progress: Scalar, ticks: int, learner: Learner, key: Key
    ) -> tuple[Learner, dict[str, Scalar]]:
        """One gradient step on sequences from the replay, where rollouts have so many ticks."""
        fit, brain = self.fit, learner.brain
        draw_key, noise_key = jax.random.split(key)
        sequences = self._drawn(learner, ticks, draw_key)
        target = self._targets(learner, sequences)
        now = jax.tree.map(lambda x: x[:, :-1], sequences)
        counts = flatten(now.counts)[:, None].astype(jnp.float32)
        weight = jnp.broadcast_to(counts, target.shape)
        values = moments.follow(learner.values, *masked_moments(target, weight), MOMENTUM)
        mean, deviation = moments.read(values)
        given = now, (target - mean) / deviation, weight, noise_key, fit.pull
        slope, metrics = jax.grad(_loss, has_aux=True)(brain, *given)
        joint, joint_state = _moved(
            brain.joint, learner.joint_state, slope.joint, fit.rate(progress), fit.norm
        )
        actor, actor_state = _moved(
            brain.actor, learner.actor_state, slope.actor, fit.actor_rate(progress), fit.norm
        )
        brain, step = Brain(joint, actor), learner.step + 1
        learner = Learner(
            brain=brain,
            target=lag(learner.target, brain, step, fit.target_rate, fit.target_every),
            joint_state=joint_state,
            actor_state=actor_state,
            ring=learner.ring,
            values=values,
            paid=learner.paid,
            epsilon=learner.epsilon,
            step=step,
        )
        metrics |= {"gradient_norm": optax.tree.norm(slope), "expected": jnp.mean(target)}
        return learner, metrics

    def _drawn(self, learner: Learner, ticks: int, key: Key) -> Tick:
        """Sequences from the replay, with the tick that comes after each."""
        fit, ring = self.fit, learner.ring
        if fit.chunk is None:
            return draw(ring, key, -(-fit.minibatch // fit.span), fit.span + 1)
        span = even(ticks, fit.chunk)
        count = -(-fit.minibatch // span)
        sequences = draw(ring, key, count, span + 1, every=span, before=fit.burn)
        return _recalled((learner.brain, learner.lagging), sequences, fit.burn)

    def _targets(self, learner: Learner, sequences: Tick) -> Float[Array, "M V"]:
        """What the value at each tick should be, in units of reward."""
        now = jax.tree.map(lambda x: x[:, :-1], sequences)
        heard = _heard((learner.brain, learner.lagging), sequences)
        after = jax.tree.map(lambda x: x[:, 1:], heard)
        forecast = jax.vmap(jax.vmap(partial(self.value, learner)))(after)
        following = jnp.where(now.cut[..., None], now.bootstrap, forecast)
        returns = partial(lambda_returns, discount=self.fit.discount, trace=self.fit.trace)
        each = jax.vmap(returns, in_axes=(None, 1, None, None), out_axes=1)
        return flatten(jax.vmap(each)(now.reward, following, now.terminated, now.cut))


def _remember(ring: Ring, rollout: Rollout) -> Ring:
    """Put a rollout in, scenario after scenario.

    What follows its last tick is not in it, and that tick only counts if an episode ended there.
    What follows a truncation is not in it either, but was valued when it came.
    """
    steps, scenarios = rollout.reward.shape
    room = ring.ticks.reward.shape[0]
    if steps * scenarios > room:
        raise UserError(
            f"algorithm.replay: an iteration collects {steps * scenarios:,} ticks, and there is "
            f"room for {room:,}; ask for more, or for fewer train.rollouts or train.steps."
        )
    last = jnp.broadcast_to(jnp.arange(steps)[:, None] == steps - 1, (steps, scenarios))
    action = rollout.action
    if jnp.issubdtype(action.dtype, jnp.floating):
        # Noise leads out of the cube, and the domain took the nearest point.
        action = jnp.clip(action, -1.0, 1.0)
    ticks = Tick(
        observation=rollout.observation,
        action=action,
        reward=rollout.reward,
        terminated=rollout.terminated,
        cut=rollout.truncated | last,
        bootstrap=rollout.bootstrap,
        counts=rollout.terminated | rollout.truncated | ~last,
    )
    return push(ring, flatten(jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), ticks)))


def _fresh(sequences: Tick) -> Bool[Array, "B L"]:
    """Where a tick does not follow the one before it."""
    last = sequences.terminated | sequences.cut | ~sequences.counts
    return jnp.concatenate([jnp.ones_like(last[:, :1]), last[:, :-1]], axis=1)


def _heard(net: PyTree, sequences: Tick) -> Observation:
    """What sequences show to who has listened to them."""
    follow = partial(recurrent.follow, net)
    return jax.vmap(follow)(sequences.observation, _fresh(sequences))


def _recalled(net: PyTree, sequences: Tick, burn: int) -> Tick:
    """Sequences without their first ticks, once what is remembered after these is what would be
    now; Kapturowski et al. (2019), section 3."""
    if not burn:
        return sequences
    before = jax.tree.map(lambda x: x[:, :burn], sequences)
    rest = jax.tree.map(lambda x: x[:, burn:], sequences)
    fresh = _fresh(sequences)[:, burn, None, None]

    def renew(stored, heard):
        return stored.at[:, 0].set(jnp.where(fresh, stored[:, 0], heard[:, -1]))

    memory = jax.tree.map(renew, rest.observation.memory, _heard(net, before).memory)
    return replace(rest, observation=replace(rest.observation, memory=memory))


def _loss(
    brain: Brain,
    sequences: Tick,
    target: Float[Array, "M V"],
    weight: Float[Array, "M V"],
    key: Key,
    pull: Number = 0.0,
) -> tuple[Scalar, dict[str, Scalar]]:
    """Squared error of the joint value and, where there is an actor, minus the value of what it
    would do: neither part moves the other one's weights."""
    seen = flatten(_heard(brain, sequences))
    action = rows(flatten(sequences.action), seen.mask.shape[-1])
    error = jax.vmap(brain.joint)(seen, action) - target
    loss = masked_mean(0.5 * error**2, weight)
    if brain.actor is None:
        return loss, {"critic_loss": loss}
    held = jax.lax.stop_gradient(brain.joint)
    going = jax.vmap(brain.going)(seen, jax.random.gumbel(key, action.shape))
    reached = jax.vmap(held)(jax.lax.stop_gradient(seen), going)
    gain = masked_mean(reached, weight)
    cost = pull * masked_mean(jax.vmap(brain.strain)(seen), weight[:, 0])
    return loss - gain + cost, {"critic_loss": loss, "actor_value": gain}


def _moved(
    net: PyTree, state: PyTree, slope: PyTree, rate: Scalar, norm: Number
) -> tuple[PyTree, PyTree]:
    move, state = adam(norm).update(slope, state)
    return jax.tree.map(lambda w, m: w - rate * m, net, move), state


def build(
    config: Config,
    domain: Domain,
    name: str,
    make_joint: Callable[[Key, Utilities], AbstractJoint | Points],
    *,
    actor_rate: tuple[float, float] | None = None,
    pull: float = 0.0,
) -> ValueBased:
    """The algorithm with a joint value of its own, and an actor beside it where that has a rate.

    Raises:
        UserError: a value of the configuration cannot be used, or there is no actor and actions
            are no choices.
    """
    config.validate()
    spec = domain.env.spec
    if actor_rate is None:
        check_choices(domain, f"{name} compares choices one by one")
    rate = config.rate, config.rate_stop

    owners = tuple(range(spec.agents)) if config.sharing == "separate" else None
    remember = config.net == "gru"

    def net(key: Key, who: str) -> Utilities:
        if remember:
            sees = recurrent.own(spec)
            return recurrent.listener(key, sees, who, config.hidden, spec.actions, owners=owners)
        return per_agent(
            key,
            spec,
            hidden=config.hidden,
            depth=config.depth,
            embedding=config.embedding,
            owners=owners,
        )

    def brain(key: Key) -> Brain:
        net_key, mix_key, actor_key = jax.random.split(key, 3)
        if actor_rate is None:
            return Brain(make_joint(mix_key, net(net_key, "actor")))
        joint, actor = make_joint(mix_key, net(net_key, "critic")), net(actor_key, "actor")
        return Brain(joint, Bounded(actor) if spec.continuous else actor)

    def ring() -> Ring:
        return empty(
            jax.eval_shape(partial(_blank, domain, brain), jax.random.key(0)), config.replay
        )

    return ValueBased(
        name=name,
        make_brain=brain,
        make_ring=ring,
        epsilon=Ramp(start=config.epsilon, stop=config.epsilon_stop, end=config.explore),
        fit=Fit(
            updates=config.updates,
            minibatch=config.minibatch,
            span=config.span,
            chunk=config.chunk if remember else None,
            burn=config.burn,
            discount=config.discount,
            trace=config.trace,
            norm=config.norm,
            rate=Ramp(*rate),
            actor_rate=Ramp(*(actor_rate or rate)),
            pull=pull,
            target_rate=config.target_rate,
            target_every=config.target_every,
        ),
    )


def _blank(domain: Domain, make_brain: Callable[[Key], Brain], key: Key) -> Tick:
    """A tick at which nothing happens, for its shapes."""
    spec, (_, seen), brain = domain.env.spec, domain.env.reset(key), make_brain(key)
    seen = replace(seen, memory=recurrent.begin((brain, recurrent.copied(brain))))
    zero, no = jnp.float32(0), jnp.bool_(False)
    action = jnp.zeros((spec.agents, spec.actions))
    return Tick(
        observation=seen,
        action=action if spec.continuous else action[:, 0].astype(jnp.int32),
        reward=zero,
        terminated=no,
        cut=no,
        bootstrap=brain.joint(seen, action),
        counts=no,
    )
