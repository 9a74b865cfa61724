"""What a target consists of, as values: which runs, how large, under which settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from descant.presets import PRESETS
from descant.train.settings import Given, Settings, assemble, defaults


@dataclass(frozen=True, eq=False)
class Scale:
    """How large a target is run."""

    name: str
    """`quick` or `full`; results of different scales never meet."""
    servers: tuple[int, ...]
    """Sizes."""
    seeds: int
    """Learners per run, trained side by side."""
    iterations: Mapping[str, int] = field(default_factory=dict)
    """Iterations by method; others take those of their settings."""
    rollouts: Mapping[int, int] = field(default_factory=dict)
    """Scenarios per iteration for clusters from a size on; smaller ones take their settings'."""
    scenarios: int = 40
    """Held-out scenarios that policies and rules are scored on."""
    fewer: Mapping[int, int] = field(default_factory=dict)
    """Held-out scenarios for clusters from a size on, where they are costly."""
    largest: Mapping[str, int] = field(default_factory=dict)
    """Largest size by method; others are run at all."""
    fixed: bool = False
    """Whether no other sizes are taken: those that there are have been chosen one by one."""
    resized: bool = False
    """Whether sizes are others than the scale's own."""
    transfer: tuple[int, ...] = ()
    """Sizes on which policies trained at another are scored."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Settings by dotted name that hold in every run, above all others."""

    @property
    def folder(self) -> str:
        """Where tables and figures go."""
        return "-".join((self.name, *map(str, self.servers))) if self.resized else self.name

    def scenarios_at(self, servers: int) -> int:
        """Held-out scenarios of a size."""
        return _from(self.fewer, servers) or self.scenarios

    def rollouts_at(self, servers: int) -> int | None:
        """Scenarios per iteration at a size; None leaves them to the settings."""
        return _from(self.rollouts, servers)

    def sizes(self, method: str) -> tuple[int, ...]:
        """Sizes at which a method is run."""
        return tuple(n for n in self.servers if n <= self.largest.get(method, n))


def _from(values: Mapping[int, int], size: int) -> int | None:
    """The value that holds from the largest size on that is not above this one."""
    known = [n for n in values if n <= size]
    return values[max(known)] if known else None


def settle(
    algorithm: str,
    preset: str | None = None,
    values: Mapping[str, Any] | None = None,
    *,
    domain: str = "cloud",
) -> Settings:
    """Settings of a run: defaults, then a preset, then values by dotted name.

    Raises:
        UserError: a value does not fit.
    """
    start = defaults(domain, algorithm)
    asked = _given(values or {})
    if preset is None:
        return assemble(start, asked)
    told = PRESETS[preset].values
    if not isinstance(told, Mapping):
        told = told(assemble(start, asked))
    return assemble(start, _given(told), asked)


def _given(values: Mapping[str, Any]) -> list[Given]:
    return [Given(name, value) for name, value in values.items()]
