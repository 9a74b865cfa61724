"""Walk uphill."""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Net:
    """A network."""

    width: tuple[int, ...] = (64, 64)
    """Units of each hidden layer."""
    rate: float = 3e-4
    """Learning rate."""


@dataclass(frozen=True)
class Base:
    """What every climber has."""

    actor: Net = field(default_factory=Net)
    """Who acts."""
    critic: Net = field(default_factory=lambda: Net(rate=1e-3))
    """Who judges."""
    clip: float = 0.2
    """How far one update may go."""
    normalise: bool = True
    """Bring advantages to mean 0 and deviation 1."""

    def __post_init__(self) -> None:
        if self.clip <= 0:
            raise ValueError(f"clip: expected above 0, got {self.clip}.")


@dataclass(frozen=True)
class Config:
    """A climber with a guide."""

    base: Base = field(default_factory=Base)
    """The climber."""
    guidance: Literal["sampled", "exact"] = "sampled"
    """How the guide's slope is measured."""


def make(config: Config, domain):
    raise AssertionError("configuration alone must not make anything")
