"""Share access points: packets wait for a short while, and two who send to one point both fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain

MOST = 8
"""Ticks that a packet may wait: states double with each."""


@dataclass(frozen=True)
class Config:
    """Users of a grid of cells, with an access point at every corner that four cells share."""

    variant: Literal["a", "b"] = "b"
    """After whose code: in `a` (Lin et al. 2021) users choose the packet, too, and points differ in
    luck; in `b` (Ying et al. 2023) they send the earliest packet, to points that are alike."""
    rows: int = 0
    """Rows of cells; 0 takes 3 in `a`, 5 in `b`."""
    columns: int = 0
    """Cells of a row; 0 takes 4 in `a`, 5 in `b`."""
    users: int = 0
    """Users of a cell; 0 takes 2 in `a`, 1 in `b`."""
    deadline: int = 2
    """Ticks in which a packet can be sent."""
    arrival: float = 0.5
    """Chance of a new packet in a tick."""
    luck: float = 0.8
    """Chance that what is sent alone to a point gets through, in `b`."""
    luck_seed: int = 0
    """Of the luck of each point in `a`, which is anything from 0 to 1."""
    persistence: float = 0.0
    """Chance by which the rule `aloha` sends what waits; 0 takes 0.2 in `a`, 0.9 in `b`, about the
    best at their sizes."""
    determinism: float = 0.0
    """Least determinism of every agent, half the sum of squared shares of actions other than to
    rest, for algorithms that keep constraints; 0 asks for none."""
    horizon: int = 0
    """Ticks of an episode; 0 takes 10 in `a`, 12 in `b`."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name, least in (("rows", 2), ("columns", 2), ("users", 1), ("horizon", 1)):
            value = getattr(self, name)
            if value and value < least:
                raise UserError(f"domain.{name}: expected 0 or at least {least}, got {value}.")
        for name in ("arrival", "luck", "persistence"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"domain.{name}: expected 0 to 1, got {getattr(self, name)}.")
        if not 1 <= self.deadline <= MOST:
            raise UserError(f"domain.deadline: expected 1 to {MOST}, got {self.deadline}.")
        if not 0 <= self.determinism <= 0.5:
            raise UserError(f"domain.determinism: expected 0 to 0.5, got {self.determinism}.")
        if self.luck_seed < 0:
            raise UserError(f"domain.luck_seed: expected at least 0, got {self.luck_seed}.")


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range.
    """
    config.validate()
    from descant.domains.wireless.world import build

    return build(config)
