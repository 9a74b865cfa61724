"""Links of a credit chain: each rewrites the signal, and says what it needs to be measured."""

from collections.abc import Mapping

import equinox as eqx
import jax
import jax.numpy as jnp

from descant.core.algorithm import AbstractCredit, Probe, Schedule
from descant.core.types import PyTree, Rollout, Scalar, Signal
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

    def init(self) -> PyTree:
        return tuple(link.init() for link in self.links)

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        states = []
        for link, before in zip(self.links, state, strict=True):
            signal, after = link(signal, rollout, progress, before)
            states.append(after)
        return signal, tuple(states)


def chain(*links: AbstractCredit) -> Chain:
    """Links in order; chains within are taken apart."""
    flat = [part for link in links for part in (link.links if isinstance(link, Chain) else (link,))]
    return Chain(links=tuple(flat))


class Gae(AbstractCredit):
    """Generalised advantage and its target for the critic, from the shared reward."""

    discount: float = eqx.field(static=True)
    trace: float = eqx.field(static=True)

    @property
    def probes(self) -> Mapping[str, Probe]:
        """None."""
        return {}

    def init(self) -> PyTree:
        return ()

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        over_views = jax.vmap(gae, in_axes=(None, 1, 1, None, None, None, None), out_axes=1)
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

    @property
    def probes(self) -> Mapping[str, Probe]:
        """None."""
        return {}

    def init(self) -> PyTree:
        return ()

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        acted = rollout.observation.active.astype(jnp.float32)
        mean, variance = masked_moments(signal.advantage, acted)
        advantage = (signal.advantage - mean) / (jnp.sqrt(variance) + 1e-8)
        return Signal(signal.reward, advantage, signal.target), state


class Guide(AbstractCredit):
    """Blend in the model's slope at the sampled joint action; Yang & Liu (2026), eq. 11.

    The slope is brought to zero mean and unit variance by running moments over everybody who acted,
    and clipped.
    """

    weight: Schedule
    slope: Probe
    momentum: float = eqx.field(static=True, default=0.99)
    limit: float = eqx.field(static=True, default=3.0)

    @property
    def probes(self) -> Mapping[str, Probe]:
        """The slope of each agent's action."""
        return {"slope": self.slope}

    def init(self) -> PyTree:
        return moments.start()

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        acted = rollout.observation.active.astype(jnp.float32)
        slope = rollout.probes["slope"]
        state = moments.follow(state, *masked_moments(slope, acted), self.momentum)
        mean, deviation = moments.read(state)
        slope = jnp.clip((slope - mean) / deviation, -self.limit, self.limit)
        advantage = blend(signal.advantage, slope, self.weight(progress))
        return Signal(signal.reward, advantage, signal.target), state


class Scale(AbstractCredit):
    """Leave room for a loss term of weight alpha: the advantage times 1 - alpha."""

    taken: Schedule
    """The weight that the term takes."""

    @property
    def probes(self) -> Mapping[str, Probe]:
        """None."""
        return {}

    def init(self) -> PyTree:
        return ()

    def __call__(
        self, signal: Signal, rollout: Rollout, progress: Scalar, state: PyTree
    ) -> tuple[Signal, PyTree]:
        advantage = (1 - self.taken(progress)) * signal.advantage
        return Signal(signal.reward, advantage, signal.target), state
