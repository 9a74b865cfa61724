"""What links ask the collector to measure while agents act."""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.algorithm import AbstractLuck
from descant.core.env import AbstractEnv
from descant.core.model import AbstractModel
from descant.core.types import Action, Key, Number, PyTree
from descant.ops.guidance import slope, slope_before


class Slope(eqx.Module):
    """The model's slope at each agent's action; Yang & Liu (2026), eq. 9 and appendix D.

    `after` is eq. 9 (the state follows the actions), `before` is appendix D as printed,
    `sequential` what each agent adds given those before it, which is exact and sums to the total
    change.
    """

    model: AbstractModel
    actions: int = eqx.field(static=True)
    moment: Literal["sequential", "after", "before"] = eqx.field(static=True)

    def __call__(self, state: PyTree, action: Int[Array, " N"], key: Key) -> Float[Array, " N"]:
        """Positive where the agent's action takes the system away from the reference."""
        context = self.model.context(state)
        if self.moment == "sequential":
            return self.model.marginal(context, action)
        at = slope if self.moment == "after" else slope_before
        return at(self.model, context, action, self.actions)


class Difference(eqx.Module):
    r"""What the team would have lost without what an agent did: $D_i = r(s, a) - r(s, (a_{-i},
    c_i))$ with a default action $c_i$, by the same chance; Wolpert & Tumer (2001).

    Every agent takes one more step of the world.
    """

    env: AbstractEnv
    default: Callable[[PyTree], Action] = eqx.field(static=True)

    def __call__(self, state: PyTree, action: Action, key: Key) -> Float[Array, " N"]:
        """In units of reward."""
        instead = self.default(state)

        def reward(action):
            return self.env.step(key, state, action)[1].reward

        def without(agent):
            return reward(action.at[agent].set(instead[agent]))

        agents = jnp.arange(action.shape[0])
        return reward(action) - jax.lax.map(without, agents, batch_size=AT_ONCE)


AT_ONCE = 16
"""Worlds that are stepped side by side to see what an agent's absence would change."""


class Gain(eqx.Module):
    r"""$F = \gamma\, \Phi(s') - \Phi(s)$ with $\Phi = - w\, d$, the analytic model's potential
    before anybody acts; Ng et al. (1999), theorem 1. Where the process has ended, $\Phi$ is zero.

    Along an episode the discounted sum telescopes, so no policy gains by it. The world is stepped
    with the key of the step itself, which compilers can see.
    """

    env: AbstractEnv
    model: AbstractModel
    discount: Number
    weight: Number

    def __call__(self, state: PyTree, action: Action, key: Key) -> Float[Array, " N"]:
        """The same for all agents, in units of reward."""
        after, step = self.env.step(key, state, action)
        going = self.discount * (1 - step.terminated)
        gain = going * self._potential(after) - self._potential(state)
        return jnp.full((self.env.spec.agents,), gain)

    def _potential(self, state: PyTree) -> Float[Array, ""]:
        spec = self.env.spec
        nothing = jnp.zeros((spec.agents, spec.actions))
        return -self.weight * self.model.potential(self.model.context(state), nothing)


class Luck(AbstractLuck):
    """A number in [0, 1) for each agent, drawn apart from everything else in the step: chance that
    is wanted later, and the same each time."""

    agents: int = eqx.field(static=True)

    def draw(self, key: Key) -> Float[Array, " N"]:
        """Uniform."""
        return jax.random.uniform(jax.random.fold_in(key, APART), (self.agents,))


APART = 7919
"""Folded into a step's key, so that what is drawn is nothing that the world draws."""
