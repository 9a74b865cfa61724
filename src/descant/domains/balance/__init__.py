"""Share out loads over resources: a toy whose policy gradient and its noise have a closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain


@dataclass(frozen=True)
class Config:
    """Balance."""

    agents: int = 10
    """Agents; each brings one load per tick."""
    resources: int = 5
    """Resources to choose from."""
    horizon: int = 20
    """Ticks of an episode."""
    stay: float = 0.5
    """Share of a load that is still there in the next tick."""
    uneven: float = 0.5
    """Capacities go evenly from 1 less this to 1 plus this, in means; with 0 they are equal."""
    sizes: float = 0.5
    """Spread of loads about 1, drawn per tick; with 0 they are equal."""
    noise: float = 0.0
    """Standard deviation of what is added to the reward for no reason."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name, least in (("agents", 1), ("resources", 2), ("horizon", 1)):
            if getattr(self, name) < least:
                raise UserError(
                    f"domain.{name}: expected at least {least}, got {getattr(self, name)}."
                )
        for name in ("stay", "uneven", "sizes"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(
                    f"domain.{name}: expected from 0 to below 1, got {getattr(self, name)}."
                )
        if not self.noise >= 0:
            raise UserError(f"domain.noise: expected at least 0, got {self.noise}.")


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range.
    """
    config.validate()
    from descant.domains.balance.world import build

    return build(config)
