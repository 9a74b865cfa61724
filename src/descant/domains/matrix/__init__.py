"""Matrix games: one choice each, one payoff for all; small enough to know the optimum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain

LARGEST = 2**22
"""Joint actions that are still enumerated: a table of 16 MB."""


@dataclass(frozen=True)
class Config:
    """Matrix games."""

    game: Literal["random", "monotone", "climb", "penalty", "table5a", "table5b"] = "climb"
    """Payoffs: drawn uniformly from 0 to 1; the same, sorted so that each agent can rank its
    actions alone; the climbing game; the penalty game; or the two games of the MAIPG paper's
    Table 5. All but the first two are for two agents with three actions."""
    agents: int = 2
    """Agents; each chooses once."""
    actions: int = 3
    """Actions of each agent."""
    draw: int = 0
    """Which of the random games: the number is their seed, and has nothing to do with the run's."""
    penalty: float = -25.0
    """What the `penalty` game pays when one agent goes for one optimum and one for the other."""

    def validate(self) -> None:
        """Check ranges, and that the game has these sizes.

        Raises:
            UserError: a value cannot be used; the field is named.
        """
        for name, least in (("agents", 1), ("actions", 2), ("draw", 0)):
            if getattr(self, name) < least:
                raise UserError(
                    f"domain.{name}: expected at least {least}, got {getattr(self, name)}."
                )
        if not -float("inf") < self.penalty <= 0:
            raise UserError(f"domain.penalty: expected a number up to 0, got {self.penalty}.")
        if self.game not in ("random", "monotone"):
            self._check_named()
        # Of many agents the number itself has more digits than one may print.
        elif self.agents * math.log(self.actions) > math.log(LARGEST) + 1e-9:
            raise UserError(
                f"domain.agents: {self.agents} agents with {self.actions} actions have more than "
                f"{LARGEST:,} joint actions, which is the most that are enumerated."
            )

    def _check_named(self) -> None:
        for name, size in (("agents", 2), ("actions", 3)):
            if getattr(self, name) != size:
                raise UserError(
                    f"domain.{name}: the game {self.game} has {size} {name}, not "
                    f"{getattr(self, name)}; random and monotone games come in all sizes."
                )


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range.
    """
    config.validate()
    from descant.domains.matrix.game import build

    return build(config)
