"""Localised policy gradients with general utilities."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from descant.algorithms._localised_actors import AbstractActors
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
from descant.core.network import AbstractNetwork, AbstractSystem
from descant.core.types import Key, Observation, PyTree, Rollout, Scalar, Signal
from descant.core.utility import AbstractObjective
from descant.credit.critics import Additive, Advantages, Tables
from descant.credit.networked import Ahead, Nearby
from descant.credit.neural import Foresight, Learning, Neural
from descant.nets.around import worth
from descant.nets.policy import Independent
from descant.nets.table import MOST, Window
from descant.ops import occupancy
from descant.ops.duals import Duals
from descant.ops.neighbourhood import ring_of
from descant.ops.restarts import Restarts

ADAM = optax.scale_by_adam()
RIDGE = 1e-2
"""Scenarios that additive critics make up."""


class Learner(NamedTuple):
    """Everything that learning changes."""

    actor: PyTree
    """By which agents choose: a table, or a network."""
    moments: PyTree
    """Of the optimiser."""
    credit: PyTree
    prices: Float[Array, " N"]
    """What is remembered of the prices of constraints."""
    visits: PyTree
    """Moving average of shares of time; None where there is none."""
    chains: PyTree
    """Worlds that start anew by chance; None where there are none."""
    updates: Int[Array, ""]


class Prices(NamedTuple):
    """Of constraints."""

    held: Float[Array, " N"]
    """What is remembered."""
    now: Float[Array, " N"] | None
    """What counts; None where there are no constraints."""


class Localised(AbstractAlgorithm):
    """Roll out whole episodes, estimate occupancies, take the utilities' gradients for rewards, and
    climb what follows of them nearby."""

    objective: AbstractObjective | None
    paid: AbstractSystem | None
    """Whose rewards count, where nothing but reward is wanted."""
    constraint: AbstractObjective | None
    """What every agent is to have at least 0 of."""
    duals: Duals | None
    credit: AbstractCredit
    """From shadow rewards to what an action is given credit for."""
    rate: Schedule
    bonus: Schedule | None
    """Weight of the entropy of choices."""
    actors: AbstractActors
    restarts: Restarts | None
    """Where occupancies are estimated from worlds of their own."""
    density: Callable[[Float[Array, "N S"]], Float[Array, "N S"]] | None = eqx.field(static=True)
    """A model of the law of states, fitted to shares of time; None takes the shares."""
    horizon: int = eqx.field(static=True)
    discount: float = eqx.field(static=True)
    split: bool = eqx.field(static=True)
    memory: float = eqx.field(static=True)
    cut: float | None = eqx.field(static=True)
    credited: int = eqx.field(static=True)
    """Hops up to which the rewards of others count."""
    read: int | None = eqx.field(static=True)
    """Hops up to which a fitted critic reads states and actions; None where there is none."""
    heard: float = eqx.field(static=True)
    """Others whose returns an agent hears, in the mean."""
    size: int = eqx.field(static=True)
    """Bytes that tell a state."""

    @property
    def probes(self) -> Mapping[str, Probe]:
        """None."""
        return {}

    @property
    def radii(self) -> Mapping[str, int]:
        """Of the policy's view, of what a fitted critic reads, of the rewards that count."""
        fitted = {} if self.read is None else {"critic": self.read}
        return {"policy": self.actors.window.view, **fitted, "credit": self.credited}

    @property
    def aims(self) -> tuple[AbstractObjective | None, AbstractObjective | None]:
        """Utility and constraint."""
        return self.objective, self.constraint

    def init(self, key: Key) -> Learner:
        actor_key, chains_key, credit_key = jax.random.split(key, 3)
        actor, agents = self.actors.init(actor_key), self.actors.window.graph.agents
        return Learner(
            actor=actor,
            moments=ADAM.init(actor),
            credit=self.credit.init(credit_key),
            # Of the size of a world only where it must be: shared tables go anywhere.
            prices=jnp.zeros((agents if self.constraint is not None else 0,)),
            visits=self.actors.nothing() if self.memory else None,
            chains=None if self.restarts is None else self.restarts.open(chains_key),
            updates=jnp.int32(0),
        )

    def policy(self, learner: Learner) -> Independent:
        return self.actors.policy(learner.actor)

    def value(self, learner: Learner, observation: Observation) -> Float[Array, " V"]:
        # There is no critic: returns are counted, not foretold.
        return jnp.zeros((1,))

    def context(self, state: PyTree) -> PyTree:
        return ()

    def update(
        self, learner: Learner, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[Learner, dict[str, Scalar]]:
        self._check(rollout)
        first, second = self._halves(rollout)
        fresh, chains = self._fresh(learner, first, key)
        visits = self._remembered(learner, fresh)
        here = self._occupied(learner, visits)
        prices, said = self._priced(learner, here)
        shadow, more = self._shadow(here, prices)
        slope, credit = self.slope(learner, second, shadow, progress)
        move, moments = ADAM.update(slope, learner.moments)
        rate = self.rate(progress)
        actor = jax.tree.map(lambda x, way: x + rate * way, learner.actor, move)
        metrics = {
            "gradient_norm": optax.tree.norm(slope),
            "entropy": self.actors.entropy(learner.actor, visits, first),
            **said,
            **more,
            **self._utilities(here),
            **self.traffic(rollout.reward.size),
        }
        learner = Learner(
            actor=self.actors.held(actor),
            moments=moments,
            credit=credit,
            prices=prices.held,
            visits=visits if self.memory else None,
            chains=chains,
            updates=learner.updates + 1,
        )
        return learner, metrics

    def slope(
        self, learner: Learner, rollout: Rollout, shadow: Float[Array, "N S A"], progress: Scalar
    ) -> tuple[PyTree, PyTree]:
        r"""The estimate of $N \nabla_{\theta_i} F$ by a rollout, given shadow rewards, and the
        state of the credit chain; of one actor for all, $\nabla_\theta F$. The bonus is in it."""
        weight, credit = self._weight(learner, rollout, shadow, progress)
        slope = self.actors.slope(learner.actor, rollout, weight)
        if self.bonus is None:
            return slope, credit
        ticks = self.bonus(progress) * occupancy.tick_weights(self.discount, self.horizon)
        spread = self.actors.spread(learner.actor, rollout, ticks)
        return jax.tree.map(jnp.add, slope, spread), credit

    def occupancy(self, learner: Learner, rollout: Rollout) -> Float[Array, "N S A"]:
        """Occupancies as a rollout's shares of time have them; each agent's sums to one."""
        return self._occupied(learner, self._visits(learner, rollout))

    def frozen(self, learner: Learner, rollout: Rollout) -> "Localised":
        return self

    def parts(self, learner: Learner, said: Assessment, rollout: Rollout) -> Parts:
        """One decision's part in the gradient, with shadow rewards of the rollout's own shares of
        time, whatever occupancies are estimated from in training."""
        self._check(rollout)
        here = self.occupancy(learner, rollout)
        shadow, _ = self._shadow(here, self._priced(learner, here)[0])
        weight, _ = self._weight(learner, rollout, shadow, jnp.float32(0))
        log_prob = jnp.where(said.acts, said.log_prob, 0.0)
        return Parts(learning=log_prob * weight, guidance=jnp.zeros_like(log_prob))

    def _check(self, rollout: Rollout) -> None:
        ticks = rollout.action.shape[0]
        if ticks != self.horizon:
            raise UserError(
                f"train.steps: localised learns from whole episodes of {self.horizon} ticks, got "
                f"rollouts of {ticks}; leave it out."
            )

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

    def _fresh(self, learner: Learner, rollout: Rollout, key: Key) -> tuple[PyTree, PyTree]:
        """Shares of time under the policy at hand, and worlds that go on."""
        if self.restarts is None:
            return self._visits(learner, rollout), None
        walk = self.restarts.walk(self.policy(learner), learner.chains, key, self.horizon)
        even = jnp.full((self.horizon,), 1 / self.horizon)
        return self.actors.visits(learner.actor, walk[1], even), walk[0]

    def _visits(self, learner: Learner, rollout: Rollout) -> PyTree:
        """Discounted shares of time."""
        weight = occupancy.tick_weights(self.discount, rollout.action.shape[0])
        return self.actors.visits(learner.actor, rollout.observation, weight)

    def _occupied(self, learner: Learner, visits: PyTree) -> Float[Array, "N S A"]:
        here = self.actors.occupied(learner.actor, visits)
        if self.density is None:
            return here
        return occupancy.resorted(here, self.density(jnp.sum(here, axis=-1)))

    def _remembered(self, learner: Learner, visits: PyTree) -> PyTree:
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
        self, learner: Learner, rollout: Rollout, shadow: Float[Array, "N S A"], progress: Scalar
    ) -> tuple[Float[Array, "T E N"], PyTree]:
        r"""What the score of each action is multiplied with. The 1/N of the team's mean and the N
        of the step cancel; what follows is in units of the first tick, so $\gamma^t$ is in it."""
        own = self.actors.shadowed(shadow, rollout)
        if self.paid is not None:
            own = own + _rewards(self.paid, rollout)
        signal = Signal(rollout.reward, own, rollout.value)
        signal, credit = self.credit(signal, rollout, progress, learner.credit)
        first = occupancy.tick_weights(self.discount, self.horizon)[0]
        return first * signal.advantage, credit

    def _utilities(self, here: Float[Array, "N S A"]) -> dict[str, Scalar]:
        """The team's and each group's, as the estimated occupancies have it."""
        if self.objective is None:
            return {}
        local = self.objective.local(here)
        groups = {
            f"utility_{name}": jnp.mean(local[who]) for name, who in self.objective.groups.items()
        }
        return {"objective": self.objective.value(here), **groups}

    def traffic(self, ticks: int) -> dict[str, Scalar]:
        """Numbers, and bytes of them, that an agent hears from others for an update of so many
        ticks: states to act on and for a critic, actions for that, a byte each, and returns to
        learn from, four."""
        read = -1 if self.read is None else self.read
        states = self._others(max(self.actors.window.view, read))
        actions = self._others(read)
        return {
            "messages": jnp.float32(ticks * (states + actions + self.heard)),
            "bytes": jnp.float32(ticks * (self.size * states + actions + 4 * self.heard)),
        }

    def _others(self, radius: int) -> float:
        """Within so many hops of an agent, in the mean; none for a radius below 0."""
        if radius < 0:
            return 0.0
        return float(np.mean(self.actors.window.graph.others(radius)[:, -1]))


