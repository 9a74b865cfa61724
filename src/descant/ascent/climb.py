"""A loss term that climbs a critic of joint actions, through the actions themselves."""

from typing import Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.ascent.terms import AbstractByDecision
from descant.core.algorithm import Assessment, Schedule
from descant.core.types import Number, Observation, PyTree, Rollout, Scalar
from descant.ops.policies import gumbel, relaxed, rows

UNLIKELY = 1e-30
"""Probabilities below count as this, so that their logarithm is a number."""


@runtime_checkable
class Value(Protocol):
    """The value of a joint action in two parts, the first of which no action changes."""

    def look(self, observation: Observation) -> PyTree:
        """What all joint actions of a tick have in common."""
        ...

    def judge(
        self, observation: Observation, seen: PyTree, action: Float[Array, "N A"]
    ) -> Float[Array, " V"]:
        """What one of them is worth."""
        ...


class Climb(AbstractByDecision):
    r"""$- \nu\, Q_{tot}(s, u_1, \dots, u_n)$ with actions $u_i$ that the policy can be moved by;
    the second term of MAIPG (2024), eq. 10.

    Each decision is charged $- \langle u_i, \bot \partial Q_{tot} / \partial u_i \rangle$: the
    gradients of all decisions add up to that of $- Q_{tot}$, and those of one agent's take the
    others' actions as they are.
    """

    name = "climbed"
    value: Value
    """$Q_{tot}$ of a tick, as one number in the critic's own unit."""
    weight: Schedule
    unit: Scalar | float
    """The critic's unit in those of the advantage."""
    temperature: Number = 1.0
    noise: bool = eqx.field(static=True, default=True)
    """Whether choices are drawn, by the luck that the rollout keeps, or the most likely ones."""
    hard: bool = eqx.field(static=True, default=True)
    """Whether the critic is shown whole choices, or mixtures."""

    def each(self, said: Assessment, batch: Rollout) -> Float[Array, "B P"]:
        going = self._going(said, batch)
        around = rows(batch.action, batch.observation.mask.shape[-1])
        joint = around.at[:, said.who].set(jax.lax.stop_gradient(going))

        def value(joint, observation, seen):
            return jnp.sum(self.value.judge(observation, seen, joint))

        # Actors move, the value does not: what is kept of it holds for all their steps.
        seen = batch.outlook
        if seen is None:
            seen = jax.vmap(self.value.look)(batch.observation)
        slope = jax.vmap(jax.grad(value))(joint, batch.observation, seen)[:, said.who]
        gain = jnp.sum(going * jax.lax.stop_gradient(slope), axis=-1)
        return -self.unit * jnp.where(said.acts, gain, 0.0)

    def frozen(self, said: Assessment, batch: Rollout) -> "Climb":
        return self

    def _going(self, said: Assessment, batch: Rollout) -> Float[Array, "B P A"]:
        """Where agents go, differentiably."""
        if said.aim is not None:
            return said.aim
        log_probabilities = jnp.log(jnp.maximum(said.probabilities, UNLIKELY))
        noise = jnp.zeros_like(log_probabilities)
        if self.noise:
            kept = batch.probes.get("noise")
            if kept is None:
                kept = gumbel(batch.probes["luck"], noise.shape[-1])
            noise = kept[:, said.who]
        return relaxed(log_probabilities, noise, self.temperature, self.hard)
