"""Settings that some algorithms share, and what they ask of a domain."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from descant.algorithms import mappo
from descant.core.errors import UserError

if TYPE_CHECKING:
    from descant.core.domain import Domain


@dataclass(frozen=True)
class Critic:
    """Critic of actions."""

    hidden: int = 64
    """Width of hidden layers."""
    depth: int = 2
    """Hidden layers."""
    trace: float = 0.8
    """Lambda of its targets."""
    lag: float = 0.005
    """Share of the way that the copy behind the targets goes at each gradient step."""
    epochs: int | None = None
    """Passes over a rollout; `none` makes as many as the critic of ticks."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        for name in ("hidden", "depth"):
            if getattr(self, name) < 1:
                raise UserError(
                    f"algorithm.critic.{name}: expected at least 1, got {getattr(self, name)}."
                )
        if self.epochs is not None and self.epochs < 1:
            raise UserError(
                f"algorithm.critic.epochs: expected at least 1 or none, got {self.epochs}."
            )
        for name in ("trace", "lag"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(
                    f"algorithm.critic.{name}: expected 0 to 1, got {getattr(self, name)}."
                )


@dataclass(frozen=True)
class Judged:
    """Settings of an actor-critic whose advantage comes from a critic of actions."""

    base: mappo.Config = field(default_factory=lambda: mappo.Config(order="together"))
    critic: Critic = field(default_factory=Critic)


def check_together(config: mappo.Config, domain: "Domain", why: str) -> None:
    """Agents must not know what the others choose.

    Raises:
        UserError: they choose in order.
    """
    if config.in_turn(domain.env.spec):
        raise UserError(
            f"algorithm.base.order: {why}, so agents must choose at the same time; use "
            "--algorithm.order together. MAPPO and DG-PG take agents in order."
        )


def check_choices(domain: "Domain", why: str) -> None:
    """Actions must be choices.

    Raises:
        UserError: they are points.
    """
    if domain.env.spec.continuous:
        raise UserError(
            f"Actions of {domain.name!r} are continuous, and {why}; MAPPO, MAIPG and FACMAC take "
            "any."
        )
