"""Keep a message alive along a line: ten agents, of whom only the first is really paid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain


@dataclass(frozen=True)
class Config:
    """Message passing on a line, after Ying et al. (2023)."""

    agents: int = 10
    """Agents on the line."""
    luck: float = 0.8
    """Chance to raise a message that the next agent does not have."""
    helper: float = 0.1
    """What a tick with the message pays all but the first agent, which gets 1."""
    entropy: float = 0.0
    """Least entropy of an agent's share of time with the message, in nats; 0 asks for none."""
    weight: float = 1.0
    """What falling short counts in the utility, half of it times the square; with 0 only algorithms
    that keep constraints know of it."""
    horizon: int = 125
    """Ticks of an episode."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name, least in (("agents", 2), ("horizon", 1)):
            if getattr(self, name) < least:
                raise UserError(
                    f"domain.{name}: expected at least {least}, got {getattr(self, name)}."
                )
        for name in ("helper", "entropy", "weight"):
            if not getattr(self, name) >= 0:
                raise UserError(f"domain.{name}: expected at least 0, got {getattr(self, name)}.")
        if not 0 <= self.luck <= 1:
            raise UserError(f"domain.luck: expected 0 to 1, got {self.luck}.")


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range.
    """
    config.validate()
    from descant.domains.line_message.world import build

    return build(config)
