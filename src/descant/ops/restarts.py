"""Worlds that start anew by chance, with what the discount leaves: at any tick they are in what the
discounted occupancy says, however short the rollout."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from descant.core.algorithm import AbstractPolicy
from descant.core.env import AbstractEnv
from descant.core.types import Key, Observation, PyTree


class Chains(NamedTuple):
    """Worlds under way, [E, ...]."""

    state: PyTree
    observation: Observation


class Restarts(eqx.Module):
    """Some worlds side by side, which go on from one walk to the next."""

    env: AbstractEnv
    count: int = eqx.field(static=True)
    discount: float = eqx.field(static=True)

    def open(self, key: Key) -> Chains:
        """All at their start: far from the law at first, by a share of the discount to the number
        of ticks that they have been walked."""
        return Chains(*jax.vmap(self.env.reset)(jax.random.split(key, self.count)))

    def walk(
        self, policy: AbstractPolicy, chains: Chains, key: Key, ticks: int
    ) -> tuple[Chains, Observation]:
        """Go on for some ticks; what is seen at each, [T, E, ...]."""

        def alone(chain, key):
            act_key, step_key, reset_key, luck_key = jax.random.split(key, 4)
            action, _ = policy.sample(chain.observation, act_key)
            state, step = self.env.step(step_key, chain.state, action)
            again = jax.random.uniform(luck_key) >= self.discount
            fresh = Chains(*self.env.reset(reset_key))
            after = Chains(state, step.observation)
            return jax.tree.map(lambda new, old: jnp.where(again, new, old), fresh, after)

        def tick(chains, key):
            keys = jax.random.split(key, self.count)
            return jax.vmap(alone)(chains, keys), chains.observation

        return jax.lax.scan(tick, chains, jax.random.split(key, ticks))
