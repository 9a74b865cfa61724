"""Keep an infection down on a network: protection helps neighbours, too, and costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError
from descant.ops.graph_settings import GraphSettings

if TYPE_CHECKING:
    from descant.core.domain import Domain


@dataclass(frozen=True)
class Config(GraphSettings):
    """An infection that can be caught again (SIS)."""

    contagion: float = 0.3
    """Chance to catch it from an infected neighbour in a tick; with 0.8, and recovery 0.1, it
    spreads by itself."""
    recovery: float = 0.3
    """Chance to recover in a tick."""
    imported: float = 0.02
    """Chance to catch it from elsewhere."""
    shield: float = 0.3
    """What is left of contagion for each of the two that protects itself."""
    healing: float = 0.2
    """What protection adds to the chance of recovery."""
    start: float = 0.1
    """Share of the infected at first."""
    cost: float = 0.2
    """What a tick of protection costs, in ticks of infection."""
    utility: Literal["linear", "target", "budget", "fair"] = "linear"
    """What agents want: little infection and protection; a share of infected ticks near `target`;
    the first within a budget of protected ticks; or, so that nobody bears too much, the logarithm
    of what infection and protection leave."""
    target: float = 0.05
    """Share of infected ticks that `target` is after."""
    budget: float = 0.3
    """Share of ticks that an agent may protect itself under `budget`."""
    horizon: int = 50
    """Ticks of an episode."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        self.check_graph()
        names = ("contagion", "recovery", "imported", "shield", "healing", "start", "target")
        for name in (*names, "budget"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"domain.{name}: expected 0 to 1, got {getattr(self, name)}.")
        if self.recovery + self.healing > 1:
            raise UserError(
                f"domain.healing: expected at most 1 - domain.recovery = {1 - self.recovery:g}, "
                f"got {self.healing}."
            )
        if not self.cost >= 0:
            raise UserError(f"domain.cost: expected at least 0, got {self.cost}.")
        if self.horizon < 1:
            raise UserError(f"domain.horizon: expected at least 1, got {self.horizon}.")


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range, or the graph cannot be made.
    """
    config.validate()
    from descant.domains.epidemic.world import build

    return build(config)
