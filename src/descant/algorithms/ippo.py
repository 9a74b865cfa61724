"""IPPO: proximal policy ascent on a shared reward, every agent with a critic of its own view.

De Witt et al. (2020).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from descant.algorithms import mappo

if TYPE_CHECKING:
    from descant.algorithms._actor_critic import ActorCritic
    from descant.core.domain import Domain

TABLE = mappo.TABLE | {"view": "local"}


@dataclass(frozen=True)
class Config:
    """IPPO."""

    base: mappo.Config = field(default_factory=mappo.Config)


def make(config: Config, domain: Domain) -> ActorCritic:
    """MAPPO with the critic's eyes changed.

    Raises:
        UserError: a value of the configuration cannot be used.
    """
    return mappo.make(config.base, domain, view="local")
