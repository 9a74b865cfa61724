"""Particles in the plane that spread over landmarks or line up: the standard spread and others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain

LARGEST = 12
"""Agents up to which the best assignment is found, through all sets of agents."""


@dataclass(frozen=True)
class Config:
    """Particles."""

    task: Literal["spread", "assignment-spread", "line", "formation"] = "spread"
    """The standard spread (a landmark wants somebody near, agents pay for touching), or one target
    for each agent, where the best assignment counts: on landmarks, on a line between two, on a
    circle around one."""
    agents: int = 0
    """Agents; 0 takes 3 for `spread` and 5 for the others."""
    horizon: int = 25
    """Ticks of an episode, 0.1 s each."""
    local_ratio: float = 0.5
    """What an agent's own collisions count in its reward, against the distances (`spread` only)."""
    early: bool = True
    """Whether an episode ends once every agent is at its target (not in `spread`); what is left of
    it then costs nothing."""
    others: bool = True
    """Whether agents see where the others are."""
    push: Literal["moves", "force"] = "moves"
    """What agents choose: to stay or to push in one of four directions, or any force, which makes
    actions continuous."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        if self.agents < 0:
            raise UserError(f"domain.agents: expected at least 0, got {self.agents}.")
        if self.horizon < 1:
            raise UserError(f"domain.horizon: expected at least 1, got {self.horizon}.")
        if not 0 <= self.local_ratio <= 1:
            raise UserError(f"domain.local_ratio: expected 0 to 1, got {self.local_ratio}.")
        if self.task != "spread" and self.agents > LARGEST:
            raise UserError(
                f"domain.agents: the best assignment in {self.task} is found for up to {LARGEST} "
                f"agents, got {self.agents}; spread takes any number."
            )


def agents_of(config: Config) -> int:
    """Agents, where the config leaves it open as the papers have them."""
    return config.agents or (3 if config.task == "spread" else 5)


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range.
    """
    config.validate()
    from descant.domains.particle.world import build

    return build(config, agents_of(config))
