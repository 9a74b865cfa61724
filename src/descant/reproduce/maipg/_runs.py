"""Runs on particles, in battles and on pitches, and what is read off them seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from descant.report.numbers import plural
from descant.reproduce._common import costs, shown
from descant.reproduce._common.jobs import Score, Train, digest, network
from descant.reproduce._common.plan import Scale, settle
from descant.reproduce._common.tables import Measured
from descant.train.settings import Settings
from descant.train.toml import to_toml

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    from descant.reproduce._common.found import Found

    Array = NDArray[float64]


@dataclass(frozen=True)
class Method:
    """One line of a figure."""

    label: str
    algorithm: str
    colour: str


MAPPO = Method("MAPPO", "mappo", "run-2")
MAIPG = Method("MAIPG", "maipg", "accent")
HAPPO = Method("HAPPO", "happo", "run-1")
QMIX = Method("QMIX", "qmix", "run-4")

PAPERS_VALUE: dict[str, Any] = {"algorithm.embed": 64, "algorithm.critic.epochs": None}
"""MAIPG's value as the paper has it: its mixer, and as many passes as the critic makes."""
ENOUGH = 5
"""Seeds from which on an interval over them tells."""
SPEED = {"mappo": 11_000, "maipg": 7_000, "happo": 7_000, "qmix": 12_000}
"""Ticks per second of runs with three agents that remember, on two quiet cores."""
FORGETFUL = 5.0
"""How much faster agents that do not remember are."""
SLOWER = {"assignment-spread": 1.0, "line": 1.0, "formation": 1.0, "3m": 1.0, "2s3z": 1.7}
"""How much longer a tick takes in other worlds."""
SLOWEST = 4.0
"""The same in battles that are not named above."""
WORLDS = {"particle": "task", "jaxmarl": "map", "football": "scenario"}
"""The setting of a domain that says which of its worlds it is."""
ENGINE = 1 / 400
"""Seconds of a tick outside the compiled step."""
PLAYED = 1e-4
"""Seconds of a tick of a held-out scenario inside it."""
LONGEST = 100
"""Ticks of a battle or of a game, about."""


@dataclass(frozen=True)
class Run(Train):
    """A training run in one of these worlds."""

    @property
    def name(self) -> str:
        return f"{_what(self.settings)}-{digest(to_toml(self.settings))}"

    @property
    def title(self) -> str:
        s = self.settings
        return (
            f"{s.algorithm_name} on {world(s)}: {s.train.iterations} iterations of "
            f"{s.train.rollouts} rollouts, {plural(s.seeds, 'seed')} ({self.name})"
        )

    def seconds(self) -> float:
        s = self.settings
        each = slowness(s) / SPEED[s.algorithm_name] + outside(s)
        return costs.START + costs.COMPILE + s.seeds * ticks(s) * s.train.iterations * each


@dataclass(frozen=True)
class Met(Score):
    """The policies of such a run on held-out scenarios."""

    @property
    def title(self) -> str:
        return f"{_what(self.train.settings)} on {self.scenarios} held-out scenarios"

    def seconds(self) -> float:
        s = self.train.settings
        length = LONGEST if outside(s) else s.domain.horizon or LONGEST
        return costs.COMPILE / 2 + (PLAYED + outside(s)) * s.seeds * self.scenarios * length


def run(
    method: Method,
    domain: str,
    scale: Scale,
    *layers: Mapping[str, Any],
    preset: str | None = None,
    seeds: int | None = None,
) -> Run:
    """A training run; of the values by dotted name, those of later layers count."""
    # Nothing is compared by training itself; policies are met by jobs of their own.
    told: dict[str, Any] = {"train.scenarios": 0, "train.validation": 0}
    for values in (*layers, scale.values):
        told |= values
    settings = settle(method.algorithm, preset, told, domain=domain)
    return Run(replace(settings, seeds=scale.seeds if seeds is None else seeds))


def nested(method: Method, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of MAPPO, which the others nest."""
    prefix = "algorithm" if method is MAPPO else "algorithm.base"
    return {f"{prefix}.{name}": value for name, value in values.items()}


def world(settings: Settings) -> str:
    """The task, the battle or the game."""
    return getattr(settings.domain, WORLDS[settings.domain_name])


def outside(settings: Settings) -> float:
    """Seconds of a tick in an engine that the compiled step calls."""
    return ENGINE if settings.domain_name == "football" else 0.0


def slowness(settings: Settings) -> float:
    """How much longer a tick takes than with three agents that remember."""
    slower = SLOWER.get(world(settings), SLOWEST)
    return slower if network(settings) == "gru" else slower / FORGETFUL


def ticks(settings: Settings) -> int:
    """Ticks of one seed's iteration."""
    return settings.train.rollouts * (settings.train.steps or settings.domain.horizon)


def thousands(run: Run, found: "Found") -> "Array":
    """Thousands of ticks that a seed has seen after each iteration."""
    return found.trained(run).iterations * ticks(run.settings) / 1000


def scores(found: "Found", job: Met) -> list[float]:
    """Each seed's mean held-out reward per tick."""
    return [sum(values) / len(values) for values in found.of(job)["values"]]


def shares(found: "Found", job: Met, outcome: str) -> list[float]:
    """Share of each seed's held-out episodes that ended so."""
    return found.of(job)["diagnostics"][outcome]


def percents(found: "Found", job: Met, outcome: str) -> list[float]:
    """The same in percent."""
    return [100 * share for share in shares(found, job, outcome)]


def over(values: "Array | Sequence[float]") -> Measured:
    """Mean over seeds with its 95 % interval."""
    from descant.reproduce._common import found

    return found.over(values)


def paired(ours: Sequence[float], theirs: Sequence[float]) -> Measured:
    """Mean difference, seed by seed, with its 95 % interval."""
    from descant.evaluate.statistics import paired_difference

    return Measured(**paired_difference(ours, theirs))


def verdict(difference: Measured, seeds: int) -> str:
    """What the interval of a difference says, if there are seeds enough: two that agree are common
    without any difference."""
    return shown.verdict(difference) if seeds >= ENOUGH else f"too few seeds ({seeds}) to tell"


def few(seeds: int) -> str:
    """What an interval over so many seeds is worth."""
    if seeds >= ENOUGH:
        return "Intervals: 95 %, over seeds."
    return (
        f"Intervals are over {plural(seeds, 'seed')} and say little; --full has more."
        if seeds > 1
        else "One seed has no interval; --full has more."
    )


def _what(settings: Settings) -> str:
    return f"{world(settings)}-{settings.algorithm_name}"
