"""Links of a credit chain: each rewrites the signal, and says what it needs to be measured."""

from collections.abc import Mapping
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.core.algorithm import AbstractCredit, Probe, Schedule
from descant.core.types import Key, Number, PyTree, Rollout, Scalar, Signal
from descant.ops import moments
from descant.ops.guidance import blend
from descant.ops.losses import masked_moments
from descant.ops.returns import gae


class Chain(AbstractCredit):
    """Links one after another."""

    links: tuple[AbstractCredit, ...]

    @property
    def probes(self) -> Mapping[str, Probe]:
        """What all links need."""
        return {name: probe for link in self.links for name, probe in link.probes.items()}

    def init(self, key: Key) -> PyTree:
        keys = jax.random.split(key, len(self.links))
        return tuple(link.init(key) for link, key in zip(self.links, keys, strict=True))

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        states = []
        for link, before in zip(self.links, state, strict=True):
            signal, after = link(signal, rollout, progress, before)
            states.append(after)
        return signal, tuple(states)

    def split(
        self, signal: Signal, rollout: Rollout, state: PyTree
    ) -> tuple[Signal, Float[Array, "T E N"]]:
        guidance = jnp.zeros_like(rollout.log_prob)
        for link, before in zip(self.links, state, strict=True):
            signal, more = link.split(signal, rollout, before)
            guidance = guidance + more
        return signal, guidance

    def frozen(self, signal: Signal, rollout: Rollout, state: PyTree) -> "Chain":
        links = []
        for link, before in zip(self.links, state, strict=True):
            links.append(link.frozen(signal, rollout, before))
            signal, _ = link.split(signal, rollout, before)
        return Chain(links=tuple(links))


def chain(*links: AbstractCredit) -> Chain:
    """Links in order; chains within are taken apart."""
    flat = [part for link in links for part in (link.links if isinstance(link, Chain) else (link,))]
    return Chain(links=tuple(flat))


class Gae(AbstractCredit):
    """Generalised advantage and its target for the critic, from the reward of all or of each."""

    discount: Number
    trace: Number

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        own = 1 if signal.reward.ndim > 2 else None
        over_views = jax.vmap(gae, in_axes=(own, 1, 1, None, None, None, None), out_axes=1)
        over_scenarios = jax.vmap(over_views, in_axes=(1, 1, 1, 1, 1, None, None), out_axes=1)
        advantage = over_scenarios(
            signal.reward,
            rollout.value,
            rollout.bootstrap,
            rollout.terminated,
            rollout.truncated,
            self.discount,
            self.trace,
        )
        target = advantage + rollout.value
        shape = rollout.log_prob.shape
        return Signal(signal.reward, jnp.broadcast_to(advantage, shape), target), state


class Standardise(AbstractCredit):
    """Zero mean and unit variance over everybody who acted."""

    held: tuple[Scalar, Scalar] | None = None
    """Mean and variance to use instead of the batch's own."""

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        mean, variance = self.held or self._moments(signal, rollout)
        unit = jnp.sqrt(variance) + 1e-8
        advantage = (signal.advantage - mean) / unit
        return replace(signal, advantage=advantage, unit=signal.unit * unit), state

    def frozen(self, signal: Signal, rollout: Rollout, state: PyTree) -> "Standardise":
        return Standardise(held=self._moments(signal, rollout))

    def _moments(self, signal: Signal, rollout: Rollout) -> tuple[Scalar, Scalar]:
        acted = rollout.observation.active.astype(jnp.float32)
        return masked_moments(signal.advantage, acted)


class Judged(AbstractCredit):
    """The advantage that a critic of actions has read off."""

    name: str = eqx.field(static=True)
    """What it is called among the probes of a rollout."""

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        return replace(signal, advantage=rollout.probes[self.name], unit=1.0), state


class Reward(AbstractCredit):
    """A reward that is measured beside the team's: instead of it, or on top."""

    name: str = eqx.field(static=True)
    probe: Probe
    added: bool = eqx.field(static=True, default=False)
    """Whether it comes on top, the same for all."""

    @property
    def probes(self) -> Mapping[str, Probe]:
        """What each agent gets."""
        return {self.name: self.probe}

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        measured = rollout.probes[self.name]
        reward = signal.reward + measured[..., 0] if self.added else measured
        return replace(signal, reward=reward), state


class Guide(AbstractCredit):
    """Blend in the model's slope at the sampled joint action; Yang & Liu (2026), eq. 11.

    The slope is brought to zero mean and unit variance by running moments over everybody who acted,
    and clipped.
    """

    weight: Schedule
    slope: Probe
    momentum: Number = 0.99
    limit: Number = 3.0
    held: moments.Moments | None = None
    """Moments to use instead of the running ones."""

    @property
    def probes(self) -> Mapping[str, Probe]:
        """The slope of each agent's action."""
        return {"slope": self.slope}

    def init(self, key: Key) -> PyTree:
        return moments.start()

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        state = self._follow(rollout, state)
        weight = self.weight(progress)
        advantage = blend(signal.advantage, self._slope(rollout, state), weight)
        left = 1 - weight
        unit = signal.unit / left
        return replace(signal, advantage=advantage, unit=unit, left=signal.left * left), state

    def split(
        self, signal: Signal, rollout: Rollout, state: PyTree
    ) -> tuple[Signal, Float[Array, "T E N"]]:
        return signal, self._slope(rollout, self._follow(rollout, state))

    def frozen(self, signal: Signal, rollout: Rollout, state: PyTree) -> "Guide":
        return replace(self, held=self._follow(rollout, state))

    def _follow(self, rollout: Rollout, state: moments.Moments) -> moments.Moments:
        if self.held is not None:
            return self.held
        acted = rollout.observation.active.astype(jnp.float32)
        now = masked_moments(rollout.probes["slope"], acted)
        return moments.follow(state, *now, self.momentum)

    def _slope(self, rollout: Rollout, state: moments.Moments) -> Float[Array, "T E N"]:
        mean, deviation = moments.read(state)
        return jnp.clip((rollout.probes["slope"] - mean) / deviation, -self.limit, self.limit)


class Scale(AbstractCredit):
    """Leave room for a loss term of weight alpha: the advantage times 1 - alpha."""

    taken: Schedule
    """The weight that the term takes."""
    whole: bool = eqx.field(static=True, default=True)
    """Whether what a critic of actions has to say shrinks with the advantage."""

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        left = 1 - self.taken(progress)
        signal = replace(signal, advantage=left * signal.advantage)
        if self.whole:
            signal = replace(signal, unit=signal.unit / left, left=signal.left * left)
        return signal, state

    def split(
        self, signal: Signal, rollout: Rollout, state: PyTree
    ) -> tuple[Signal, Float[Array, "T E N"]]:
        return signal, jnp.zeros_like(rollout.log_prob)
