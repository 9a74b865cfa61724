"""Critics of actions: how they learn, and what actors are told of them."""

import abc
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from descant.algorithms._actor_critic import AbstractActionCritic, Fit, heard
from descant.ascent.climb import Climb
from descant.ascent.together import adam, chunks, flatten, followed, fresh
from descant.core.algorithm import AbstractPolicy, Probe, Schedule, Term
from descant.core.types import Action, Key, Number, Observation, PyTree, Rollout, Scalar, Signal
from descant.credit.probes import Luck
from descant.nets import recurrent
from descant.nets.beside import Beside
from descant.ops import moments
from descant.ops.losses import huber, masked_mean, masked_moments
from descant.ops.policies import gumbel, rows
from descant.ops.returns import lambda_returns
from descant.ops.targets import lag

KEPT = 2**26
"""Numbers, of all ticks of one learner's rollout together, up to which what is made of them is kept
while actors learn (256 MiB); beyond, each of their steps makes it anew."""

AT_ONCE = 256
"""Ticks that are judged at once where nothing is learnt: hidden numbers of all would fill memory.
"""


TICKS, DRAWS = 256, 8
"""Ticks of a rollout, and other joint actions at each, at which a critic that is climbed is asked
how much of the advantages it knows."""


class Judge(eqx.Module):
    """What a critic of actions has learnt."""

    net: PyTree
    target: PyTree
    """A copy that lags behind."""
    optimiser: PyTree
    values: moments.Moments
    """Running moments of targets: values are learnt in these units."""


class Lesson(eqx.Module):
    """What a critic of actions learns from a rollout, and how."""

    make: Callable[[Key], PyTree] = eqx.field(static=True)
    fit: Fit
    discount: Number
    trace: Number
    """Lambda of its targets."""
    lag: Number
    """Share of the way that the copy goes at each step."""
    following: Literal["best", "sampled"] = eqx.field(static=True, default="sampled")
    """Which action of the next tick targets are made of."""


class Learned(AbstractActionCritic):
    """A critic that follows TD(lambda) targets of each rollout, made from a copy that lags."""

    lesson: eqx.AbstractVar[Lesson]

    @abc.abstractmethod
    def judge(
        self, net: PyTree, observation: Observation, action: Float[Array, "N A"]
    ) -> Float[Array, " V"]:
        """What the joint action of a tick is worth, in the network's own unit."""

    def net(self, state: Judge) -> PyTree:
        return state.net

    def init(self, key: Key) -> Judge:
        net = self.lesson.make(key)
        optimiser = adam(self.lesson.fit.norm).init(net)
        return Judge(net=net, target=net, optimiser=optimiser, values=moments.start())

    def fit(
        self, state: Judge, actor: AbstractPolicy, rollout: Rollout, progress: Scalar, key: Key
    ) -> tuple[Judge, dict[str, Scalar]]:
        fit = self.lesson.fit
        target = self._targets(state, actor, rollout)
        values = fit.follow(state.values, target)
        mean, deviation = fit.scale(values)
        # Values at ticks at which an agent rests are part of targets, so they are learnt, too.
        given = rollout, (target - mean) / deviation
        pieces = chunks(given, fresh(rollout), fit.chunk)

        def loss(net, index):
            batch = jax.tree.map(lambda x: x[index], pieces)
            ticks, target = followed(partial(recurrent.follow, net), batch)
            action = rows(ticks.action, ticks.observation.mask.shape[-1])
            said = jax.vmap(partial(self.judge, net))(ticks.observation, action)
            return jnp.mean(huber(said - target, fit.delta))

        step = fit.descent(loss, progress)

        def lagging(carry, index):
            moved, told = step(carry[0], index)
            return (moved, lag(carry[1], moved[0], jnp.int32(0), self.lesson.lag, 1)), told

        start = (state.net, state.optimiser), state.target
        indices = fit.batches(key, *pieces.fresh.shape)
        ((net, optimiser), copy), (error, norm) = jax.lax.scan(lagging, start, indices)
        metrics = {"action_critic_loss": jnp.mean(error), "action_critic_norm": jnp.mean(norm)}
        return Judge(net=net, target=copy, optimiser=optimiser, values=values), metrics

    def _targets(
        self, state: Judge, actor: AbstractPolicy, rollout: Rollout
    ) -> Float[Array, "T E V"]:
        """What the value of each joint action should be, in units of reward.

        What follows the last tick, or a truncation, is not in the rollout; the critic of ticks has
        seen it. A copy that remembers starts from what the critic does as the rollout begins.
        """
        taken = self.lesson.following == "sampled"
        action = rollout.action if taken else self._best(actor, rollout)
        said = self._judged(state.target, heard(state.target, rollout), action)
        mean, deviation = self.lesson.fit.scale(state.values)
        said = mean + deviation * said
        last = jnp.mean(rollout.bootstrap, axis=-1, keepdims=True)
        following = jnp.concatenate([said[1:], jnp.broadcast_to(last[-1:], said[-1:].shape)])
        following = jnp.where(rollout.truncated[..., None], last, following)
        returns = partial(lambda_returns, discount=self.lesson.discount, trace=self.lesson.trace)
        over_values = jax.vmap(returns, (None, 1, None, None), 1)
        over_scenarios = jax.vmap(over_values, (1, 1, 1, 1), 1)
        return over_scenarios(rollout.reward, following, rollout.terminated, rollout.truncated)

    def _judged(
        self, net: PyTree, observation: Observation, action: Action
    ) -> Float[Array, "T E V"]:
        """Of all ticks of a rollout, in the network's own unit."""
        return each_tick(
            lambda tick: self.judge(net, tick[0], rows(tick[1], tick[0].mask.shape[-1])),
            (observation, action),
        )

    def _best(self, actor: AbstractPolicy, rollout: Rollout) -> Action:
        return each_tick(lambda tick: actor.best(actor.listen(tick)), rollout.observation)


