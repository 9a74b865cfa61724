"""Loss terms beside the clipped surrogate."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

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
    choose in order: the exact marginal given what each of them knows. g is counted from the agent's
    best legal action, as a regret; $\sigma$ is the median regret over an agent's legal actions,
    averaged over agents, so that alpha means the same whatever the units. Regret beyond `limit`
    such units is clipped.
    """

    model: AbstractModel
    weight: Schedule
    kind: Literal["expected", "exact", "in turn"] = eqx.field(static=True)
    limit: float = eqx.field(static=True, default=3.0)

    def __call__(
        self, said: Assessment, batch: Rollout, progress: Scalar
    ) -> tuple[Scalar, dict[str, Scalar]]:
        """The weighted term, and the term alone: the expected regret in its unit."""
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
        slopes = regrets(slopes, legal, self.limit)
        count = jnp.maximum(jnp.sum(active), 1)
        term = jnp.sum(probabilities * jax.lax.stop_gradient(slopes)) / count
        return self.weight(progress) * term, {"guidance": term}


def regrets(
    slopes: Float[Array, "B N A"], legal: Bool[Array, "B N A"], limit: float
) -> Float[Array, "B N A"]:
    """How much worse than its best each action of an agent is, in a common unit, clipped.

    The unit is the median regret over an agent's legal actions, averaged over agents: a few actions
    that are out of the question then do not drown the choice between the others.
    """
    best = jnp.min(jnp.where(legal, slopes, jnp.inf), axis=-1, keepdims=True)
    regret = jnp.where(legal, slopes - best, jnp.nan)
    usual = jnp.nan_to_num(jnp.nanmedian(regret, axis=-1))
    acts = jnp.any(legal, axis=-1)
    unit = jnp.sum(usual * acts) / jnp.maximum(jnp.sum(acts), 1) + 1e-12
    return jnp.clip(jnp.nan_to_num(regret / unit), 0, limit)
