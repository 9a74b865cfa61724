"""VDN: the team's value is the sum of the agents' utilities.

Sunehag et al. (2018). What one agent should do then hangs on nobody else's utility.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from descant.algorithms import iql

if TYPE_CHECKING:
    from descant.algorithms._value import ValueBased
    from descant.core.domain import Domain

TABLE = iql.TABLE | {"credit": "sum of utilities"}


@dataclass(frozen=True)
class Config:
    """VDN."""

    base: iql.Config = field(default_factory=iql.Config)


def make(config: Config, domain: Domain) -> ValueBased:
    """IQL whose utilities are summed.

    Raises:
        UserError: a value of the configuration cannot be used.
    """
    from descant.algorithms._value import build
    from descant.nets.joint import Mixed
    from descant.nets.mixing import Sum

    return build(config.base, domain, "VDN", lambda key, net: Mixed(net, Sum()))
