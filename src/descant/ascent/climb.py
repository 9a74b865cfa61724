"""A loss term that climbs a critic of joint actions, through the actions themselves."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.ascent.terms import AbstractByDecision
from descant.core.algorithm import Assessment, Schedule
from descant.core.types import Number, Observation, Rollout, Scalar
from descant.ops.policies import relaxed, rows, seeded

UNLIKELY = 1e-30
"""Probabilities below count as this, so that their logarithm is a number."""


class Climb(AbstractByDecision):
    r"""$- \nu\, Q_{tot}(s, u_1, \dots, u_n)$ with actions $u_i$ that the policy can be moved by;
    the second term of MAIPG (2024), eq. 10.

    Each decision is charged $- \langle u_i, \bot \partial Q_{tot} / \partial u_i \rangle$: the
    gradients of all decisions add up to that of $- Q_{tot}$, and those of one agent's take the
    others' actions as they are.
    """

    name = "climbed"
    value: Callable[[Observation, Float[Array, "N A"]], Float[Array, " V"]]
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

        def value(observation, joint):
            return jnp.sum(self.value(observation, joint))

        slope = jax.vmap(jax.grad(value, argnums=1))(batch.observation, joint)[:, said.who]
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
            levels = batch.probes["luck"][:, said.who]
            draw = lambda level: jax.random.gumbel(seeded(level), noise.shape[-1:])  # noqa: E731
            noise = jax.vmap(jax.vmap(draw))(levels)
        return relaxed(log_probabilities, noise, self.temperature, self.hard)
