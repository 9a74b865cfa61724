"""Potential-based shaping: MAPPO paid on top for coming nearer to where the model wants to be.

Ng et al. (1999), with the analytic model's potential. No policy gains by it in the long run; it
comes earlier than what it announces.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from descant.algorithms import mappo
from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.algorithms._actor_critic import ActorCritic
    from descant.core.domain import Domain

TABLE = mappo.TABLE | {"credit": "shaped reward -> GAE -> standardise"}


@dataclass(frozen=True)
class Config:
    """Potential-based shaping."""

    base: mappo.Config = field(default_factory=mappo.Config)
    weight: float = 1.0
    """What a unit of the model's potential counts in units of reward."""


def make(config: Config, domain: Domain) -> ActorCritic:
    """MAPPO with one more link, before all others.

    Raises:
        UserError: the domain has no analytic model, or a value cannot be used.
    """
    if not config.weight >= 0:
        raise UserError(f"algorithm.weight: expected at least 0, got {config.weight}.")
    if domain.model is None:
        raise UserError(
            f"{domain.name!r} has no analytic model, whose potential rewards are shaped by; MAPPO "
            "runs without."
        )
    from descant.credit.links import Reward, chain
    from descant.credit.probes import Gain

    base = mappo.make(config.base, domain)
    gain = Gain(
        env=domain.env, model=domain.model, discount=config.base.discount, weight=config.weight
    )
    link = Reward(name="shaping", probe=gain, added=True)
    return replace(base, credit=chain(link, base.credit))
