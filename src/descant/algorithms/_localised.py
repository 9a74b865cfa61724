"""Localised policy gradients with general utilities, on tables."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from descant.algorithms.localised import Config
from descant.core.algorithm import (
    AbstractAlgorithm,
    AbstractCredit,
    Assessment,
    Parts,
    Probe,
    Schedule,
)
from descant.core.errors import UserError
from descant.core.network import AbstractNetwork
from descant.core.types import Key, Observation, PyTree, Rollout, Scalar, Signal
from descant.core.utility import AbstractObjective
from descant.credit.critics import Additive, Advantages, Tables
from descant.credit.networked import Ahead, Nearby, shadowed
from descant.nets.table import MOST, Table, Tabular, Window
from descant.ops import occupancy
from descant.ops.duals import Duals
from descant.ops.neighbourhood import ring_of
from descant.ops.networked import states_of

ADAM = optax.scale_by_adam()
RIDGE = 1e-2
"""Scenarios that additive critics make up."""


class Learner(NamedTuple):
    """Everything that learning changes."""

    logits: Float[Array, "M C A"]
    moments: PyTree
    """Of the optimiser."""
    credit: PyTree
    prices: Float[Array, " N"]
    """What is remembered of the prices of constraints."""
    visits: Float[Array, "N C"]
    """Moving average of shares of time by what is seen."""
    updates: Int[Array, ""]


class Prices(NamedTuple):
    """Of constraints."""

    held: Float[Array, " N"]
    """What is remembered."""
    now: Float[Array, " N"] | None
    """What counts; None where there are no constraints."""


class Walk(NamedTuple):
    """What agents were in, saw and did, tick by tick."""

    state: Int[Array, "T E N"]
    row: Int[Array, "T E N"]
    action: Int[Array, "T E N"]


class Localised(AbstractAlgorithm):
    """Roll out whole episodes, estimate occupancies, take the utilities' gradients for rewards, and
    climb what follows of them nearby."""

    objective: AbstractObjective | None
    paid: AbstractNetwork | None
    """Whose rewards count, where nothing but reward is wanted."""
    constraint: AbstractObjective | None
    """What every agent is to have at least 0 of."""
    duals: Duals | None
    credit: AbstractCredit
    """From shadow rewards to what an action is given credit for."""
    rate: Schedule
    window: Window = eqx.field(static=True)
    actions: int = eqx.field(static=True)
    horizon: int = eqx.field(static=True)
    discount: float = eqx.field(static=True)
    shared: bool = eqx.field(static=True)
    split: bool = eqx.field(static=True)
    memory: float = eqx.field(static=True)
    largest: float = eqx.field(static=True)
    cut: float | None = eqx.field(static=True)
    heard: float = eqx.field(static=True)
    """Others whose returns an agent hears, in the mean."""

    @property
    def probes(self) -> Mapping[str, Probe]:
        """None."""
        return {}

    def init(self, key: Key) -> Learner:
        tables = 1 if self.shared else self.window.graph.agents
        logits = jnp.zeros((tables, self.window.rows, self.actions))
        agents = self.window.graph.agents
        return Learner(
            logits=logits,
            moments=ADAM.init(logits),
            credit=self.credit.init(),
            # Of the size of a world only where it must be: shared tables go anywhere.
            prices=jnp.zeros((agents if self.constraint is not None else 0,)),
            visits=jnp.zeros((agents, self.window.rows) if self.memory else (0, 0)),
            updates=jnp.int32(0),
        )

    def policy(self, learner: Learner) -> Tabular:
        return Tabular(net=Table(logits=learner.logits, window=self.window))

    def value(self, learner: Learner, observation: Observation) -> Float[Array, " V"]:
        # There is no critic: returns are counted, not foretold.
        return jnp.zeros((1,))

    def context(self, state: PyTree) -> PyTree:
        return ()

    def update(
        self, learner: Learner, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[Learner, dict[str, Scalar]]:
        first, second = self._halves(rollout)
        visits = self._remembered(learner, self._visits(self._walk(first)))
        here = self._occupied(learner, visits)
        prices, said = self._priced(learner, here)
        shadow, more = self._shadow(here, prices)
        slope, credit = self.slope(learner, second, shadow, progress)
        move, moments = ADAM.update(slope, learner.moments)
        logits = learner.logits + self.rate(progress) * jnp.asarray(move)
        logits = jnp.clip(logits, -self.largest, self.largest)
        metrics = {
            "gradient_norm": optax.tree.norm(slope),
            "entropy": self._entropy(learner, visits),
            **said,
            **more,
            **self._utilities(here),
            **self._traffic(rollout),
        }
        learner = Learner(
            logits=logits,
            moments=moments,
            credit=credit,
            prices=prices.held,
            visits=visits if self.memory else learner.visits,
            updates=learner.updates + 1,
        )
        return learner, metrics

    def slope(
        self, learner: Learner, rollout: Rollout, shadow: Float[Array, "N S A"], progress: Scalar
    ) -> tuple[Float[Array, "M C A"], PyTree]:
        r"""The estimate of $N \nabla_{\theta_i} F$ by a rollout, given shadow rewards, and the
        state of the credit chain; of one table for all, $\nabla_\theta F$."""
        walk = self._walk(rollout)
        weight, credit = self._weight(learner, rollout, walk, shadow, progress)
        rows, actions = self.window.rows, self.actions
        gain = occupancy.by_cell(weight, walk.row * actions + walk.action, rows * actions)
        gain = gain.reshape(-1, rows, actions) / weight.shape[1]
        if self.shared:
            gain = jnp.mean(gain, axis=0, keepdims=True)
        chances = jax.nn.softmax(learner.logits)
        return gain - chances * jnp.sum(gain, axis=-1, keepdims=True), credit

    def occupancy(self, learner: Learner, rollout: Rollout) -> Float[Array, "N S A"]:
        """Estimated occupancies; each agent's sums to one."""
        return self._occupied(learner, self._visits(self._walk(rollout)))

    def frozen(self, learner: Learner, rollout: Rollout) -> "Localised":
        return self

    def parts(self, learner: Learner, said: Assessment, rollout: Rollout) -> Parts:
        walk = self._walk(rollout)
        here = self._occupied(learner, self._visits(walk))
        shadow, _ = self._shadow(here, self._priced(learner, here)[0])
        weight, _ = self._weight(learner, rollout, walk, shadow, jnp.float32(0))
        log_prob = jnp.where(said.acts, said.log_prob, 0.0)
        return Parts(learning=log_prob * weight, guidance=jnp.zeros_like(log_prob))

    def _walk(self, rollout: Rollout) -> Walk:
        ticks = rollout.action.shape[0]
        if ticks != self.horizon:
            raise UserError(
                f"train.steps: localised learns from whole episodes of {self.horizon} ticks, got "
                f"rollouts of {ticks}; leave it out."
            )
        state = states_of(rollout.observation, self.window.states)
        return Walk(state, self.window.row(state), rollout.action)

    def _halves(self, rollout: Rollout) -> tuple[Rollout, Rollout]:
        """What occupancies are estimated from, and what gradients."""
        count = rollout.action.shape[1]
        if not self.split:
            return rollout, rollout
        if count < 2:
            raise UserError("train.rollouts: algorithm.split takes at least 2, got 1.")
        # The analytic model's context, which comes without axes where there is none, is not asked.
        whole = replace(rollout, context=())
        return (
            jax.tree.map(lambda x: x[:, : count // 2], whole),
            jax.tree.map(lambda x: x[:, count // 2 :], whole),
        )

    def _visits(self, walk: Walk) -> Float[Array, "N C"]:
        """Discounted shares of time by what is seen."""
        ticks, scenarios, _ = walk.row.shape
        weight = occupancy.tick_weights(self.discount, ticks)[:, None, None]
        return occupancy.by_cell(weight, walk.row, self.window.rows) / scenarios

    def _occupied(self, learner: Learner, visits: Float[Array, "N C"]) -> Float[Array, "N S A"]:
        return occupancy.occupancy(visits, jax.nn.softmax(learner.logits), self.window.states)

    def _remembered(self, learner: Learner, visits: Float[Array, "N C"]) -> Float[Array, "N C"]:
        """The moving average, from the first update on."""
        if not self.memory:
            return visits
        kept = jnp.where(learner.updates > 0, self.memory, 0.0)
        return kept * learner.visits + (1 - kept) * visits

    def _priced(
        self, learner: Learner, here: Float[Array, "N S A"]
    ) -> tuple[Prices, dict[str, Scalar]]:
        """Prices of constraints, and what to record of them."""
        if self.constraint is None or self.duals is None:
            return Prices(learner.prices, None), {}
        margin = self.constraint.local(here)
        held = self.duals.follow(learner.prices, margin)
        now = self.duals.price(held, margin)
        short = jnp.maximum(-margin, 0)
        said = {
            "violation": jnp.sum(short),
            "violated": jnp.mean(short > 0),
            "price": jnp.mean(now),
        }
        return Prices(held, now), said

    def _shadow(
        self, here: Float[Array, "N S A"], prices: Prices
    ) -> tuple[Float[Array, "N S A"], dict[str, Scalar]]:
        """Shadow rewards less their mean, which changes no gradient, and what to record of them."""
        shadow = jnp.zeros_like(here) if self.objective is None else self.objective.shadow(here)
        if self.constraint is not None and prices.now is not None:
            shadow = shadow + prices.now[:, None, None] * self.constraint.shadow(here)
        shadow = shadow - jnp.sum(shadow * here, axis=(1, 2), keepdims=True)
        said = {"shadow_largest": jnp.max(jnp.abs(shadow))}
        if self.cut is None:
            return shadow, said
        said["shadow_cut"] = jnp.mean(jnp.abs(shadow) > self.cut)
        return jnp.clip(shadow, -self.cut, self.cut), said

    def _weight(
        self,
        learner: Learner,
        rollout: Rollout,
        walk: Walk,
        shadow: Float[Array, "N S A"],
        progress: Scalar,
    ) -> tuple[Float[Array, "T E N"], PyTree]:
        r"""What the score of each action is multiplied with. The 1/N of the team's mean and the N
        of the step cancel; what follows is in units of the first tick, so $\gamma^t$ is in it."""
        own = shadowed(shadow, walk.state, walk.action)
        if self.paid is not None:
            own = own + _rewards(self.paid, walk)
        signal = Signal(rollout.reward, own, rollout.value)
        signal, credit = self.credit(signal, rollout, progress, learner.credit)
        first = occupancy.tick_weights(self.discount, self.horizon)[0]
        return first * signal.advantage, credit

    def _entropy(self, learner: Learner, visits: Float[Array, "N C"]) -> Scalar:
        """Of the choices made, in nats."""
        said = jax.nn.log_softmax(learner.logits)
        each = -jnp.sum(jnp.exp(said) * said, axis=-1)
        return jnp.sum(visits * each) / visits.shape[0]

    def _utilities(self, here: Float[Array, "N S A"]) -> dict[str, Scalar]:
        """The team's and each group's, as the estimated occupancies have it."""
        if self.objective is None:
            return {}
        local = self.objective.local(here)
        groups = {
            f"utility_{name}": jnp.mean(local[who]) for name, who in self.objective.groups.items()
        }
        return {"objective": self.objective.value(here), **groups}

    def _traffic(self, rollout: Rollout) -> dict[str, Scalar]:
        """Numbers, and bytes of them, that an agent hears from others for one update: states to act
        on, a byte each, and returns to learn from, four."""
        ticks, scenarios, agents = rollout.action.shape
        seen = np.sum(self.window.member < agents) / agents - 1
        states, returns = ticks * scenarios * seen, ticks * scenarios * self.heard
        return {
            "messages": jnp.float32(states + returns),
            "bytes": jnp.float32(states + 4 * returns),
        }


def critic(config: Config, network: AbstractNetwork) -> AbstractCredit:
    """The link from shadow rewards to what they are worth from a tick on.

    Raises:
        UserError: a table over what is nearby would not fit.
    """
    discount = config.discount
    if config.critic in ("cone", "mc"):
        return Ahead(discount=discount)
    radius = config.credit_radius if config.critic_radius is None else config.critic_radius
    member = network.graph.balls(radius).member
    agents, wide = member.shape
    sizes = network.states, network.actions
    pair = math.prod(sizes)
    entries = {
        "td": float(pair) ** wide,
        "gae": float(network.states) ** wide,
        "additive": float(wide * pair) ** 2,
        "pairwise": float(wide * pair**2) ** 2,
    }[config.critic]
    if agents * entries > MOST:
        raise UserError(
            f"algorithm.critic_radius: up to {wide} agents are within {radius} hops, and "
            f"{config.critic!r} keeps {entries:.0e} numbers for each of {agents}; {MOST:.0e} fit. "
            f"Use fewer hops, or another algorithm.critic."
        )
    near = jnp.asarray(member)
    if config.critic in ("additive", "pairwise"):
        return Additive(near, *sizes, discount, config.critic == "pairwise", RIDGE)
    if config.critic == "td":
        return Tables(near, *sizes, discount, config.sweeps)
    return Advantages(near, *sizes, discount, config.sweeps, config.trace)


def _rewards(network: AbstractNetwork, walk: Walk) -> Float[Array, "T E N"]:
    """Each agent's rewards; of the last tick, after which nothing is known, none."""

    def tick(now):
        return jax.vmap(network.reward)(*now)

    paid = jax.lax.map(tick, (walk.state[:-1], walk.action[:-1], walk.state[1:]))
    paid = paid.astype(jnp.float32)
    return jnp.concatenate([paid, jnp.zeros_like(paid[:1])])


def nearby(network: AbstractNetwork, radius: int, view: int, *, cone: bool, paid: bool) -> Nearby:
    """The link that adds up over those around, at the lags that follow from what a network's laws
    read; with all lags 0 where it is not for the `cone` of what an action can have changed.

    Shadow rewards are of own states and actions, whatever the network's rewards read; those, where
    they are `paid`, may read states at the end of a tick, so they feel an action a tick earlier.
    """
    farthest = int(network.graph.pairs(radius).distance.max())
    reach = replace(network.reach, reward=network.reach.reward if paid else 0, acts=True)
    by_lag: dict[int | float, list[np.ndarray]] = {}
    for distance, ring in enumerate(network.graph.rings(farthest)):
        lag = max(0, reach.lag(distance, view) - paid) if cone else 0
        by_lag.setdefault(lag, []).append(ring)
    by_lag.pop(math.inf, None)
    return Nearby(
        rings=tuple(ring_of(np.concatenate(rings, axis=1)) for rings in by_lag.values()),
        lags=tuple(by_lag),
    )
