"""COMA: each agent learns what its action gained, all others acting as they did.

Foerster et al. (2018), eq. 4, from one critic of actions that sees the world.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from descant.algorithms import _settings, mappo

if TYPE_CHECKING:
    from descant.algorithms._actor_critic import ActorCritic
    from descant.core.domain import Domain

TABLE = mappo.TABLE | {"credit": "counterfactual -> standardise"}


@dataclass(frozen=True)
class Config(_settings.Judged):
    """COMA."""


def make(config: Config, domain: Domain) -> ActorCritic:
    """MAPPO whose advantage comes from a critic of actions.

    Raises:
        UserError: actions are continuous, agents choose in order, or a value cannot be used.
    """
    config.critic.validate()
    _settings.check_choices(domain, "COMA sums over every agent's choices")
    _settings.check_together(config.base, domain, "COMA holds the others' actions still")
    from descant.algorithms import _judges

    base = mappo.make(config.base, domain)
    heed = _judges.everybody_else(domain.env.spec.agents)
    actions = _judges.counterfactual(config.base, config.critic, domain, base.fit, heed, mean=False)
    return _judges.judged(base, actions)
