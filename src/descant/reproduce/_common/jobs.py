"""The pieces that targets are made of. A job's name says all that its result depends on, so equal
jobs of several targets are done once, and a finished one is never done again.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant.reproduce._common import costs
from descant.train.settings import Settings, flatten, with_values
from descant.train.toml import to_toml

if TYPE_CHECKING:
    from rich.console import Console


class Job(ABC):
    """Something to be done once."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Also that of the file with the result."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What is being done, for people."""

    @abstractmethod
    def seconds(self) -> float:
        """About how long it takes on two cores, compilation included."""

    @abstractmethod
    def do(self, place: Path, console: "Console") -> dict[str, Any]:
        """Do it in a folder that all jobs share; the result is JSON."""


@dataclass(frozen=True)
class Train(Job):
    """One training run, by the code behind `descant train`."""

    settings: Settings

    @property
    def name(self) -> str:
        return _run_name(self.settings)

    @property
    def title(self) -> str:
        s = self.settings
        return (
            f"{s.algorithm_name}, {network(s)}, {many(s.domain)}: {s.train.iterations} "
            f"iterations of {s.train.rollouts} rollouts, {s.seeds} seeds ({self.name})"
        )

    def seconds(self) -> float:
        return costs.training(self.settings)

    def folder(self, place: Path) -> Path:
        """The run folder."""
        return place / "runs" / self.name

    def do(self, place: Path, console: "Console") -> dict[str, Any]:
        from descant.reproduce._common.work import train

        return train(self.settings, self.folder(place), console)


@dataclass(frozen=True)
class Score(Job):
    """The policies of a run on held-out scenarios, of another size perhaps."""

    train: Train
    scenarios: int
    servers: int = 0
    """Servers of the scenarios; 0 takes those of the run."""

    @property
    def world(self) -> Settings:
        """The settings of the world that is met."""
        settings = self.train.settings
        return with_values(settings, self.overrides) if self.servers else settings

    @property
    def overrides(self) -> dict[str, Any]:
        """What differs from the run."""
        return {"domain.servers": self.servers} if self.servers else {}

    @property
    def name(self) -> str:
        what = f"-at-{self.servers}" if self.servers else ""
        return f"{self.train.name}{what}-on-{self.scenarios}"

    @property
    def title(self) -> str:
        return (
            f"{describe(self.train.settings)} on {self.scenarios} held-out scenarios of "
            f"{many(self.world.domain)}"
        )

    def seconds(self) -> float:
        return costs.scoring(self.world, self.scenarios)

    def do(self, place: Path, console: "Console") -> dict[str, Any]:
        from descant.reproduce._common.work import score

        return score(self.train.folder(place), self.scenarios, self.overrides, console)


@dataclass(frozen=True)
class Rules(Job):
    """All rules of a domain on the same held-out scenarios."""

    domain_name: str
    domain: Any
    scenarios: int
    bound: bool = False
    """Whether what no policy can exceed is computed, too."""

    @property
    def name(self) -> str:
        told = json.dumps(asdict(self.domain), sort_keys=True)
        size = f"-{costs.size(self.domain)}"
        more = "-bound" if self.bound else ""
        return f"rules-{self.domain_name}{size}-on-{self.scenarios}{more}-{digest(told)}"

    @property
    def title(self) -> str:
        return f"all rules on {self.scenarios} held-out scenarios of {many(self.domain)}"

    def seconds(self) -> float:
        return costs.rules(self.domain, self.scenarios, self.bound)

    def do(self, place: Path, console: "Console") -> dict[str, Any]:
        from descant.reproduce._common.work import rules

        return rules(self.domain_name, self.domain, self.scenarios, self.bound, console)


@cache
def _run_name(settings: Settings) -> str:
    return f"{describe(settings)}-{digest(to_toml(settings))}"


def describe(settings: Settings) -> str:
    """A short name for people: `dgpg-mlp-20`."""
    return f"{settings.algorithm_name}-{network(settings)}-{costs.size(settings.domain)}"


def many(domain: Any) -> str:
    """`20 servers`, `5 agents`."""
    return f"{costs.size(domain)} {'servers' if hasattr(domain, 'servers') else 'agents'}"


def network(settings: Settings) -> str:
    """The kind of network."""
    return setting(settings, "net")


def setting(settings: Settings, name: str) -> Any:
    """A setting of the algorithm, wherever it is nested."""
    known: Mapping[str, Any] = flatten(settings)
    found = [v for k, v in known.items() if k.startswith("algorithm.") and k.endswith(f".{name}")]
    return found[0] if found else None


def digest(text: str) -> str:
    """Eight letters that stand for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]
