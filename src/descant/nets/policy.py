"""Joint policies on top of networks."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.algorithm import AbstractPolicy, Assessment
from descant.core.types import Key, Observation
from descant.ops.policies import chosen, draw, entropy, masked_log_softmax


class Independent(AbstractPolicy):
    """Agents that choose at the same time, each for itself, from one network's logits."""

    net: Callable[[Observation], Float[Array, "N A"]]

    def sample(
        self, observation: Observation, key: Key
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        log_probabilities = self._log_probabilities(observation)
        action = draw(key, log_probabilities)
        return action, chosen(log_probabilities, action)

    def best(self, observation: Observation) -> Int[Array, " N"]:
        return jnp.argmax(self._log_probabilities(observation), axis=-1)

    def assess(self, observation: Observation, action: Int[Array, " N"]) -> Assessment:
        log_probabilities = self._log_probabilities(observation)
        return Assessment(
            log_prob=chosen(log_probabilities, action),
            entropy=entropy(log_probabilities),
            probabilities=jnp.exp(log_probabilities),
        )

    def _log_probabilities(self, observation: Observation) -> Float[Array, "N A"]:
        return masked_log_softmax(self.net(observation), observation.mask)
