"""Loss terms beside the clipped surrogate."""

import abc
from dataclasses import replace
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from descant.core.algorithm import Assessment, Schedule
from descant.core.model import AbstractModel
from descant.core.types import Number, Rollout, Scalar
from descant.ops.devices import apart
from descant.ops.guidance import charges, expected_slopes


class AbstractByDecision(eqx.Module):
    """A loss term that charges each decision by itself."""

    name: ClassVar[str]
    """What it is called in records."""
    weight: eqx.AbstractVar[Schedule]

    def __call__(
        self, said: Assessment, batch: Rollout, progress: Scalar
    ) -> tuple[Scalar, dict[str, Scalar]]:
        """The weighted term, and the term alone: the mean charge of those who act."""
        count = jnp.maximum(jnp.sum(said.acts), 1)
        term = jnp.sum(self.each(said, batch)) / count
        return self.weight(progress) * term, {self.name: term}

    @abc.abstractmethod
    def each(self, said: Assessment, batch: Rollout) -> Float[Array, "B P"]:
        """The charge of each decision; its derivative by what another one is made of is zero."""

    @abc.abstractmethod
    def frozen(self, said: Assessment, batch: Rollout) -> "AbstractByDecision":
        """The same with the statistics of this batch instead of any batch's own."""


class Guidance(AbstractByDecision):
    r"""Descend the analytic model through the policy's probabilities: $\alpha \sum_{ij} \pi_i(j)\,
    \perp g_{ij} / \sigma$.

    `expected` sums out each agent's own action, the others' actions of the tick being as sampled;
    `exact` sums out all of them: $g = \partial\, \mathbb{E}_\pi[d] / \partial \pi$, noise-free
    given the state, and it tells agents where the others are heading; `in turn` is for agents that
    choose in order: the exact marginal given what each of them knows. g is counted from the agent's
    best legal action, as a regret; $\sigma$ is the regret that the policy itself expects, the
    median over agents, so that alpha means the same whatever the units and however good the policy
    has become. Regret beyond `limit` such units is clipped.
    """

    name = "guidance"
    model: AbstractModel
    weight: Schedule
    kind: Literal["expected", "exact", "in turn"] = eqx.field(static=True)
    limit: Number = 3.0
    held: Scalar | None = None
    """Unit to use instead of the minibatch's own."""

    def each(self, said: Assessment, batch: Rollout) -> Float[Array, "B P"]:
        """Expected regret of each decision in its unit; the regrets themselves are constants."""
        slopes, legal = self._slopes(said, batch)
        probabilities = said.probabilities * said.acts[..., None]
        held = unit(slopes, legal, probabilities) if self.held is None else self.held
        share = regrets(slopes, legal, self.limit, held)
        return jnp.sum(probabilities * jax.lax.stop_gradient(share), axis=-1)

    def frozen(self, said: Assessment, batch: Rollout) -> "Guidance":
        """The same in the unit of this batch."""
        return replace(self, held=unit(*self._slopes(said, batch), said.probabilities))

    def _slopes(
        self, said: Assessment, batch: Rollout
    ) -> tuple[Float[Array, "B P A"], Bool[Array, "B P A"]]:
        """What the model charges for each choice, and which choices there are."""
        model, context, action = self.model, batch.context, batch.action
        if self.kind == "exact":
            probabilities = said.probabilities * said.acts[..., None]
            fixed = jax.lax.stop_gradient(probabilities)
            slopes = jax.vmap(expected_slopes, in_axes=(None, 0, 0))(model, context, fixed)
        elif self.kind == "in turn" and said.charge is not None:
            slopes = said.charge
        elif self.kind == "in turn":
            each = jax.vmap(_charges, in_axes=(0, 0, None, None, None))
            slopes = apart(each, (context, action), (model, said.who, said.known))
        else:
            slopes = jax.vmap(model.alternatives)(context, action)
            slopes = slopes[..., said.who, :]
        mask = batch.observation.mask
        if mask.shape[-2] > 1:
            mask = mask[..., said.who, :]
        return slopes, mask & said.acts[..., None]


def regrets(
    slopes: Float[Array, "B P A"], legal: Bool[Array, "B P A"], limit: Number, unit: Scalar
) -> Float[Array, "B P A"]:
    """How much worse than its best each action of an agent is, in a unit, clipped."""
    return jnp.clip(jnp.nan_to_num(_worse(slopes, legal) / unit), 0, limit)


FLOOR = 0.01
"""Least unit, as a share of the median regret over all legal actions: what is smaller is rounding,
or a matter of taste."""


def unit(
    slopes: Float[Array, "B P A"], legal: Bool[Array, "B P A"], probabilities: Float[Array, "B P A"]
) -> Scalar:
    """The regret that a policy expects of an agent's draw, the median over those who act: choices
    that it has learnt to leave alone do not drown the choice between the others."""
    acts = jnp.any(legal, axis=-1)
    worse, usual = apart(_usual, (slopes, legal))
    expected = jnp.sum(jax.lax.stop_gradient(probabilities) * worse, axis=-1)
    typical = jnp.nan_to_num(jnp.nanmedian(jnp.where(acts, expected, jnp.nan)))
    least = FLOOR * jnp.sum(usual * acts) / jnp.maximum(jnp.sum(acts), 1)
    return jnp.maximum(typical, least) + 1e-12


def _charges(context, action, model, who, known):
    return charges(model, context, action, who, known)


def _usual(
    slopes: Float[Array, "B P A"], legal: Bool[Array, "B P A"]
) -> tuple[Float[Array, "B P A"], Float[Array, "B P"]]:
    worse = _worse(slopes, legal)
    return jnp.nan_to_num(worse), jnp.nan_to_num(jnp.nanmedian(worse, axis=-1))


def _worse(slopes: Float[Array, "B N A"], legal: Bool[Array, "B N A"]) -> Float[Array, "B N A"]:
    """How much worse than the agent's best; NaN where illegal."""
    best = jnp.min(jnp.where(legal, slopes, jnp.inf), axis=-1, keepdims=True)
    return jnp.where(legal, slopes - best, jnp.nan)
