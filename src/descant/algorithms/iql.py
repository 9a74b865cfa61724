"""IQL: every agent learns alone what its actions are worth, as if the others were the world.

Tan (1993), with the networks, replay and lagging copies of Mnih et al. (2015). The settings here
are those of all value-based algorithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.algorithms._value import ValueBased
    from descant.core.domain import Domain

TABLE = {
    "view": "local",
    "sharing": "shared",
    "credit": "own utility",
    "ascent": "TD",
}


@dataclass(frozen=True)
class Config:
    """IQL."""

    net: Literal["mlp", "gru"] = "mlp"
    """A perceptron, or a gated recurrent unit, which remembers what it has seen."""
    hidden: int = 64
    """Width of hidden layers."""
    depth: int = 2
    """Hidden layers of `mlp`; 0 is a linear model."""
    embedding: int = 16
    """Width of the agent-index embedding of `mlp`."""
    chunk: int = 16
    """Ticks in a row through which `gru` learns what to remember, as many of them as divide a
    rollout evenly; 0 for all of a rollout."""
    burn: int = 0
    """Ticks before a chunk that `gru` listens to again, as it now would, before it learns."""
    sharing: Literal["shared", "separate"] = "shared"
    """Whether the agents' networks are one, or each has its own."""
    discount: float = 0.99
    """Discount per tick."""
    trace: float = 0.0
    """Lambda of the targets: 0 takes those of one step, 1 those of a whole sequence."""
    span: int = 1
    """Ticks of a sequence drawn from the replay for `mlp`; for `gru` they are chunks."""
    replay: int = 16384
    """Ticks that are remembered, of all scenarios together."""
    updates: int = 64
    """Gradient steps in an iteration."""
    minibatch: int = 256
    """Ticks in a gradient step, in whole sequences."""
    rate: float = 3e-3
    """Learning rate at the first update."""
    rate_stop: float = 1e-5
    """Learning rate at the last; a straight line joins them."""
    norm: float = 10.0
    """Largest norm of a gradient."""
    target_rate: float = 0.01
    """How far the copy that targets come from moves to the newest weights; 1 copies them."""
    target_every: int = 1
    """Gradient steps from one such move to the next."""
    epsilon: float = 1.0
    """Chance that an agent does anything, at the first update; the deviation of noise where actions
    are continuous (`facmac`)."""
    epsilon_stop: float = 0.05
    """The same in the end."""
    explore: float = 0.5
    """Share of training after which that is reached, in a straight line."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name in ("depth", "embedding", "chunk", "burn", "rate_stop"):
            if not getattr(self, name) >= 0:
                raise UserError(
                    f"algorithm.{name}: expected at least 0, got {getattr(self, name)}."
                )
        for name in ("discount", "trace", "epsilon", "epsilon_stop", "explore"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"algorithm.{name}: expected 0 to 1, got {getattr(self, name)}.")
        if not 0 < self.target_rate <= 1:
            raise UserError(
                f"algorithm.target_rate: expected above 0, up to 1, got {self.target_rate}."
            )
        positive(self, "hidden", "span", "replay", "updates", "minibatch", "target_every")
        positive(self, "rate", "norm")


def positive(config: Any, *names: str) -> None:
    """Check that values are above 0.

    Raises:
        UserError: one is not.
    """
    for name in names:
        if not getattr(config, name) > 0:
            raise UserError(f"algorithm.{name}: expected above 0, got {getattr(config, name)}.")


def make(config: Config, domain: Domain) -> ValueBased:
    """Utilities that stand for themselves.

    Raises:
        UserError: a value of the configuration cannot be used.
    """
    from descant.algorithms._value import build
    from descant.nets.joint import Apart

    return build(config, domain, "IQL", lambda key, net: Apart(net))
