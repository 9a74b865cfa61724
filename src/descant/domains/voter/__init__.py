"""Sway opinions on a network: agents copy neighbours or push; exact answers at any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError
from descant.ops.graph_settings import GraphSettings

if TYPE_CHECKING:
    from descant.core.domain import Domain


@dataclass(frozen=True)
class Config(GraphSettings):
    """Noisy voters."""

    alpha: float = 0.8
    """How much of the next opinion is copied from neighbours; the rest is chance."""
    low: float = 0.1
    """Chance of opinion 1 where nothing is copied and the agent rests."""
    high: float = 0.9
    """The same where it pushes."""
    start: float = 0.5
    """Chance of opinion 1 at first."""
    cost: float = 0.1
    """What pushing costs, in ticks of opinion 1."""
    utility: Literal["thirds", "linear", "entropy", "kl", "coverage"] = "thirds"
    """What agents want of their time: opinion 1 less the cost, variety, shares of time near a
    target, no opinion forgotten; or, in turn, imitation of the target, variety and reward."""
    target: float = 0.7
    """Share of time with opinion 1 that `kl` and `coverage` are after."""
    delta: float = 1e-2
    """What keeps their logarithms finite."""
    entropy: float = 0.0
    """Least entropy of every agent's opinions over time, in nats, for algorithms that keep
    constraints; 0 asks for none."""
    horizon: int = 50
    """Ticks of an episode."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        self.check_graph()
        if not self.entropy >= 0:
            raise UserError(f"domain.entropy: expected at least 0, got {self.entropy}.")
        for name in ("alpha", "low", "high", "start", "target"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"domain.{name}: expected 0 to 1, got {getattr(self, name)}.")
        if not self.low <= self.high:
            raise UserError(
                f"domain.low: expected at most domain.high = {self.high}, got {self.low}."
            )
        if not self.cost >= 0:
            raise UserError(f"domain.cost: expected at least 0, got {self.cost}.")
        if not self.delta > 0:
            raise UserError(f"domain.delta: expected above 0, got {self.delta}.")
        if self.horizon < 1:
            raise UserError(f"domain.horizon: expected at least 1, got {self.horizon}.")


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range, or the graph cannot be made.
    """
    config.validate()
    from descant.domains.voter.world import build

    return build(config)
