"""Google Research Football's academy (needs gfootball, built from source)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain

EXTRA = "gfootball"
"""What must be installed besides descant."""

PLAYERS = {
    "academy_pass_and_shoot_with_keeper": 2,
    "academy_run_pass_and_shoot_with_keeper": 2,
    "academy_3_vs_1_with_keeper": 3,
    "academy_corner": 10,
    "academy_counterattack_easy": 4,
    "academy_counterattack_hard": 4,
}
"""Players that agents play in published comparisons."""


@dataclass(frozen=True)
class Config:
    """Google Research Football."""

    scenario: Literal[
        "academy_pass_and_shoot_with_keeper",
        "academy_run_pass_and_shoot_with_keeper",
        "academy_3_vs_1_with_keeper",
        "academy_corner",
        "academy_counterattack_easy",
        "academy_counterattack_hard",
    ] = "academy_3_vs_1_with_keeper"
    """The engine's name of what is practised."""
    agents: int = 0
    """Players of the left team that are agents, the engine plays the others; 0 takes those of
    published comparisons: 2, 2, 3, 10, 4 and 4."""
    horizon: int = 400
    """Ticks of an episode, a tenth of a second each, at most; 400 is the scenarios' own."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        if not 0 <= self.agents <= 11:
            raise UserError(f"domain.agents: expected 0 to 11, got {self.agents}.")
        if not 1 <= self.horizon <= 400:
            raise UserError(f"domain.horizon: expected 1 to 400, got {self.horizon}.")


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range, or gfootball is not installed.
    """
    config.validate()
    from descant.bridges.football import Engine, Pitch
    from descant.bridges.pettingzoo import domain_of

    engine = Engine(config.scenario, config.agents or PLAYERS[config.scenario])
    return domain_of(
        lambda: Pitch(engine),
        name="football",
        horizon=config.horizon,
        outcomes=("success",),
    )
