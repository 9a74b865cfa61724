"""Links that judge actions, or the states they were chosen in, by a network of what is nearby,
learnt from rollout to rollout."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from descant.core.algorithm import AbstractCredit
from descant.core.errors import UserError
from descant.core.types import Key, PyTree, Rollout, Scalar, Signal
from descant.ops.occupancy import in_first_units
from descant.ops.returns import gae, lambda_returns

SMALLEST = 1e-8
SHARES = 8
"""Of a rollout's ticks, one of which `Foresight` looks at in a step: neighbouring ticks tell much
the same."""


class State(NamedTuple):
    """What has been learnt."""

    net: PyTree
    moments: PyTree
    """Of the optimiser."""


class Learning(eqx.Module):
    """A network of what is nearby that all agents share, and how it learns."""

    make: Callable[[Key], PyTree] = eqx.field(static=True)
    """The network, `[E, N, F] -> [E, N]`."""
    width: int = eqx.field(static=True)
    """Numbers that say a state, the first of an agent's own view."""
    discount: float = eqx.field(static=True)
    trace: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    """Of the optimiser, for each rollout."""
    rate: float = eqx.field(static=True)

    def init(self, key: Key) -> State:
        """Before training."""
        net = self.make(key)
        return State(net, self._adam.init(net))

    def states(self, rollout: Rollout) -> Float[Array, "T E N F"]:
        """What is told of each agent, actions left out."""
        return rollout.observation.local[..., : self.width]

    def step(
        self, state: State, told: Float[Array, "T E N F"], target: Float[Array, "L E N"]
    ) -> State:
        """One step of the optimiser towards targets."""
        slope = jax.grad(error)(state.net, told, target)
        move, moments = self._adam.update(slope, state.moments)
        return State(optax.apply_updates(state.net, move), moments)

    @property
    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.rate)


class Neural(AbstractCredit):
    r"""$\hat Q_j(z_{N_j})$ of each agent's own rewards, as a function of the states and actions up
    to a radius around it, by a network that all agents share; it follows TD($\lambda$) targets, of
    which the last tick of an episode has none. Each step looks at all of a rollout. What comes out
    is $\gamma^t \hat Q_j$, in units of the first tick.

    With $\lambda = 1$ it tends to the mean of what follows given what is nearby, which loses
    nothing where policies read no more than critics do; with less it is less noisy.
    """

    learning: Learning
    """Of a network that is told states, then actions."""
    actions: int = eqx.field(static=True)

    def init(self, key: Key) -> State:
        return self.learning.init(key)

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: State
    ) -> tuple[Signal, State]:
        learning, reward = self.learning, signal.advantage
        taken = jax.nn.one_hot(rollout.action, self.actions)
        told = jnp.concatenate([learning.states(rollout), taken], axis=-1)
        unit = _unit(reward, learning.discount)

        def step(_, state):
            return learning.step(state, told, self._targets(judged(state.net, told), reward / unit))

        state = jax.lax.fori_loop(0, learning.steps, step, state)
        value = unit * judged(state.net, told)
        return replace(signal, advantage=in_first_units(value, learning.discount)), state

    def _targets(
        self, value: Float[Array, "T E N"], reward: Float[Array, "T E N"]
    ) -> Float[Array, "L E N"]:
        """Of all ticks but the last."""
        never = jnp.zeros(len(reward) - 1, bool)
        rule = partial(lambda_returns, discount=self.learning.discount, trace=self.learning.trace)

        def alone(reward, following):
            return rule(reward, following, never, never)

        return _by_agent(alone)(reward[:-1], value[1:])


class Foresight(AbstractCredit):
    r"""Generalised advantages of each agent's own rewards, $\gamma^t \hat A_j$ in units of the
    first tick, by a network $\hat V_j(s_{N_j})$ of the states up to a radius around it that all
    agents share. It judges a rollout before it has learnt from it, so it is a baseline that knows
    nothing of the actions. Each step looks at a share of the rollout's ticks.
    """

    learning: Learning
    """Of a network that is told states."""

    def init(self, key: Key) -> State:
        return self.learning.init(key)

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: State
    ) -> tuple[Signal, State]:
        learning = self.learning
        told = learning.states(rollout)
        if len(told) < 2:
            raise UserError(
                "algorithm.critic: gae learns from what one tick is worth beside the next, so "
                "episodes need at least two; cone takes any."
            )
        unit = _unit(signal.advantage, learning.discount)
        value = judged(state.net, told)
        found = self._advantages(value, signal.advantage / unit)
        target = value[:-1] + found
        shares = min(SHARES, len(target))

        def step(at, state):
            # The last stretch may be short; ticks from the first one on take the missing places.
            ticks = (jnp.arange(-(-len(target) // shares)) * shares + at % shares) % len(target)
            return learning.step(state, told[ticks], target[ticks])

        state = jax.lax.fori_loop(0, learning.steps, step, state)
        # Of the last tick nobody knows what follows.
        advantage = unit * jnp.concatenate([found, jnp.zeros_like(value[:1])])
        return replace(signal, advantage=in_first_units(advantage, learning.discount)), state

    def _advantages(
        self, value: Float[Array, "T E N"], reward: Float[Array, "T E N"]
    ) -> Float[Array, "L E N"]:
        """Of all ticks but the last."""
        never = jnp.zeros(len(reward) - 1, bool)
        rule = partial(gae, discount=self.learning.discount, trace=self.learning.trace)

        def alone(reward, value, following):
            return rule(reward, value, following, never, never)

        return _by_agent(alone)(reward[:-1], value[:-1], value[1:])


def _by_agent(function: Callable[..., Float[Array, " T"]]) -> Callable[..., Array]:
    """A function of one agent's ticks in one scenario, for all of them, [T, E, N]."""
    return jax.vmap(jax.vmap(function, 1, 1), 1, 1)


def _unit(reward: Float[Array, "T E N"], discount: float) -> Scalar:
    """Values are learnt in units of what is paid, which differs from objective to objective."""
    return jnp.sqrt(jnp.mean(reward**2)) / (1 - discount) + SMALLEST


def judged(net: PyTree, told: Float[Array, "T E N F"]) -> Float[Array, "T E N"]:
    """Tick after tick: what is around everybody, side by side, would be many times the rollout."""
    return jax.lax.map(net, told)


def error(net: PyTree, told: Float[Array, "T E N F"], target: Float[Array, "L E N"]) -> Scalar:
    """Mean square, over the ticks that have targets."""

    @jax.checkpoint
    def tick(total, now):
        told, target = now
        return total + jnp.mean((net(told) - target) ** 2), None

    count = len(target)
    return jax.lax.scan(tick, jnp.float32(0), (told[:count], target))[0] / count
