"""Signals on a grid of streets: every junction chooses who has green, and queues travel on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain


@dataclass(frozen=True)
class Config:
    """Junctions of a grid of two-way streets, in ticks of a few seconds."""

    rows: int = 4
    """Streets that lead from west to east."""
    columns: int = 4
    """Streets that lead from north to south."""
    capacity: float = 10.0
    """Vehicles that can wait at one approach of a junction."""
    saturation: float = 1.0
    """Vehicles that leave an approach in a tick of green."""
    demand: float = 0.3
    """Mean vehicles that come to a tick from outside, at every street that enters the grid."""
    uneven: float = 0.6
    """By what share of the mean streets differ in that."""
    demand_seed: int = 0
    """Of which streets are busy."""
    turning: float = 0.3
    """Share of vehicles that turn, half of them to either side."""
    lost: float = 0.5
    """Share of a tick's green that is lost as the signal changes."""
    loss: float = 10.0
    """What a vehicle costs that finds no room and is turned away, in ticks of waiting."""
    utility: Literal["reward", "fair", "spill"] = "reward"
    """What junctions want: little waiting, as the reward has it; the same with a logarithm, so that
    none is left with all of it; or little waiting and queues that hardly ever spill back."""
    cells: int = 9
    """Cells that how full a junction is is sorted into, where utilities ask."""
    full: float = 0.6
    """Share of a junction's room from which on `spill` takes it for full."""
    budget: float = 0.1
    """Share of ticks for which it may be."""
    cycle: int = 4
    """Ticks of green in turn of the rule `fixed-time`."""
    margin: float = 1.5
    """Vehicles by which the other phase must weigh more for `longest-queue` and `max-pressure` to
    change."""
    horizon: int = 120
    """Ticks of an episode."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name in ("rows", "columns", "cycle", "horizon"):
            if getattr(self, name) < 1:
                raise UserError(f"domain.{name}: expected at least 1, got {getattr(self, name)}.")
        for name in ("uneven", "turning", "lost", "demand"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"domain.{name}: expected 0 to 1, got {getattr(self, name)}.")
        for name in ("full", "budget"):
            if not 0 < getattr(self, name) < 1:
                raise UserError(
                    f"domain.{name}: expected above 0 and below 1, got {getattr(self, name)}."
                )
        for name in ("capacity", "saturation"):
            if not getattr(self, name) > 0:
                raise UserError(f"domain.{name}: expected above 0, got {getattr(self, name)}.")
        for name in ("loss", "margin"):
            if not getattr(self, name) >= 0:
                raise UserError(f"domain.{name}: expected at least 0, got {getattr(self, name)}.")
        if self.cells < 2:
            raise UserError(f"domain.cells: expected at least 2, got {self.cells}.")
        if self.demand_seed < 0:
            raise UserError(f"domain.demand_seed: expected at least 0, got {self.demand_seed}.")


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range.
    """
    config.validate()
    from descant.domains.traffic.world import build

    return build(config)
