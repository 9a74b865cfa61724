"""QMIX: the team's value is a monotone function of the agents' utilities, set by the state.

Rashid et al. (2018). No agent's best action hangs on what the others do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from descant.algorithms import iql

if TYPE_CHECKING:
    from descant.algorithms._value import ValueBased
    from descant.core.domain import Domain

TABLE = iql.TABLE | {"view": "world", "credit": "monotone mix of utilities"}


@dataclass(frozen=True)
class Config:
    """QMIX."""

    base: iql.Config = field(default_factory=iql.Config)
    embed: int = 32
    """Units of the mixer."""
    hyper: int = 64
    """Width of the networks that set the mixer's weights."""


def make(config: Config, domain: Domain) -> ValueBased:
    """IQL whose utilities are mixed.

    Raises:
        UserError: a value of the configuration cannot be used.
    """
    iql.positive(config, "embed", "hyper")
    from descant.algorithms._value import build
    from descant.nets.joint import Mixed
    from descant.nets.mixing import mixer

    spec, sizes = domain.env.spec, {"embed": config.embed, "hidden": config.hyper}
    mix = partial(mixer, spec=spec, kind="monotone", **sizes)
    return build(config.base, domain, "QMIX", lambda key, net: Mixed(net, mix(key)))
