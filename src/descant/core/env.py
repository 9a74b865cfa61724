"""A world that agents live in. The environment *is* its parameters, so scenarios are vmapped."""

import abc

import equinox as eqx

from descant.core.types import Action, Key, Observation, PyTree, Spec, Step


class AbstractEnv(eqx.Module):
    """Pure dynamics: no resets inside, no counters outside; the collector decides when to start
    anew."""

    spec: eqx.AbstractVar[Spec]

    @abc.abstractmethod
    def reset(self, key: Key) -> tuple[PyTree, Observation]:
        """Draw a scenario and its first observation."""

    @abc.abstractmethod
    def step(self, key: Key, state: PyTree, action: Action) -> tuple[PyTree, Step]:
        """Let the active agents act; actions of inactive agents have no effect.

        Callers may step on after the end of an episode, and leave out what that gives.
        """
