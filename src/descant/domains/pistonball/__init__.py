"""A surrogate of Pistonball without a physics engine: a row of pistons rolls a ball to the left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain


@dataclass(frozen=True)
class Config:
    """Pistons side by side under a ball; scores are not those of the game it stands for."""

    agents: int = 10
    """Pistons."""
    gravity: float = 18.75
    """What pulls the ball down a slope, in pistons per second squared (750 pixels)."""
    friction: float = 0.3
    """Share of its speed that the ball loses in a second."""
    noise: float = 0.5
    """Deviation of its acceleration, drawn at every step of the physics."""
    start: float = 0.5
    """Heights are anything up to this at first."""
    entropy: float = 0.0
    """Least entropy of every piston's heights over time, in nats, for algorithms that keep
    constraints; 0 asks for none."""
    horizon: int = 100
    """Ticks of an episode, half a second each."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name, least in (("agents", 3), ("horizon", 1)):
            if getattr(self, name) < least:
                raise UserError(
                    f"domain.{name}: expected at least {least}, got {getattr(self, name)}."
                )
        for name in ("gravity", "friction", "noise", "entropy"):
            if not getattr(self, name) >= 0:
                raise UserError(f"domain.{name}: expected at least 0, got {getattr(self, name)}.")
        if not 0 <= self.start <= 1:
            raise UserError(f"domain.start: expected 0 to 1, got {self.start}.")


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range.
    """
    config.validate()
    from descant.domains.pistonball.world import build

    return build(config)
