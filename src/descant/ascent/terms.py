"""Loss terms beside the clipped surrogate."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.core.algorithm import Assessment, Schedule
from descant.core.model import AbstractModel
from descant.core.types import Rollout, Scalar
from descant.ops.guidance import expected_slopes


class Guidance(eqx.Module):
    r"""Descend the analytic model through the policy's probabilities: $\alpha \sum_{ij} \pi_i(j)\,
    \perp g_{ij} / \sigma$.

    `expected` sums out each agent's own action, the others' actions of the tick being as sampled;
    `exact` sums out all of them: $g = \partial\, \mathbb{E}_\pi[d] / \partial \pi$, noise-free
    given the state, and it tells agents where the others are heading; `in turn` is for agents that
    choose in order: the exact marginal given what each of them knows. $\sigma$ is the deviation of
    g over an agent's legal actions, root mean square over agents, so that alpha means the same
    whatever the units; g beyond `limit` deviations is clipped.
    """

    model: AbstractModel
    weight: Schedule
    kind: Literal["expected", "exact", "in turn"] = eqx.field(static=True)
    limit: float = eqx.field(static=True, default=3.0)

    def __call__(
        self, said: Assessment, batch: Rollout, progress: Scalar
    ) -> tuple[Scalar, dict[str, Scalar]]:
        """The weighted term, and the expected slope in deviations."""
        active = batch.observation.active
        probabilities = said.probabilities * active[..., None]
        fixed = jax.lax.stop_gradient(probabilities)
        if self.kind == "exact":
            slopes = jax.vmap(expected_slopes, in_axes=(None, 0, 0))(
                self.model, batch.context, fixed
            )
        elif self.kind == "in turn":
            slopes = jax.vmap(self.model.in_turn)(batch.context, batch.action)
        else:
            slopes = jax.vmap(self.model.alternatives)(batch.context, batch.action)
        legal = batch.observation.mask & active[..., None]
        slopes = standardise(slopes, legal, self.limit)
        count = jnp.maximum(jnp.sum(active), 1)
        term = jnp.sum(probabilities * jax.lax.stop_gradient(slopes)) / count
        return self.weight(progress) * term, {"guidance": term}


def standardise(slopes: Float[Array, "B N A"], legal: Array, limit: float) -> Float[Array, "B N A"]:
    """Each agent's slopes about their own mean over legal actions, in common deviations,
    clipped."""
    count = jnp.maximum(jnp.sum(legal, axis=-1, keepdims=True), 1)
    mean = jnp.sum(slopes * legal, axis=-1, keepdims=True) / count
    centred = (slopes - mean) * legal
    deviation = jnp.sqrt(jnp.sum(centred**2) / jnp.maximum(jnp.sum(legal), 1)) + 1e-12
    return jnp.clip(centred / deviation, -limit, limit)
