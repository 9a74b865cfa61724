"""A domain: a world, the analytic model people already have for it, and the rules they use
today."""

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from descant.core.env import AbstractEnv
from descant.core.model import AbstractModel
from descant.core.network import AbstractSystem
from descant.core.types import Action, Key, Observation, PyTree
from descant.core.utility import AbstractObjective, AbstractOracle

Rule = Callable[[PyTree, Observation, Key], Action]
"""A rule-based policy: `(state, observation, key) -> action [N]`; it may look at the whole
state."""


class AbstractStateRule(abc.ABC):
    """A rule by which no agent looks at anything but its own state on a network, so that where it
    spends its time can be known exactly."""

    @abc.abstractmethod
    def __call__(self, state: PyTree, observation: Observation, key: Key) -> Action:
        """Act."""

    @abc.abstractmethod
    def by_state(self, agents: int, states: int, actions: int) -> Float[np.ndarray, "N S A"]:
        """Chances of each agent's actions by its own state."""


@dataclass(frozen=True)
class Domain:
    """What an algorithm, the evaluation and the report need to know of a field."""

    name: str
    env: AbstractEnv
    model: AbstractModel | None = None
    rules: Mapping[str, Rule] = field(default_factory=dict)
    headline: str = ""
    """The rule that everybody compares with."""
    figures: tuple[str, ...] = ()
    """Diagnostics worth a curve over an episode, in the order of the report."""
    bound: Callable[[PyTree], float] | None = None
    """A mean reward per tick that no policy exceeds on a scenario, from the state that `env.reset`
    has just returned; computed on the host, outside compiled programs."""
    network: AbstractSystem | None = None
    """Graph and local states, where agents change only what is near them."""
    default: Callable[[PyTree], Action] | None = None
    """What difference rewards measure each agent's action against, `(state) -> action [N]`: what
    comes nearest to doing nothing, or any choice, as long as it does not look at the action."""
    objective: AbstractObjective | None = None
    """What the team wants of its occupancies, where that is more than a mean reward."""
    constraint: AbstractObjective | None = None
    """What every agent is to have at least 0 of, as `local` has it."""
    exact: Callable[[float], AbstractOracle] | None = None
    """Exact answers about the network at a discount, where there are any."""
