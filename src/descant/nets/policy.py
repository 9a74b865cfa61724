"""Joint policies on top of networks: how the agents of a tick choose beside one another."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.core.algorithm import AbstractPolicy, Assessment
from descant.core.errors import UserError
from descant.core.model import Advice, Advisor
from descant.core.types import Action, Key, Observation, PyTree
from descant.nets import recurrent
from descant.nets.set import Pointer, take
from descant.ops.guidance import charges, grades
from descant.ops.loops import while_any
from descant.ops.ordering import best
from descant.ops.policies import (
    chosen,
    entropy,
    invert,
    masked_log_softmax,
    seeded,
    stratified,
)


class Listening(AbstractPolicy):
    """Agents that may remember what they have seen."""

    def begin(self) -> PyTree:
        return recurrent.begin(self)

    def listen(self, observation: Observation) -> Observation:
        return recurrent.listen(self, observation)

    def follow(self, observation: Observation, fresh: Bool[Array, " L"]) -> Observation:
        return recurrent.follow(self, observation, fresh)


class Independent(Listening):
    """Agents that choose at the same time, each for itself, from one network's logits."""

    net: Callable[[Observation], Float[Array, "N A"]]
    correlated: bool = eqx.field(static=True, default=False)
    """Whether agents draw from strata of one shared source of chance: each agent's chances stay
    what they are, but together the choices follow them closely, instead of by luck."""

    def sample(
        self, observation: Observation, key: Key
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        return self.draw(observation, levels(observation, key, self.correlated))

    def draw(
        self, observation: Observation, level: Float[Array, " N"]
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        log_probabilities = self.log_probabilities(observation)
        action = invert(log_probabilities, level)
        return action, chosen(log_probabilities, action)

    def best(self, observation: Observation) -> Int[Array, " N"]:
        return best(self.log_probabilities(observation))

    def act(self, observation: Observation, key: Key) -> Int[Array, " N"]:
        # Chance keeps agents that see the same from all going to the same place.
        return self.sample(observation, key)[0]

    def assess(
        self,
        observation: Observation,
        action: Int[Array, " N"],
        some: Int[Array, " P"] | None = None,
    ) -> Assessment:
        said = self.log_probabilities(observation)
        who = jnp.arange(action.shape[0]) if some is None else some
        return assess(said[who], action[who], who, observation, jnp.zeros_like(who))

    def log_probabilities(self, observation: Observation) -> Float[Array, "N A"]:
        """Of every agent's actions."""
        return masked_log_softmax(self.net(observation), observation.mask)


LEAST, MOST = -5.0, 2.0
"""Bounds of the logarithm of a deviation."""
FAR = 6.0
"""Where the hyperbolic tangent ends: beyond, single precision cannot undo it."""
NORMAL = 0.5 * math.log(2 * math.pi)


class Gaussian(Listening):
    r"""Agents that each take a point near the one their network names.

    `clipped` draws $u \sim \mathcal{N}(\mu, \sigma^2)$, and the domain takes the nearest point of
    the cube; `tanh` draws $\tanh u$, and counts what that does to densities. The entropy is that of
    $u$ in both cases.
    """

    net: Callable[[Observation], Float[Array, "N A"]]
    deviation: Float[Array, "#N #A"]
    """Its logarithm."""
    squash: Literal["clipped", "tanh"] = eqx.field(static=True, default="clipped")

    def sample(self, observation: Observation, key: Key) -> tuple[Action, Float[Array, " N"]]:
        mean = self.net(observation)
        return self._taken(mean, jax.random.normal(key, mean.shape))

    def draw(
        self, observation: Observation, level: Float[Array, " N"]
    ) -> tuple[Action, Float[Array, " N"]]:
        mean = self.net(observation)

        def luck(level):
            return jax.random.normal(seeded(level), mean.shape[1:])

        return self._taken(mean, jax.vmap(luck)(level))

    def best(self, observation: Observation) -> Action:
        return self._placed(self.net(observation))

    def act(self, observation: Observation, key: Key) -> Action:
        return self.best(observation)

    def assess(
        self, observation: Observation, action: Action, some: Int[Array, " P"] | None = None
    ) -> Assessment:
        who = jnp.arange(action.shape[0]) if some is None else some
        mean = self.net(observation)
        log_deviation = self._log_deviation(mean)[who]
        mean, point = mean[who], action[who]
        if self.squash == "tanh":
            point = jnp.arctanh(point)
        luck = (point - mean) * jnp.exp(-log_deviation)
        return Assessment(
            log_prob=self._density(point, luck, log_deviation),
            entropy=jnp.sum(log_deviation + NORMAL, axis=-1) + mean.shape[-1] / 2,
            probabilities=jnp.zeros((*mean.shape[:-1], 0)),
            who=who,
            acts=observation.active[who],
            known=jnp.zeros_like(who),
            aim=self._placed(mean),
        )

    def _taken(self, mean: Float[Array, "N A"], luck: Float[Array, "N A"]):
        """The point that luck picks, and its density."""
        log_deviation = self._log_deviation(mean)
        point = mean + luck * jnp.exp(log_deviation)
        if self.squash == "tanh":
            point = jnp.clip(point, -FAR, FAR)
        return self._placed(point), self._density(point, luck, log_deviation)

    def _log_deviation(self, mean: Float[Array, "P A"]) -> Float[Array, "P A"]:
        return jnp.broadcast_to(jnp.clip(self.deviation, LEAST, MOST), mean.shape)

    def _placed(self, point: Float[Array, "N A"]) -> Float[Array, "N A"]:
        return jnp.tanh(point) if self.squash == "tanh" else point

    def _density(self, point, luck, log_deviation) -> Float[Array, " P"]:
        each = -0.5 * luck**2 - log_deviation - NORMAL
        if self.squash == "tanh":
            # log(1 - tanh(u)^2), without the difference of near equals.
            each -= 2 * (math.log(2) - point - jax.nn.softplus(-2 * point))
        return jnp.sum(each, axis=-1)


class InOrder(AbstractPolicy):
    """Agents that choose one after another, each knowing what those before it have taken.

    Nobody is asked for more than all know anyway: the tick's jobs, the state and the policy are
    common knowledge, so each agent can replay the choices of those before it, given a shared seed.
    Rules decide in this way too. Only what the entities have left changes from turn to turn; all
    else is computed once per tick. In a `block` agents choose at the same time: each knows the
    blocks before its own. Where the network heeds the analytic model, it is asked at each turn.
    """

    net: Pointer
    block: int = eqx.field(static=True, default=1)
    """Agents that choose in one turn."""
    advisor: Advisor | None = eqx.field(static=True, default=None)
    """The model that `informed` puts into observations."""

    def informed(self, state: PyTree, observation: Observation) -> Observation:
        if self.advisor is None:
            return observation
        advice = Advice(context=self.advisor.model.context(state), advisor=self.advisor)
        return replace(observation, advice=advice)

    def sample(
        self, observation: Observation, key: Key
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        return self.draw(observation, levels(observation, key, correlated=False))

    def draw(
        self, observation: Observation, level: Float[Array, " N"]
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        return self._play(observation, level)

    def best(self, observation: Observation) -> Int[Array, " N"]:
        return self._play(observation, None)[0]

    def act(self, observation: Observation, key: Key) -> Int[Array, " N"]:
        return self.best(observation)

    def assess(
        self,
        observation: Observation,
        action: Int[Array, " N"],
        some: Int[Array, " P"] | None = None,
    ) -> Assessment:
        agents, actions = action.shape[0], observation.mask.shape[-1]
        table = self.net.table(observation)
        who = jnp.arange(agents) if some is None else some
        known = who // self.block * self.block
        moves = (table.portion, table.demand * observation.active[:, None], action)
        if some is None:
            left = _left_by_turn(table.left, moves, actions)[known]
        else:
            left = _left_at(table.left, moves, actions, known)
        mask = jnp.broadcast_to(observation.mask, (agents, actions))[who]
        advice, charge, grade = self._advice(observation), None, None
        if advice is not None:
            charge = charges(advice.model, advice.context, action, who, known)
            grade = grades(charge, mask)
        score = jax.vmap(self.net.score, in_axes=(None, 0, 0, None, 0))
        logits = score(table, who, left, actions, grade)
        said = assess(masked_log_softmax(logits, mask), action[who], who, observation, known)
        return said._replace(charge=charge)

    def _play(
        self, observation: Observation, level: Float[Array, " N"] | None
    ) -> tuple[Int[Array, " N"], Float[Array, " N"]]:
        """Turn after turn; agents with a level draw by inverting the distribution there."""
        agents, actions = observation.active.shape[0], observation.mask.shape[-1]
        active, slots = observation.active, jnp.arange(agents)
        mask = jnp.broadcast_to(observation.mask, (agents, actions))
        table, advice = self.net.table(observation), self._advice(observation)
        position = None if advice is None else advice.model.begin(advice.context)
        start = (
            jnp.int32(0),
            (table.left, position),
            jnp.zeros((agents,), jnp.int32),
            jnp.zeros((agents,)),
        )
        # The loop ends with the last who acts.
        count = jnp.max(jnp.where(active, slots + 1, 0))
        return while_any(
            lambda c, carry: carry[0] < c[2],
            partial(_turn, self.block),
            (self.net, table, count, active, mask, level, advice),
            start,
        )[2:]

    def _advice(self, observation: Observation) -> Advice | None:
        """The model at this tick; None where the network does not heed it."""
        if self.net.heed is None:
            return None
        if observation.advice is None:
            raise UserError(
                "These agents ask the analytic model as they choose: hand them what "
                "policy.informed(state, observation) returns."
            )
        return observation.advice


def _left_by_turn(left, moves, actions: int) -> Float[Array, "N K Q"]:
    """What is left before each turn."""
    portion, demands, choices = moves

    def turn(left, now):
        demand, choice = now
        return take(left, portion, demand, choice, actions), left

    return jax.lax.scan(turn, left, (demands, choices))[1]


def _left_at(left, moves, actions: int, turns: Int[Array, " P"]) -> Float[Array, "P K Q"]:
    """What is left before some turns, in ascending order; nothing is kept of those between."""
    portion, demands, choices = moves

    def turn(index, left):
        return take(left, portion, demands[index], choices[index], actions)

    def until(carry, target):
        left = jax.lax.fori_loop(carry[0], target, turn, carry[1])
        return (target, left), left

    return jax.lax.scan(until, (jnp.zeros_like(turns[0]), left), turns)[1]


def _turn(block, constants, carry):
    """A block of agents chooses; then what they chose is taken, one after another."""
    net, table, count, active, mask, level, advice = constants
    turn, (left, position), action, log_prob = carry
    agents, actions = mask.shape
    slot = turn + jnp.arange(block)
    live = slot < count
    who = jnp.minimum(slot, agents - 1)
    grade = None
    if advice is not None:
        turns = [advice.model.turn(advice.context, position, who[i]) for i in range(block)]
        charge = jnp.stack(turns)
        grade = grades(charge, mask[who])
    score = jax.vmap(net.score, in_axes=(None, 0, None, None, 0))
    log_probabilities = masked_log_softmax(score(table, who, left, actions, grade), mask[who])
    if level is None:
        choice = best(log_probabilities)
    else:
        choice = invert(log_probabilities, level[who])
    written = jnp.where(live, who, agents)
    action = action.at[written].set(choice, mode="drop")
    log_prob = log_prob.at[written].set(chosen(log_probabilities, choice), mode="drop")
    for i in range(block):
        demand = jnp.where(live[i] & active[who[i]], table.demand[who[i]], 0.0)
        left = take(left, table.portion, demand, choice[i], actions)
        if advice is not None:
            # Past the last who acts, nobody asks any more.
            position = advice.model.move(advice.context, position, who[i], choice[i])
    return turn + block, (left, position), action, log_prob


def levels(observation: Observation, key: Key, correlated: bool) -> Float[Array, " N"]:
    """Where each agent's chance stands: uniform each for itself, or one in each stratum."""
    if correlated:
        return stratified(key, observation.active)
    return jax.random.uniform(key, observation.active.shape)


def assess(
    log_probabilities: Float[Array, "P A"],
    action: Int[Array, " P"],
    who: Int[Array, " P"],
    observation: Observation,
    known: Int[Array, " P"],
) -> Assessment:
    """Log-probability of the action, entropy and probabilities, agent by agent."""
    return Assessment(
        log_prob=chosen(log_probabilities, action),
        entropy=entropy(log_probabilities),
        probabilities=jnp.exp(log_probabilities),
        who=who,
        acts=observation.active[who],
        known=known,
    )
