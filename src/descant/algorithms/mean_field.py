"""Mean-field actor-critic: what others do counts as the mean of those around an agent.

Yang et al. (2018), section 3. Around are its neighbours where the domain is a network of agents,
and everybody else where it is not. An agent learns what its action gained beside that mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from descant.algorithms import _settings, mappo

if TYPE_CHECKING:
    from descant.algorithms._actor_critic import ActorCritic
    from descant.core.domain import Domain

TABLE = mappo.TABLE | {
    "view": "neighbourhood mean",
    "credit": "counterfactual on the mean action -> standardise",
}


@dataclass(frozen=True)
class Config(_settings.Judged):
    """Mean-field actor-critic."""


def make(config: Config, domain: Domain) -> ActorCritic:
    """COMA with another critic.

    Raises:
        UserError: actions are continuous, agents choose in order, or a value cannot be used.
    """
    config.critic.validate()
    _settings.check_choices(domain, "a mean is taken over choices")
    _settings.check_together(config.base, domain, "a mean field stands for what others choose")
    from descant.algorithms import _judges

    base, network = mappo.make(config.base, domain), domain.network
    agents = domain.env.spec.agents
    heed = _judges.everybody_else(agents) if network is None else _judges.neighbours(network)
    actions = _judges.counterfactual(config.base, config.critic, domain, base.fit, heed, mean=True)
    return _judges.judged(base, actions)