def each_tick(function: Callable[[PyTree], PyTree], rollout: PyTree) -> PyTree:
    """A function of every tick of a rollout, [T, E, ...], some ticks at a time."""
    shape = jax.tree.leaves(rollout)[0].shape[:2]
    out = jax.lax.map(function, flatten(rollout), batch_size=AT_ONCE)
    return jax.tree.map(lambda x: x.reshape(*shape, *x.shape[1:]), out)


class Factorised(Learned):
    """A joint value made of utilities, which actors climb through their actions; MAIPG."""

    lesson: Lesson
    weight: Schedule | None
    """Of the term; without one, the value is learnt and nobody climbs it."""
    make_term: Callable[..., Climb] = eqx.field(static=True)
    """The term, given value, weight and unit."""
    luck: Luck | None
    """Chance for choices that the term draws anew."""
    in_advantages: bool = eqx.field(static=True)
    """Whether values count in the unit of advantages, or as they are, in units of reward."""

    @property
    def probes(self) -> Mapping[str, Probe]:
        """Luck, where it is wanted."""
        return {} if self.weight is None or self.luck is None else {"luck": self.luck}

    def judge(
        self, net: PyTree, observation: Observation, action: Float[Array, "N A"]
    ) -> Float[Array, " V"]:
        return net(observation, action)

    def read(
        self, state: Judge, actor: AbstractPolicy, rollout: Rollout
    ) -> Mapping[str, Float[Array, "T E N A"]]:
        """Luck as the noise that choices are drawn with, the same for every step of the actors."""
        actions = rollout.observation.mask.shape[-1]
        if not self.probes or rollout.log_prob.size * actions > KEPT:
            return {}
        return {"noise": each_tick(partial(gumbel, actions=actions), rollout.probes["luck"])}

    def look(self, state: Judge, rollout: Rollout) -> PyTree:
        if self.weight is None:
            return None
        look = state.net.look
        ticks = rollout.observation
        first = jax.eval_shape(look, jax.tree.map(lambda x: x[0, 0], ticks))
        size = sum(x.size for x in jax.tree.leaves(first)) * rollout.reward.size
        return each_tick(look, ticks) if size <= KEPT else None

    def foresight(
        self,
        state: Judge,
        actor: AbstractPolicy,
        rollout: Rollout,
        advantage: Float[Array, "T E V"],
        key: Key,
    ) -> dict[str, Scalar]:
        r"""$R_{Var} = \mathrm{Var}(A - Q) / \mathrm{Var}(A)$, MAIPG (2024), section 5.2: as it
        reads, and with $Q - \mathbb{E}_{a \sim \pi} Q$, as an action is judged within its state."""
        which, drawn = jax.random.split(key)
        ticks = flatten((rollout.observation, rollout.action, jnp.mean(advantage, axis=-1)))
        count = len(ticks[2])
        asked = strata(which, min(TICKS, count), count)
        observation, action, advantage = jax.tree.map(lambda x: x[asked], ticks)

        def said(observation, action, key):
            draw = lambda key: actor.sample(actor.listen(observation), key)[0]  # noqa: E731
            others = jax.vmap(draw)(jax.random.split(key, DRAWS))
            every = rows(jnp.concatenate([action[None], others]), observation.mask.shape[-1])
            heard = recurrent.listen(state.net, observation)
            judge = partial(state.net.judge, heard, state.net.look(heard))
            return jnp.sum(jax.vmap(judge)(every), axis=-1)

        _, deviation = self.lesson.fit.scale(state.values)
        keys = jax.random.split(drawn, len(asked))
        value = deviation * jax.vmap(said)(observation, action, keys)
        counts = jnp.any(observation.active, axis=-1).astype(jnp.float32)
        return variance_left(advantage, value[:, 0], value[:, 1:], counts)

    def term(self, state: Judge, signal: Signal) -> Term | None:
        if self.weight is None:
            return None
        _, deviation = self.lesson.fit.scale(state.values)
        unit = deviation / signal.unit if self.in_advantages else deviation * signal.left
        return self.make_term(value=state.net, weight=self.weight, unit=unit)


