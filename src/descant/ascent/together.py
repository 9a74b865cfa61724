"""All agents move at once: clipped surrogate plus terms, in epochs over minibatches of ticks."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from descant.core.algorithm import AbstractAscent, AbstractPolicy, Schedule, Term
from descant.core.types import Key, PyTree, Rollout, Scalar
from descant.ops.losses import clipped_surrogate, masked_mean


class Together(AbstractAscent):
    """Proximal policy ascent with one optimiser for everybody; Schulman et al. (2017)."""

    epochs: int = eqx.field(static=True)
    minibatch: int = eqx.field(static=True)
    """Ticks in a minibatch; all agents of a tick come along."""
    minibatches: int = eqx.field(static=True)
    """Steps of an epoch; 0 takes as many whole minibatches as the ticks make."""
    clip: float = eqx.field(static=True)
    norm: float = eqx.field(static=True)
    """Gradients longer than this are shortened to it."""
    rate: Schedule
    entropy: Schedule
    terms: tuple[Term, ...] = ()

    def with_term(self, term: Term) -> "Together":
        return replace(self, terms=(*self.terms, term))

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
        ticks = flatten(rollout)
        advantage = advantage.reshape(-1, advantage.shape[-1])
        acting = jnp.any(ticks.observation.active, axis=-1)

        def step(carry, index):
            actor, state = carry
            batch = jax.tree.map(lambda x: x[index], ticks)
            (_, metrics), slope = jax.value_and_grad(self._loss, has_aux=True)(
                actor, batch, advantage[index], progress
            )
            metrics["gradient_norm"] = optax.tree.norm(slope)
            move, state = adam(self.norm).update(slope, state)
            actor = jax.tree.map(lambda w, m: w - self.rate(progress) * m, actor, move)
            return (actor, state), metrics

        indices = minibatches(key, acting, self.epochs, self.minibatch, self.minibatches)
        (actor, state), metrics = jax.lax.scan(step, (actor, state), indices)
        return actor, state, jax.tree.map(jnp.mean, metrics)

    def _loss(
        self,
        actor: AbstractPolicy,
        batch: Rollout,
        advantage: Float[Array, "B N"],
        progress: Scalar,
    ) -> tuple[Scalar, dict[str, Scalar]]:
        observation = batch.observation
        said = jax.vmap(actor.assess)(observation, batch.action)
        acted = observation.active.astype(jnp.float32)
        log_ratio = jnp.where(observation.active, said.log_prob - batch.log_prob, 0.0)
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


def adam(norm: float) -> Any:
    """Clip by the global norm, then Adam's direction; the caller scales it by the rate."""
    return optax.chain(optax.clip_by_global_norm(norm), optax.scale_by_adam(eps=1e-5))


def flatten(rollout: Rollout) -> Rollout:
    """Time and scenarios as one axis of ticks."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), rollout)


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

    return jax.vmap(permutation)(jax.random.split(key, epochs)).reshape(-1, size)
