"""JaxMARL's cooperative particle worlds and SMAX battles (needs the extra `jaxmarl`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain

EXTRA = "jaxmarl"
"""What must be installed besides descant."""


@dataclass(frozen=True)
class Config:
    """JaxMARL."""

    env: Literal[
        "MPE_simple_v3",
        "MPE_simple_spread_v3",
        "MPE_simple_reference_v3",
        "MPE_simple_speaker_listener_v4",
        "SMAX",
    ] = "MPE_simple_spread_v3"
    """JaxMARL's name of the world. `SMAX` is its HeuristicEnemySMAX: our units against scripted
    ones that shoot the closest."""
    map: Literal[
        "3m",
        "8m",
        "25m",
        "5m_vs_6m",
        "10m_vs_11m",
        "27m_vs_30m",
        "2s3z",
        "3s5z",
        "3s5z_vs_3s6z",
        "3s_vs_5z",
        "6h_vs_8z",
        "smacv2_5_units",
        "smacv2_10_units",
        "smacv2_20_units",
    ] = "3m"
    """Units of a battle (`SMAX` only)."""
    agents: int = 0
    """Agents and landmarks (`MPE_simple_spread_v3` only); 0 takes JaxMARL's 3 of each."""
    horizon: int = 0
    """Ticks of an episode, at most; 0 takes JaxMARL's: 26 in particle worlds, 100 in SMAX."""
    actions: Literal["discrete", "continuous"] = "discrete"
    """Choices, or forces and words of any strength (not in `SMAX`)."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range, or is for another world; the field is named.
        """
        for name in ("agents", "horizon"):
            if getattr(self, name) < 0:
                raise UserError(f"domain.{name}: expected at least 0, got {getattr(self, name)}.")
        if self.agents and self.env != "MPE_simple_spread_v3":
            raise UserError(
                f"domain.agents: {self.env} has its own number of agents; "
                "only MPE_simple_spread_v3 takes any."
            )
        if self.actions == "continuous" and self.env == "SMAX":
            raise UserError("domain.actions: units in SMAX choose among actions, so discrete.")


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range, or JaxMARL is not installed.
    """
    config.validate()
    from descant.bridges.jaxmarl import named

    return named(
        config.env,
        map_name=config.map,
        agents=config.agents,
        horizon=config.horizon,
        continuous=config.actions == "continuous",
    )