def strata(key: Key, some: int, count: int) -> Int[Array, " B"]:
    """So many of `count` indices, one from each of as many equal stretches."""
    place = (jnp.arange(some) + jax.random.uniform(key, (some,))) * (count / some)
    return jnp.minimum(place.astype(jnp.int32), count - 1)


def variance_left(
    advantage: Float[Array, " B"],
    value: Float[Array, " B"],
    others: Float[Array, "B K"],
    counts: Float[Array, " B"],
) -> dict[str, Scalar]:
    """The share of the variance of advantages that is left without a value of the actions taken:
    the value as it is, and less its mean over actions drawn anew."""

    def variance(x):
        return masked_moments(x, counts)[1]

    centre = jnp.mean(others, axis=-1)
    # The mean of some draws is off by this much; what that adds to the variance is no fault of the
    # value.
    off = masked_mean(jnp.var(others, axis=-1, ddof=1), counts) / others.shape[-1]
    whole = jnp.maximum(variance(advantage), 1e-12)
    return {
        "variance_left": variance(advantage - value) / whole,
        "variance_left_centred": (variance(advantage - value + centre) - off) / whole,
    }


class Counterfactual(Learned):
    r"""$A^i = Q^i(a^i) - \sum_u \pi^i(u)\, Q^i(u)$, all others acting as they did; Foerster et al.
    (2018), eq. 4."""

    lesson: Lesson
    heed: Float[Array, "N N"]
    """How much each other agent's action counts to an agent; of itself, nothing."""
    mean: bool = eqx.field(static=True)
    """Whether the mean of those who act counts, or their sum."""

    def judge(
        self, net: Beside, observation: Observation, action: Float[Array, "N A"]
    ) -> Float[Array, " V"]:
        return jnp.sum(self.choices(net, observation, action) * action, axis=-1)

    def choices(
        self, net: Beside, observation: Observation, action: Float[Array, "N A"]
    ) -> Float[Array, "N A"]:
        """What each choice of an agent is worth, the others acting as they did."""
        heed = self.heed * observation.active.astype(jnp.float32)[None]
        if self.mean:
            heed = heed / jnp.maximum(jnp.sum(heed, axis=-1, keepdims=True), 1e-6)
        return net(observation, action, heed)

    def read(
        self, state: Judge, actor: AbstractPolicy, rollout: Rollout
    ) -> Mapping[str, Float[Array, "T E N"]]:
        _, deviation = self.lesson.fit.scale(state.values)

        def gain(tick):
            observation, action = tick
            said = actor.assess(actor.listen(observation), action)
            taken = rows(action, observation.mask.shape[-1])
            worth = self.choices(state.net, observation, taken)
            gain = jnp.sum((taken - said.probabilities) * worth, axis=-1)
            return deviation * jnp.where(said.acts, gain, 0.0)

        return {"counterfactual": each_tick(gain, (rollout.observation, rollout.action))}
