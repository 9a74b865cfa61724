"""MAIPG: PPO's gradient, interpolated with that of a factorised value through the actions.

Multi-Agent Interpolated Policy Gradients (2024), eq. 10. The one is noisy; the other knows what
each agent's action does to the team, as far as a value made of utilities can tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from descant.algorithms import _settings, dgpg, mappo
from descant.core.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from descant.algorithms._actor_critic import ActorCritic
    from descant.core.algorithm import Schedule
    from descant.core.domain import Domain

TABLE = mappo.TABLE | {
    "credit": "GAE -> standardise -> scale(1 - nu)",
    "ascent": "together + factorised-Q term(nu)",
}


@dataclass(frozen=True)
class Config:
    """MAIPG."""

    base: mappo.Config = field(default_factory=lambda: mappo.Config(order="together"))
    critic: _settings.Critic = field(default_factory=lambda: _settings.Critic(epochs=2))
    nu: float = 0.3
    """Weight of the factorised value's gradient at first; the paper has 0.05 to 0.5. With 0 the
    value is learnt and nobody climbs it, which is MAPPO."""
    stop: float | None = None
    """The weight at last, a straight line away; `none` keeps the first."""
    measured: bool = False
    """Whether the weight is measured while learning instead: the one at which the blend of the two
    gradients most surely points where the first does on average."""
    mixer: Literal["monotone", "sum", "joint"] = "monotone"
    """How utilities make the team's value: as in QMIX, as in VDN, or not at all, one network seeing
    the joint action as a whole."""
    embed: int = 32
    """Units of the mixer; the paper has 64."""
    scale: Literal["advantages", "rewards"] = "advantages"
    """What the value counts in beside the standardised advantage: the same unit, or that of rewards
    as they come (the paper)."""
    temperature: float = 1.0
    """Of the softmax that passes gradients to choices."""
    noise: bool = True
    """Whether the value is asked about choices drawn anew, or about the most likely ones."""
    hard: bool = True
    """Whether it is shown whole choices, or mixtures as the softmax has them."""
    following: Literal["best", "sampled"] = "best"
    """Which action of the next tick the value's targets are made of."""
    guide: tuple[float, float] | None = None
    """Weight of the analytic model at first and in the second half of training, such as 0.9..0.5,
    as in DG-PG; all else shares what it leaves. `none` asks for no model."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        self.critic.validate()
        for name, value in (("nu", self.nu), ("stop", self.last)):
            if not 0 <= value <= 1:
                raise UserError(f"algorithm.{name}: expected 0 to 1, got {value}.")
        if self.guide is not None and not all(0 <= weight <= 1 for weight in self.guide):
            raise UserError(f"algorithm.guide: expected 0 to 1 at both ends, got {self.guide}.")
        if self.embed < 1:
            raise UserError(f"algorithm.embed: expected at least 1, got {self.embed}.")
        if not 0 < self.temperature < math.inf:
            raise UserError(
                f"algorithm.temperature: expected above 0 and finite, got {self.temperature}."
            )
        if self.measured and self.guide is not None:
            raise UserError(
                "algorithm.measured: under algorithm.guide there are three gradients, and a weight "
                "is measured between two; keep nu planned, or leave the model out."
            )

    @property
    def last(self) -> float:
        """The weight at last."""
        return self.nu if self.stop is None else self.stop


def make(config: Config, domain: Domain) -> ActorCritic:
    """MAPPO with a critic of joint actions, a term that climbs it, and room made for that.

    Raises:
        UserError: agents choose in order, or a value of the configuration cannot be used.
    """
    at = weighted(config, domain)
    if config.guide is not None and domain.model is None:
        raise UserError(
            f"algorithm.guide: {domain.name!r} has no analytic model to ask; without the option, "
            "MAIPG needs none."
        )
    from descant.ascent.weigher import Weigher, most_aligned
    from descant.credit.schedules import Ramp

    planned = Ramp(start=config.nu, stop=config.last)
    if config.measured:
        ticks = dgpg.SAMPLES * config.base.minibatch
        weigher = Weigher(guided=at, rule=most_aligned, ticks=ticks, name="nu")
        return replace(at(planned), weigher=weigher)
    out = at(planned if config.nu or config.last else None)
    if config.guide is None:
        return out
    start, stop = config.guide
    return dgpg.guide(dgpg.Config(base=config.base, start=start, stop=stop), out, domain)


def weighted(config: Config, domain: Domain) -> Callable[[Schedule | None], ActorCritic]:
    """The algorithm by the weight of the value's gradient, which may be data of a compiled program
    (`credit.schedules.Given`); where there is none, the value is learnt and nobody climbs it.

    Raises:
        UserError: as for `make`.
    """
    config.validate()
    why = "MAIPG climbs a value of everybody's action"
    _settings.check_together(config.base, domain, why)
    from descant.algorithms._judges import factorised
    from descant.credit.links import Scale, chain

    base = mappo.make(config.base, domain)
    critic = factorised(config, domain, base.fit)

    def at(weight: Schedule | None) -> ActorCritic:
        actions = replace(critic, weight=weight)
        if weight is None:
            return replace(base, actions=actions)
        credit = chain(base.credit, Scale(taken=weight, whole=False))
        return replace(base, credit=credit, actions=actions)

    return at
