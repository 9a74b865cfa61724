"""All agents move at once: clipped surrogate plus terms, in epochs over minibatches of ticks."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

from descant.ascent.terms import AbstractByDecision
from descant.core.algorithm import (
    OVER_TICKS,
    AbstractAscent,
    AbstractPolicy,
    Assessment,
    Schedule,
    Term,
)
from descant.core.errors import UserError
from descant.core.types import Key, Number, PyTree, Rollout, Scalar
from descant.ops.devices import shared
from descant.ops.losses import clipped_surrogate, masked_mean

UNIT_TICKS = 128
"""Ticks, evenly spread over a rollout, that units to be held are taken from."""


class Together(AbstractAscent):
    """Proximal policy ascent with one optimiser for everybody; Schulman et al. (2017)."""

    epochs: int = eqx.field(static=True)
    minibatch: int = eqx.field(static=True)
    """Ticks in a minibatch; all agents of a tick come along."""
    minibatches: int = eqx.field(static=True)
    """Steps of an epoch; 0 takes as many whole minibatches as the ticks make."""
    clip: Number
    norm: Number
    """Gradients longer than this are shortened to it."""
    rate: Schedule
    entropy: Schedule
    terms: tuple[Term, ...] = ()
    trust: Number = math.inf
    """Divergence from the policy that collected, in nats per decision, from which on the actor
    rests until the next rollouts: it knows nothing of the states that a far policy leads to."""
    crowd: int = eqx.field(static=True, default=0)
    """Agents of a tick that a step looks at, evenly spread and another set each time; 0 for all."""
    chunk: int = eqx.field(static=True, default=1)
    """Ticks in a row through which agents that remember are followed; 0 for a rollout's."""

    def with_term(self, term: Term) -> "Together":
        return replace(self, terms=(*self.terms, term))

    def guidance(self, said: Assessment, batch: Rollout) -> Float[Array, "B N"]:
        charged = jnp.zeros_like(said.log_prob)
        for term in self.terms:
            charged = charged + _by_decision(term).each(said, batch)
        return charged

    def frozen(self, actor: AbstractPolicy, rollout: Rollout) -> "Together":
        if not self.terms:
            return self
        ticks = flatten(rollout)
        every = -(-ticks.action.shape[0] // UNIT_TICKS)
        ticks = jax.tree.map(lambda x: x[::every], ticks)
        # One tick after another: side by side, all agents of all ticks would not fit.
        said = jax.lax.map(
            lambda x: actor.assess(actor.listen(x[0]), x[1]), (ticks.observation, ticks.action)
        )
        said = said._replace(who=said.who[0], known=said.known[0])
        terms = tuple(_by_decision(term).frozen(said, ticks) for term in self.terms)
        return replace(self, terms=terms)

    def init(self, actor: AbstractPolicy) -> PyTree:
        return adam(self.norm).init(actor)

    def __call__(
        self,
        actor: AbstractPolicy,
        state: PyTree,
        rollout: Rollout,
        advantage: Float[Array, "T E N"],
        progress: Scalar,
        key: Key,
    ) -> tuple[AbstractPolicy, PyTree, dict[str, Scalar]]:
        return self.climb(
            actor, lambda actor: actor, state, rollout, advantage, progress, key, self.crowd
        )

    def climb(
        self,
        weights: PyTree,
        policy: Callable[[PyTree], AbstractPolicy],
        state: PyTree,
        rollout: Rollout,
        advantage: Float[Array, "T E N"],
        progress: Scalar,
        key: Key,
        who: int | Int[Array, " P"],
    ) -> tuple[PyTree, PyTree, dict[str, Scalar]]:
        """Move some weights of a policy by what certain agents learn, or so many at a time."""
        pieces = chunks((rollout, advantage), fresh(rollout), self.chunk)
        length = pieces.fresh.shape[1]
        acting = jnp.any(pieces.of[0].observation.active, axis=(1, 2))

        def loss(weights, batch, some):
            actor = policy(weights)
            ticks, advantage = followed(actor.follow, batch)
            return self._loss(actor, ticks, advantage, some, progress)

        def step(carry, now):
            weights, state, near = carry
            index, some = now
            batch = jax.tree.map(lambda x: x[index], pieces)
            (_, metrics), slope = jax.value_and_grad(loss, has_aux=True)(weights, batch, some)
            metrics["gradient_norm"] = optax.tree.norm(slope)
            near = near & (metrics["divergence"] <= self.trust)
            rate = jnp.where(near, self.rate(progress), 0.0)
            move, state = adam(self.norm).update(slope, state)
            weights = jax.tree.map(lambda w, m: w - rate * m, weights, move)
            return (weights, state, near), metrics | {"rested": 1.0 - near}

        size = -(-self.minibatch // length)
        indices = minibatches(key, acting, self.epochs, size, self.minibatches)
        some = _groups(jax.random.fold_in(key, 1), len(indices), advantage.shape[-1], who)
        start = (weights, state, jnp.bool_(True))
        (weights, state, _), metrics = jax.lax.scan(step, start, (indices, some))
        return weights, state, jax.tree.map(jnp.mean, metrics)

    def _loss(
        self,
        actor: AbstractPolicy,
        batch: Rollout,
        advantage: Float[Array, "B N"],
        some: Int[Array, " P"] | None,
        progress: Scalar,
    ) -> tuple[Scalar, dict[str, Scalar]]:
        assess = jax.vmap(actor.assess, (0, 0, None), OVER_TICKS)
        said = assess(batch.observation, batch.action, some)
        before = batch.log_prob
        if some is not None:
            advantage, before = advantage[:, some], before[:, some]
        acted = said.acts.astype(jnp.float32)
        log_ratio = jnp.where(said.acts, said.log_prob - before, 0.0)
        surrogate = masked_mean(clipped_surrogate(log_ratio, advantage, self.clip), acted)
        entropy = masked_mean(said.entropy, acted)
        loss = surrogate - self.entropy(progress) * entropy
        metrics = {
            "surrogate": surrogate,
            "entropy": entropy,
            "divergence": masked_mean(jnp.exp(log_ratio) - 1 - log_ratio, acted),
        }
        for term in self.terms:
            extra, more = term(said, batch, progress)
            loss, metrics = loss + extra, metrics | more
        return loss, metrics | {"actor_loss": loss}


def _by_decision(term: Term) -> AbstractByDecision:
    if not isinstance(term, AbstractByDecision):
        raise UserError(
            f"The loss term {type(term).__name__} cannot tell one agent's decision from another's; "
            "guidance by a model and by a critic of actions can."
        )
    return term


def adam(norm: Number) -> Any:
    """Clip by the global norm, then Adam's direction; the caller scales it by the rate."""
    return optax.chain(optax.clip_by_global_norm(norm), optax.scale_by_adam(eps=1e-5))


def flatten(rollout: PyTree) -> PyTree:
    """Time and scenarios as one axis of ticks."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), rollout)


class Chunks(NamedTuple):
    """Ticks in a row, [pieces, L, ...]."""

    of: PyTree
    fresh: Bool[Array, "P L"]
    """Where what is remembered is not what the tick before has left."""


def fresh(rollout: Rollout) -> Bool[Array, "T E"]:
    """Where an episode begins, and at the first tick."""
    ended = rollout.terminated | rollout.truncated
    return jnp.concatenate([jnp.ones_like(ended[:1]), ended[:-1]])


def chunks(tree: PyTree, fresh: Bool[Array, "T E"], length: int) -> Chunks:
    """A rollout, and what else is [T, E, ...], cut into chunks of `even` length.

    Raises:
        UserError: there is none near it.
    """
    ticks = fresh.shape[0]
    length = even(ticks, length)

    def cut(x):
        parts = x.reshape(ticks // length, length, *x.shape[1:])
        parts = jnp.swapaxes(parts, 1, 2)
        return parts.reshape(parts.shape[0] * parts.shape[1], *parts.shape[2:])

    tree, fresh = jax.tree.map(cut, (tree, fresh))
    return Chunks(tree, fresh.at[:, 0].set(True))


def even(ticks: int, length: int) -> int:
    """The most ticks, up to `length`, of which chunks of a rollout come out even; 0 for all.

    Raises:
        UserError: they are less than a quarter of that.
    """
    wanted = min(length or ticks, ticks)
    length = max(n for n in range(1, wanted + 1) if ticks % n == 0)
    if 4 * length < wanted:
        raise UserError(
            f"algorithm.chunk: a rollout's {ticks} ticks cannot be cut into equal chunks of about "
            f"{wanted}; take 0 for the whole rollout, or another train.steps."
        )
    return length


def followed(follow: Callable, pieces: Chunks) -> PyTree:
    """Chunks as ticks, once somebody has listened to them."""
    rollout, *more = pieces.of
    heard = jax.vmap(follow)(rollout.observation, pieces.fresh)
    return flatten((replace(rollout, observation=heard), *more))


def minibatches(
    key: Key, first: Array, epochs: int, size: int, count: int
) -> Int[Array, "steps B"]:
    """Indices of ticks: a new permutation each epoch, ticks marked in `first` before the others.

    An epoch of few minibatches then spends them on ticks in which somebody acts.
    """
    ticks = first.shape[0]
    size = min(size, ticks)
    count = min(count or ticks // size, ticks // size)

    def permutation(key):
        order = jnp.argsort(jax.random.uniform(key, (ticks,)) + ~first)
        # Marked ticks come first; mix what is taken, so that no minibatch is without them.
        return order[: count * size].reshape(size, count).T

    indices = jax.vmap(permutation)(jax.random.split(key, epochs)).reshape(-1, size)
    return shared(indices, axis=1)


def _groups(
    key: Key, count: int, agents: int, who: int | Int[Array, " P"]
) -> Int[Array, "count P"] | None:
    """Which agents each of `count` steps looks at; None for all."""
    if not isinstance(who, int):
        return jnp.broadcast_to(who[None], (count, *who.shape))
    return crowds(key, count, agents, who) if 0 < who < agents else None


def crowds(key: Key, count: int, agents: int, size: int) -> Int[Array, "count P"]:
    """At most `size` of the agents, `count` times: evenly spaced from a random one on, around the
    circle, in ascending order; each agent is as likely as any other."""
    stride = -(-agents // size)
    start = jax.random.randint(key, (count, 1), 0, agents)
    return jnp.sort((start + stride * jnp.arange(agents // stride)[None]) % agents, axis=-1)