def critic(config: Config, network: AbstractSystem) -> AbstractCredit:
    """The link from shadow rewards to what they are worth from a tick on.

    Raises:
        UserError: a table over what is nearby would not fit, or there is nothing to count.
    """
    discount, radius = config.discount, config.read
    if radius is None:
        return Ahead(discount=discount)
    counted = isinstance(network, AbstractNetwork)
    if config.critic == "neural" or (config.critic == "gae" and not counted):
        return _learnt(config, network, radius)
    if not counted:
        raise UserError(
            f"algorithm.critic: {config.critic!r} counts states, and these are points; expected "
            f"'cone', 'mc', 'gae' or 'neural'."
        )
    return _counting(config, network, radius)


def _learnt(config: Config, network: AbstractSystem, radius: int) -> AbstractCredit:
    """Those that learn from rollout to rollout."""
    window = Window(network.graph, network.states, radius)
    sizes = {"hidden": config.hidden, "depth": config.depth}
    acts = network.actions if config.critic == "neural" else 0
    learning = Learning(
        make=lambda key: worth(key, window, network.width + acts, **sizes),
        width=network.width,
        discount=config.discount,
        trace=config.trace,
        steps=config.sweeps,
        rate=config.critic_rate,
    )
    return Neural(learning, acts) if acts else Foresight(learning)


