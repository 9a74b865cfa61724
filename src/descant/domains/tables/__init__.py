"""Random local tables on a network, with a coupling that can be turned down to none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from descant.core.errors import UserError
from descant.ops.graph_settings import GraphSettings

if TYPE_CHECKING:
    from descant.core.domain import Domain


@dataclass(frozen=True)
class Config(GraphSettings):
    """Random tables."""

    states: int = 2
    """States of an agent."""
    actions: int = 2
    """Actions of an agent."""
    coupling: float = 0.5
    """Weight of a table over the states of all neighbours, against one over the own state alone;
    with 0 agents have nothing to do with each other."""
    sharp: float = 1.0
    """How uneven the tables are: the deviation of their logits."""
    tables_seed: int = 0
    """Of the tables and the rewards."""
    horizon: int = 50
    """Ticks of an episode."""

    def validate(self) -> None:
        """Check ranges.

        Raises:
            UserError: a value is out of its range; the field is named.
        """
        self.check_graph()
        for name, least in (("states", 2), ("actions", 2), ("horizon", 1), ("tables_seed", 0)):
            if getattr(self, name) < least:
                raise UserError(
                    f"domain.{name}: expected at least {least}, got {getattr(self, name)}."
                )
        if not 0 <= self.coupling <= 1:
            raise UserError(f"domain.coupling: expected 0 to 1, got {self.coupling}.")
        if not self.sharp >= 0:
            raise UserError(f"domain.sharp: expected at least 0, got {self.sharp}.")


def make(config: Config) -> Domain:
    """The domain.

    Raises:
        UserError: a value is out of its range, the graph cannot be made, or an agent has too many
            neighbours for a table.
    """
    config.validate()
    from descant.domains.tables.world import build

    return build(config)
