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
    from descant.core.algorithm import Schedule
    from descant.core.domain import Domain
    from descant.core.model import AbstractModel
    from descant.credit.schedules import Ramp

TABLE = mappo.TABLE | {
    "credit": "GAE -> standardise -> guide(alpha), or scale(1 - alpha)",
    "ascent": "together (+ model term(alpha))",
}
SAMPLES = 8
"""Minibatches that are looked at where the weight is measured."""


@dataclass(frozen=True)
class Config:
    """DG-PG."""

    base: mappo.Config = field(default_factory=mappo.Config)
    guidance: Literal["exact", "expected", "sampled"] = "exact"
    """What is left to chance in the guidance gradient, given the state: nothing, the others'
    actions, or everybody's (the paper)."""
    alpha: Literal["ramp", "fixed", "annealed", "adaptive", "least-variance"] = "ramp"
    """How the guidance weight is set: from `start` to `stop` in three phases (the paper), always
    `start`, from `start` to 0 at the end, or measured while learning, so that the noise in the sum
    of the two gradients is least: for gradients of one length, or as they come (theorem 4.2)."""
    start: float = 0.9
    """Guidance weight alpha at first."""
    stop: float = 0.5
    """Guidance weight of `ramp` at last; the paper has 0.2."""
    hold: float = 0.1
    """Share of training with the first weight."""
    reach: float = 0.5
    """Share of training after which the last weight of `ramp` holds; a straight line joins them."""
    samples: int = 0
    """Minibatches' worth of ticks per iteration on which the gradients of rewards and model are
    measured, for records and for weights that are measured, which take 8 where this says 0."""
    memory: float = 0.9
    """Share of what was measured that is kept from one iteration to the next."""
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
        for name in ("start", "stop", "hold", "reach", "memory", "momentum"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"algorithm.{name}: expected 0 to 1, got {getattr(self, name)}.")
        if self.hold > self.reach:
            raise UserError(
                f"algorithm.hold: expected at most algorithm.reach = {self.reach}, got {self.hold}."
            )
        if self.samples < 0:
            raise UserError(f"algorithm.samples: expected at least 0, got {self.samples}.")
        if not self.limit > 0:
            raise UserError(f"algorithm.limit: expected above 0, got {self.limit}.")


def make(config: Config, domain: Domain) -> ActorCritic:
    """MAPPO with one more credit link, or with a loss term and room made for it.

    Raises:
        UserError: the domain has no analytic model, or a value cannot be used.
    """
    _model(domain)  # asked first: what else is wrong does not matter where there is none
    return guide(config, mappo.make(config.base, domain), domain)


def _model(domain: Domain) -> AbstractModel:
    if domain.model is None:
        raise UserError(
            f"{domain.name!r} has no analytic model; DG-PG needs one. MAPPO runs without."
        )
    return domain.model


def guide(config: Config, base: ActorCritic, domain: Domain) -> ActorCritic:
    """The same for an algorithm other than MAPPO.

    Raises:
        UserError: the domain has no analytic model, or a value cannot be used.
    """
    config.validate()
    model = _model(domain)
    from descant.ascent.terms import Guidance
    from descant.ascent.weigher import Weigher, adaptive, least_variance, planned
    from descant.credit.links import Guide, Scale, chain
    from descant.credit.probes import Slope

    weight = schedule(config)
    rule = {"adaptive": adaptive, "least-variance": least_variance}.get(config.alpha)
    if weight.start == weight.stop == 0 and rule is None and config.guidance != "sampled":
        # Beside a term, even one that weighs nothing, XLA rounds the rest of the loss otherwise.
        return base
    slope = Slope(model=model, actions=domain.env.spec.actions, moment=config.moment)
    in_turn = config.base.in_turn(domain.env.spec)
    kind = "in turn" if in_turn and config.guidance == "exact" else config.guidance

    def guided(weight: Schedule) -> ActorCritic:
        if kind == "sampled":
            link = Guide(weight=weight, slope=slope, momentum=config.momentum, limit=config.limit)
            return replace(base, credit=chain(base.credit, link))
        term = Guidance(model=model, weight=weight, kind=kind, limit=config.limit)
        credit = chain(base.credit, Scale(taken=weight))
        return replace(base, credit=credit, ascent=base.ascent.with_term(term))

    return replace(
        guided(weight),
        model=model,
        weigher=Weigher(
            guided=guided,
            rule=rule or planned(weight),
            ticks=config.base.minibatch * (config.samples or (SAMPLES if rule else 0)),
            crowd=config.base.crowd if in_turn else 0,
            momentum=config.memory,
        ),
    )


def schedule(config: Config) -> Ramp:
    """The weight as planned; where it is measured, the one to start from."""
    from descant.credit.schedules import Ramp

    first = config.start
    if config.alpha == "annealed":
        return Ramp(start=first, stop=0.0, begin=config.hold)
    if config.alpha == "ramp":
        return Ramp(start=first, stop=config.stop, begin=config.hold, end=config.reach)
    return Ramp(start=first, stop=first)
