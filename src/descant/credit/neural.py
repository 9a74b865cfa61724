"""Links that judge actions, or the states they were chosen in, by a network of what is nearby,
learnt from rollout to rollout."""

from collections.abc import Callable
from dataclasses import replace
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


class Neural(AbstractCredit):
    r"""$\hat Q_j(z_{N_j})$ of each agent's own rewards, as a function of the states and actions up
    to a radius around it, by a network that all agents share; it follows TD($\lambda$) targets, of
    which the last tick of an episode has none. What comes out is $\gamma^t \hat Q_j$, in units of
    the first tick.

    With $\lambda = 1$ it tends to the mean of what follows given what is nearby, which loses
    nothing where policies read no more than critics do; with less it is less noisy.
    """

    make: Callable[[Key], PyTree] = eqx.field(static=True)
    """The network, `[E, N, F + A] -> [E, N]`."""
    width: int = eqx.field(static=True)
    """F: numbers that say a state, the first of an agent's own view."""
    actions: int = eqx.field(static=True)
    discount: float = eqx.field(static=True)
    trace: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    """Of the optimiser, each on all of a rollout."""
    rate: float = eqx.field(static=True)

    def init(self, key: Key) -> State:
        net = self.make(key)
        return State(net, self._adam.init(net))

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: State
    ) -> tuple[Signal, State]:
        reward = signal.advantage
        taken = jax.nn.one_hot(rollout.action, self.actions)
        told = jnp.concatenate([rollout.observation.local[..., : self.width], taken], axis=-1)
        unit = _unit(reward, self.discount)

        def step(_, state):
            target = self._targets(judged(state.net, told), reward / unit)
            slope = jax.grad(error)(state.net, told, target)
            move, moments = self._adam.update(slope, state.moments)
            return State(optax.apply_updates(state.net, move), moments)

        state = jax.lax.fori_loop(0, self.steps, step, state)
        value = unit * judged(state.net, told)
        return replace(signal, advantage=in_first_units(value, self.discount)), state

    def _targets(
        self, value: Float[Array, "T E N"], reward: Float[Array, "T E N"]
    ) -> Float[Array, "L E N"]:
        """Of all ticks but the last."""
        never = jnp.zeros(len(reward) - 1, bool)

        def alone(reward, following):
            return lambda_returns(reward, following, never, never, self.discount, self.trace)

        return jax.vmap(jax.vmap(alone, 1, 1), 1, 1)(reward[:-1], value[1:])

    @property
    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.rate)


class Foresight(AbstractCredit):
    r"""Generalised advantages of each agent's own rewards, $\gamma^t \hat A_j$ in units of the
    first tick, by a network $\hat V_j(s_{N_j})$ of the states up to a radius around it that all
    agents share. It judges a rollout before it has learnt from it, so it is a baseline that knows
    nothing of the actions.
    """

    make: Callable[[Key], PyTree] = eqx.field(static=True)
    """The network, `[E, N, F] -> [E, N]`."""
    width: int = eqx.field(static=True)
    """F: numbers that say a state, the first of an agent's own view."""
    discount: float = eqx.field(static=True)
    trace: float = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    """Of the optimiser, each on a share of a rollout's ticks."""
    rate: float = eqx.field(static=True)

    def init(self, key: Key) -> State:
        net = self.make(key)
        return State(net, self._adam.init(net))

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: State
    ) -> tuple[Signal, State]:
        told = rollout.observation.local[..., : self.width]
        if len(told) < 2:
            raise UserError(
                "algorithm.critic: gae learns from what one tick is worth beside the next, so "
                "episodes need at least two; cone takes any."
            )
        unit = _unit(signal.advantage, self.discount)
        value = judged(state.net, told)
        found = self._advantages(value, signal.advantage / unit)
        target = value[:-1] + found
        shares = min(SHARES, len(target))

        def step(at, state):
            # The last stretch may be short; ticks from the first one on take the missing places.
            ticks = (jnp.arange(-(-len(target) // shares)) * shares + at % shares) % len(target)
            slope = jax.grad(error)(state.net, told[ticks], target[ticks])
            move, moments = self._adam.update(slope, state.moments)
            return State(optax.apply_updates(state.net, move), moments)

        state = jax.lax.fori_loop(0, self.steps, step, state)
        # Of the last tick nobody knows what follows.
        advantage = unit * jnp.concatenate([found, jnp.zeros_like(value[:1])])
        return replace(signal, advantage=in_first_units(advantage, self.discount)), state

    def _advantages(
        self, value: Float[Array, "T E N"], reward: Float[Array, "T E N"]
    ) -> Float[Array, "L E N"]:
        """Of all ticks but the last."""
        never = jnp.zeros(len(reward) - 1, bool)

        def alone(reward, value, following):
            return gae(reward, value, following, never, never, self.discount, self.trace)

        by_agent = jax.vmap(jax.vmap(alone, 1, 1), 1, 1)
        return by_agent(reward[:-1], value[:-1], value[1:])

    @property
    def _adam(self) -> optax.GradientTransformation:
        return optax.adam(self.rate)


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
