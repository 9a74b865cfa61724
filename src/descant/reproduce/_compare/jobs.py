"""What the comparison is made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant.reproduce._common.costs import COMPILE, PLAY, ROLLOUT, START, TICKS, between, size
from descant.reproduce._common.jobs import Job, Score, describe, digest
from descant.train.settings import Settings
from descant.train.toml import to_toml

if TYPE_CHECKING:
    from rich.console import Console

WARM, STEPS = 4, 8
"""Ticks that are played before gradients are looked at, and that they are of."""
ROLLOUTS = 16
"""Of an iteration in which critics follow a policy."""
DEARER = {"happo": 20, "qplex": 14, "difference": 4, "coma": 3, "mean-field": 3, "maipg": 3}
"""An iteration's cost among 20 servers beside that of MAPPO, where it is several times as much."""


@dataclass(frozen=True)
class Learn(Score):
    """A training run and its policies on held-out scenarios; or the sentence with which the
    algorithm refuses the domain."""

    @property
    def name(self) -> str:
        return f"learn-{super().name}"

    @property
    def title(self) -> str:
        s = self.train.settings
        return (
            f"{describe(s)}: {s.train.iterations} iterations of {s.train.rollouts} rollouts, "
            f"{s.seeds} seeds, {self.scenarios} held-out scenarios ({self.train.name})"
        )

    def seconds(self) -> float:
        s = self.train.settings
        ticks = s.domain.horizon / TICKS
        one = DEARER.get(s.algorithm_name, 1) * between(ROLLOUT["mlp"], size(s.domain)) * ticks
        played = s.seeds * self.scenarios * between(PLAY, size(s.domain)) * ticks
        learned = s.seeds * s.train.iterations * s.train.rollouts * one
        return START + COMPILE + learned + played

    def do(self, place: Path, console: "Console") -> dict[str, Any]:
        from descant.reproduce._compare import work

        return work.learn(self.train, self.scenarios, place, console)


@dataclass(frozen=True)
class Noise(Job):
    """The noise of the gradients of all that have one, at one policy."""

    settings: tuple[tuple[str, Settings], ...]
    """By method; the first one's untrained policy is the one."""
    weights: tuple[float, ...]
    """Of second gradients."""
    samples: int
    iterations: int
    """For which critics follow the policy before."""
    seed: int

    @property
    def agents(self) -> int:
        """Of the world."""
        return self.settings[0][1].domain.agents

    @property
    def name(self) -> str:
        every = "".join(to_toml(settings) for _, settings in self.settings)
        options = (self.weights, self.samples, self.iterations, self.seed, WARM, STEPS, ROLLOUTS)
        return f"noise-{self.agents}-{digest(every + repr(options))}"

    @property
    def title(self) -> str:
        return f"everybody's gradient noise, {self.agents} agents, {self.samples} worlds"

    def seconds(self) -> float:
        return len(self.settings) * COMPILE / 4 + 0.003 * self.samples * self.agents

    def do(self, place: Path, console: "Console") -> dict[str, Any]:
        from descant.reproduce._compare import work

        return work.noise(self, console)
