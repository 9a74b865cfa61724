"""FACMAC: actors climb a joint value that is made of utilities, all at once.

Peng et al. (2021). Where actions are points, each agent names one and explores around it; choices
are drawn, and gradients pass as if by a softmax. As no best action is ever looked for among the
utilities, they may be mixed in any way.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from descant.algorithms import iql
from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.algorithms._value import ValueBased
    from descant.core.domain import Domain

TABLE = iql.TABLE | {
    "view": "world",
    "credit": "mix of utilities",
    "ascent": "TD + through the mixer",
}


@dataclass(frozen=True)
class Config:
    """FACMAC."""

    base: iql.Config = field(default_factory=iql.Config)
    mixer: Literal["sum", "monotone", "free"] = "monotone"
    """What the value may be of the utilities."""
    embed: int = 32
    """Units of the mixer."""
    hyper: int = 64
    """Width of the networks that set the mixer's weights."""
    actor_rate: float = 3e-3
    """Learning rate of the actors at the first update; it falls as that of the value does."""
    pull: float = 0.003
    """Weight of the squared size of what actors say: of logits, or of points before they are
    bounded. At chances near 0 and 1 and at the ends of the cube, the value's slope does not reach
    them."""


def make(config: Config, domain: Domain) -> ValueBased:
    """A mixed value, and an actor that climbs it.

    Raises:
        UserError: a value of the configuration cannot be used.
    """
    iql.positive(config, "embed", "hyper", "actor_rate")
    if not config.pull >= 0:
        raise UserError(f"algorithm.pull: expected at least 0, got {config.pull}.")
    import jax

    from descant.algorithms._value import build
    from descant.nets import beside, joint, mixing

    spec, base = domain.env.spec, config.base
    fall = base.rate_stop / base.rate

    def critic(key, net):
        mixer = mixing.mixer(key, spec, config.mixer, embed=config.embed, hidden=config.hyper)
        if spec.continuous:
            sizes = {"hidden": base.hidden, "depth": max(base.depth, 1)}
            who = "critic" if base.net == "gru" else None
            return beside.points(jax.random.fold_in(key, 1), spec, mixer, **sizes, who=who)
        return joint.Mixed(net, mixer)

    rates = config.actor_rate, config.actor_rate * fall
    return build(base, domain, "FACMAC", critic, actor_rate=rates, pull=config.pull)
