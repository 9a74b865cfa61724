"""Joint policies on top of networks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.core.algorithm import AbstractPolicy, Assessment
from descant.core.types import Key, Observation
from descant.nets.set import Pointer, per_action, take
from descant.ops.loops import while_any
from descant.ops.policies import chosen, entropy, invert, masked_log_softmax


class Independent(AbstractPolicy):
    """Agents that choose at the same time, each for itself, from one network's logits."""

    net: Callable[[Observation], Float[Array, "N A"]]

    def sample(
        self, observation: Observation, key: Key
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        log_probabilities = self._log_probabilities(observation)
        action = invert(log_probabilities, jax.random.uniform(key, observation.active.shape))
        return action, chosen(log_probabilities, action)

    def best(self, observation: Observation) -> Int[Array, " N"]:
        return jnp.argmax(self._log_probabilities(observation), axis=-1)

    def act(self, observation: Observation, key: Key) -> Int[Array, " N"]:
        # Chance keeps agents that see the same from all going to the same place.
        return self.sample(observation, key)[0]

    def assess(self, observation: Observation, action: Int[Array, " N"]) -> Assessment:
        return assess(self._log_probabilities(observation), action)

    def _log_probabilities(self, observation: Observation) -> Float[Array, "N A"]:
        return masked_log_softmax(self.net(observation), observation.mask)


class InOrder(AbstractPolicy):
    """Agents that choose one after another, each knowing what those before it have taken.

    Nobody is asked for more than all know anyway: the tick's jobs, the state and the policy are
    common knowledge, so each agent can replay the choices of those before it, given a shared seed.
    Rules decide in this way too. Only what the entities have left changes from turn to turn; all
    else is computed once per tick.
    """

    net: Pointer

    def sample(
        self, observation: Observation, key: Key
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        level = jax.random.uniform(key, observation.active.shape)
        return self._play(observation, level)

    def best(self, observation: Observation) -> Int[Array, " N"]:
        return self._play(observation, None)[0]

    def act(self, observation: Observation, key: Key) -> Int[Array, " N"]:
        return self.best(observation)

    def assess(self, observation: Observation, action: Int[Array, " N"]) -> Assessment:
        actions = observation.mask.shape[-1]
        table = self.net.table(observation)
        demand = table.demand * observation.active[:, None]

        def turn(left, now):
            demand, action = now
            return take(left, table.whole, demand, action, actions), left

        left = jax.lax.scan(turn, table.left, (demand, action))[1]
        score = jax.vmap(self.net.score, in_axes=(None, 0, 0))
        logits = per_action(score(table, jnp.arange(action.shape[0]), left), actions)
        return assess(masked_log_softmax(logits, observation.mask), action)

    def _play(
        self, observation: Observation, level: Float[Array, " N"] | None
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        """Turn after turn; agents with a level draw by inverting the distribution there."""
        agents, actions = observation.active.shape[0], observation.mask.shape[-1]
        # Those who act, in order, come first: the loop ends with the last of them.
        order = jnp.argsort(~observation.active)
        mask = jnp.broadcast_to(observation.mask, (agents, actions))
        table = self.net.table(observation)
        constants = (self.net, table, order, jnp.sum(observation.active), mask, level)
        start = (
            jnp.int32(0),
            table.left,
            jnp.zeros((agents,), jnp.int32),
            jnp.zeros((agents,)),
        )
        return while_any(lambda c, carry: carry[0] < c[3], _turn, constants, start)[2:]


def _turn(constants, carry):
    net, table, order, count, mask, level = constants
    turn, left, action, log_prob = carry
    live = turn < count
    agent = order[jnp.minimum(turn, order.shape[0] - 1)]
    actions = mask.shape[-1]
    logits = per_action(net.score(table, agent, left), actions)
    log_probabilities = masked_log_softmax(logits, mask[agent])
    if level is None:
        choice = jnp.argmax(log_probabilities)
    else:
        choice = invert(log_probabilities, level[agent])
    after = take(left, table.whole, table.demand[agent], choice, actions)
    here = live & (jnp.arange(action.shape[0]) == agent)
    return (
        turn + 1,
        jnp.where(live, after, left),
        jnp.where(here, choice, action),
        jnp.where(here, log_probabilities[choice], log_prob),
    )


def assess(log_probabilities: Float[Array, "N A"], action: Int[Array, " N"]) -> Assessment:
    """Log-probability of the action, entropy and probabilities, agent by agent."""
    return Assessment(
        log_prob=chosen(log_probabilities, action),
        entropy=entropy(log_probabilities),
        probabilities=jnp.exp(log_probabilities),
    )
