"""Difference rewards: each agent is paid what the team would have lost without its action.

Wolpert & Tumer (2001). The domain's own reward is asked again, with the agent's default action
instead, by the same chance; so nothing is learnt to tell agents apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from descant.algorithms import ippo, mappo
from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.algorithms._actor_critic import ActorCritic
    from descant.core.domain import Domain

TABLE = ippo.TABLE | {"credit": "difference -> GAE -> standardise"}


@dataclass(frozen=True)
class Config:
    """Difference rewards."""

    base: mappo.Config = field(default_factory=mappo.Config)


def make(config: Config, domain: Domain) -> ActorCritic:
    """IPPO with a reward of each agent's own.

    Raises:
        UserError: the domain has no default action, or a value cannot be used.
    """
    if domain.default is None:
        raise UserError(
            f"{domain.name!r} has no default action to measure actions against; COMA learns such "
            "differences, and MAPPO does without."
        )
    from descant.credit.links import Reward, chain
    from descant.credit.probes import Difference

    base = mappo.make(config.base, domain, view="local")
    probe = Difference(env=domain.env, default=domain.default)
    return replace(base, credit=chain(Reward(name="difference", probe=probe), base.credit))
