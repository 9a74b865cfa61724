"""QPLEX: the team's value is any function whose best joint action is everybody's best one.

Wang et al. (2021). Utilities say which action is best; how much it costs to miss it may hang on
what all do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal

from descant.algorithms import iql

if TYPE_CHECKING:
    from descant.algorithms._value import ValueBased
    from descant.core.domain import Domain

TABLE = iql.TABLE | {"view": "world", "credit": "duplex dueling mix of utilities"}


@dataclass(frozen=True)
class Config:
    """QPLEX."""

    base: iql.Config = field(default_factory=iql.Config)
    heads: int = 4
    """Heads of the attention that weighs advantages."""
    hyper: int = 64
    """Width of the networks behind them."""
    advantage: Literal["graded", "held", "stepped"] | None = None
    """What an action costs that is not an agent's best: `graded` what its utility is short of the
    best one's, weighed; `held` the same, with no gradient where it is weighed, as in the authors'
    code; `stepped` a weight of its own on top, and utilities also move by the whole error. Left
    out, `stepped` in games of one tick, whose payoffs are seen as they are, and `graded` elsewhere,
    where targets are estimates."""


def make(config: Config, domain: Domain) -> ValueBased:
    """IQL whose utilities make two sums, one of them weighed.

    Raises:
        UserError: a value of the configuration cannot be used.
    """
    iql.positive(config, "heads", "hyper")
    from descant.algorithms._value import build
    from descant.nets.joint import Dueling
    from descant.nets.mixing import duplex

    spec = domain.env.spec
    advantage = config.advantage or ("stepped" if spec.horizon == 1 else "graded")
    sizes = {"heads": config.heads, "hidden": config.hyper}
    mix = partial(duplex, spec=spec, advantage=advantage, **sizes)
    return build(config.base, domain, "QPLEX", lambda key, net: Dueling(net, mix(key)))
