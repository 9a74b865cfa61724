"""HAPPO: agents with weights of their own improve one after another, so that the team does.

Kuba et al. (2022).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from descant.algorithms import mappo

if TYPE_CHECKING:
    from descant.algorithms._actor_critic import ActorCritic
    from descant.core.domain import Domain

TABLE = mappo.TABLE | {"sharing": "separate", "ascent": "in turn"}


@dataclass(frozen=True)
class Config:
    """HAPPO."""

    base: mappo.Config = field(default_factory=lambda: mappo.Config(net="mlp", sharing="separate"))


def make(config: Config, domain: Domain) -> ActorCritic:
    """MAPPO with separate weights, moved in turn.

    Raises:
        UserError: agents share weights, or a value of the configuration cannot be used.
    """
    from descant.ascent.in_turn import InTurn
    from descant.core.errors import UserError

    if config.base.sharing != "separate":
        raise UserError(
            "algorithm.base.sharing: HAPPO moves one agent while the others rest, so it needs "
            f"separate weights, not {config.base.sharing}."
        )
    base = mappo.make(config.base, domain)
    return replace(base, ascent=InTurn(each=mappo.ascent(config.base, domain)))
