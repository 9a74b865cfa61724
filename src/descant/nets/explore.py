"""Agents that now and then do anything, and learn from it; and points to explore around."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.algorithm import Assessment
from descant.core.types import Action, Key, Observation, Scalar
from descant.nets.policy import Listening, assess, levels
from descant.ops.ordering import best
from descant.ops.policies import ILLEGAL, chosen, invert, masked_log_softmax


class Exploring(Listening):
    r"""Any legal action with chance $\epsilon$, else the best one, or one by the softmax of the
    network; Watkins (1989). Once trained, agents take their best actions."""

    net: Callable[[Observation], Float[Array, "N A"]]
    epsilon: Scalar
    soft: bool = eqx.field(static=True, default=False)
    """Whether choices that are not just any action are drawn, too."""

    def sample(
        self, observation: Observation, key: Key
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        return self.draw(observation, levels(observation, key, correlated=False))

    def draw(
        self, observation: Observation, level: Float[Array, " N"]
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        log_probabilities = self.log_probabilities(observation)
        action = invert(log_probabilities, level)
        return action, chosen(log_probabilities, action)

    def best(self, observation: Observation) -> Int[Array, " N"]:
        return best(jnp.where(observation.mask, self.net(observation), ILLEGAL))

    def act(self, observation: Observation, key: Key) -> Int[Array, " N"]:
        return self.best(observation)

    def assess(
        self,
        observation: Observation,
        action: Action,
        some: Int[Array, " P"] | None = None,
    ) -> Assessment:
        said = self.log_probabilities(observation)
        who = jnp.arange(action.shape[0]) if some is None else some
        return assess(said[who], action[who], who, observation, jnp.zeros_like(who))

    def log_probabilities(self, observation: Observation) -> Float[Array, "N A"]:
        """Of every agent's actions."""
        score, mask = self.net(observation), observation.mask
        if self.soft:
            wanted = jnp.exp(masked_log_softmax(score, mask))
        else:
            wanted = jax.nn.one_hot(self.best(observation), score.shape[-1])
        anything = mask / jnp.maximum(jnp.sum(mask, axis=-1, keepdims=True), 1)
        chance = (1 - self.epsilon) * wanted + self.epsilon * anything
        known = mask & (chance > 0)
        return jnp.where(known, jnp.log(jnp.where(known, chance, 1.0)), ILLEGAL)


class Bounded(eqx.Module):
    """A point of the cube for every agent, to be taken with noise around it."""

    net: Callable[[Observation], Float[Array, "N A"]]

    def __call__(self, observation: Observation) -> Float[Array, "N A"]:
        """Within the cube, whatever the network says."""
        return jnp.tanh(self.net(observation))