def _counting(config: Config, network: AbstractNetwork, radius: int) -> AbstractCredit:
    """Those that keep numbers for all that may be nearby."""
    discount = config.discount
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


def density(
    config: Config, network: AbstractSystem, name: str
) -> Callable[[Float[Array, "N S"]], Float[Array, "N S"]] | None:
    """The model of the law of states that settings ask for on a network of this name.

    Raises:
        UserError: its states have no order.
    """
    if config.occupancy in ("polynomial", "kernel") and not network.ordered:
        raise UserError(
            f"algorithm.occupancy: {config.occupancy!r} is for states in an order, as queues are, "
            f"and the {network.states} of {name!r} have none; expected 'batch' or 'restart'."
        )
    if config.occupancy == "polynomial":
        return partial(occupancy.polynomial, degree=config.degree)
    if config.occupancy == "kernel":
        return partial(occupancy.kernel, width=config.bandwidth)
    return None


def _rewards(network: AbstractSystem, rollout: Rollout) -> Float[Array, "T E N"]:
    """Each agent's rewards; of the last tick, after which nothing is known, none."""
    seen = rollout.observation.local[..., : network.width]

    def paid_at(now):
        here, action, after = now
        return network.reward(network.read(here), action, network.read(after))

    paid = jax.lax.map(jax.vmap(paid_at), (seen[:-1], rollout.action[:-1], seen[1:]))
    paid = paid.astype(jnp.float32)
    return jnp.concatenate([paid, jnp.zeros_like(paid[:1])])


def nearby(network: AbstractSystem, radius: int, view: int, *, cone: bool, paid: bool) -> Nearby:
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
