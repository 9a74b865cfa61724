"""Send jobs to queues."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Config:
    """A small domain."""

    servers: int = 20
    """Servers in all."""
    groups: int = 1
    """Groups of equal size; a divisor of the servers."""
    load: Literal["slots", "true"] = "slots"
    """What counts as load."""
    band: tuple[float, float] = (0.8, 0.85)
    """Utilisation, from low to high."""
    weight: float = 1.0
    """Cost of one waiting job."""
    limit: int | None = None
    """Longest queue; none for any length."""
    trace: str = ""
    """Folder of a trace."""
    bursts: bool = False
    """Whether jobs come in bursts."""

    def validate(self) -> None:
        if self.servers < 1:
            raise ValueError(f"servers: expected at least 1, got {self.servers}.")
        if self.groups < 1:
            raise ValueError(f"groups: expected at least 1, got {self.groups}.")
        if self.weight < 0:
            raise ValueError(f"domain.weight: expected at least 0, got {self.weight}.")
        if self.servers % self.groups:
            raise ValueError(f"{self.servers} servers do not divide into {self.groups} groups.")


def make(config: Config):
    raise AssertionError("configuration alone must not make anything")
