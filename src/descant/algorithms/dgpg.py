"""DG-PG: MAPPO whose agents also descend the analytic model; Yang & Liu (2026).

The model's slope says, agent by agent and free of the others' noise, which way the system should
move. `sampled` is the paper's estimator (eq. 11); `expected` sums out each agent's own action,
`exact` everybody's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from descant.algorithms import mappo
from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.algorithms._actor_critic import ActorCritic
    from descant.core.domain import Domain

TABLE = mappo.TABLE | {
    "credit": "GAE -> standardise -> guide(alpha), or scale(1 - alpha)",
    "ascent": "together (+ model term(alpha))",
}


@dataclass(frozen=True)
class Config:
    """DG-PG."""

    base: mappo.Config = field(default_factory=mappo.Config)
    guidance: Literal["exact", "expected", "sampled"] = "exact"
    """What is left to chance in the guidance gradient, given the state: nothing, the others'
    actions, or everybody's (the paper)."""
    start: float = 0.9
    """Guidance weight alpha at first."""
    stop: float = 0.5
    """Guidance weight at last; the paper has 0.2."""
    hold: float = 0.1
    """Share of training with the first weight."""
    reach: float = 0.5
    """Share of training after which the last weight holds; a straight line joins them."""
    moment: Literal["sequential", "after", "before"] = "sequential"
    """State at which `sampled` takes the slope: given the agents before, after all have acted, or
    before any has."""
    momentum: float = 0.99
    """Of the running moments that `sampled` slopes are standardised with."""
    limit: float = 3.0
    """Slopes are clipped to this many deviations."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name in ("start", "stop", "hold", "reach", "momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"algorithm.{name}: expected 0 to 1, got {getattr(self, name)}.")
        if self.hold > self.reach:
            raise UserError(
                f"algorithm.hold: expected at most algorithm.reach = {self.reach}, got {self.hold}."
            )
        if not self.limit > 0:
            raise UserError(f"algorithm.limit: expected above 0, got {self.limit}.")


def make(config: Config, domain: Domain) -> ActorCritic:
    """MAPPO with one more credit link, or with a loss term and room made for it.

    Raises:
        UserError: the domain has no analytic model, or a value cannot be used.
    """
    config.validate()
    if domain.model is None:
        raise UserError(
            f"{domain.name!r} has no analytic model; DG-PG needs one. MAPPO runs without."
        )
    from descant.ascent.terms import Guidance
    from descant.credit.links import Guide, Scale, chain
    from descant.credit.probes import Slope
    from descant.credit.schedules import Ramp

    base = mappo.make(config.base, domain)
    weight = Ramp(start=config.start, stop=config.stop, begin=config.hold, end=config.reach)
    if config.guidance == "sampled":
        slope = Slope(model=domain.model, actions=domain.env.spec.actions, moment=config.moment)
        link = Guide(weight=weight, slope=slope, momentum=config.momentum, limit=config.limit)
        return replace(base, credit=chain(base.credit, link))
    if config.start == config.stop == 0:
        # Beside a term, even one that weighs nothing, XLA rounds the rest of the loss otherwise.
        return base
    in_turn = config.guidance == "exact" and mappo.in_turn(config.base, domain)
    kind = "in turn" if in_turn else config.guidance
    term = Guidance(model=domain.model, weight=weight, kind=kind, limit=config.limit)
    return replace(
        base,
        credit=chain(base.credit, Scale(taken=weight)),
        ascent=base.ascent.with_term(term),
        model=domain.model,
    )
