"""MAIPG against MAPPO in an academy scenario of Google Research Football (Figure 4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from descant.report.numbers import number, percent, plural
from descant.reproduce._common import costs
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job, Score, Train, digest
from descant.reproduce._common.plan import Scale, settle
from descant.reproduce._common.shown import Shown, against, told, verdict
from descant.reproduce._common.tables import Measured, Table
from descant.train.settings import Settings
from descant.train.toml import to_toml

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

EXTRA = "gfootball"
SCENARIO = "academy_3_vs_1_with_keeper"
SCALES = {
    "quick": Scale(
        "quick",
        servers=(3,),
        seeds=2,
        rollouts={0: 4},
        scenarios=10,
        values={"train.iterations": 5, "train.steps": 100},
    ),
    "full": Scale(
        "full",
        servers=(3,),
        seeds=5,
        rollouts={0: 50},
        scenarios=100,
        values={"train.iterations": 100, "train.steps": 400},
    ),
}
PUBLISHED = {"MAPPO": (88.0, 4.2), "HAPPO": (94.7, 3.1), "QMIX": (8.1, None)}
"""Successes in percent and their deviation, in the table of the repository of HARL (Zhong et al.),
by its own code and settings; there is none for MAIPG, whose paper prints no number."""
METHODS = {"mappo": ("MAPPO", "run-2"), "maipg": ("MAIPG", "accent")}
# Tables 1 and 4; the bonus, the loss and the chunks are those of MAPPO's code, which it builds on.
NETWORKS = {
    "net": "gru",
    "hidden": 64,
    "chunk": 10,
    "discount": 0.99,
    "trace": 0.95,
    "clip": 0.2,
    "epochs": 15,
    "critic_epochs": 15,
    "minibatches": 0,
    "rate": 5e-4,
    "critic_rate": 5e-4,
    "rate_decay": "constant",
    "entropy": 0.01,
    "entropy_stop": 0.01,
    "trust": None,
    "norm": 10.0,
}
WEIGHT = {"algorithm.nu": 0.5, "algorithm.scale": "rewards"}
ENOUGH = 5
"""Seeds from which on a verdict is given."""
SPEED = 400
"""Ticks of the engine per second, updates left out."""
LENGTH = 70
"""Ticks of a game, about."""


@dataclass(frozen=True)
class Season(Train):
    """A training run."""

    @property
    def name(self) -> str:
        return f"{_what(self.settings)}-{digest(to_toml(self.settings))}"

    @property
    def title(self) -> str:
        return f"{_what(self.settings)}: {number(ticks(self.settings), 0)} ticks ({self.name})"

    def seconds(self) -> float:
        return costs.START + 3 * costs.COMPILE + 2 * ticks(self.settings) / SPEED


@dataclass(frozen=True)
class Matches(Score):
    """Games of a run's policies."""

    @property
    def title(self) -> str:
        return f"{_what(self.train.settings)} in {self.scenarios} held-out games"

    def seconds(self) -> float:
        games = self.train.settings.seeds * self.scenarios
        return costs.COMPILE / 2 + games * LENGTH / SPEED


def jobs(scale: Scale) -> list[Job]:
    """Both methods, and their policies in held-out games."""
    runs = [_run(method, scale) for method in METHODS]
    return [*runs, *(Matches(run, scale.scenarios) for run in runs)]


def show(scale: Scale, found: "Found") -> Shown:
    """Curves, and successes at the end beside published ones."""
    total = ticks(_run("mappo", scale).settings)
    return Shown(
        "Figure 4: football",
        "MAIPG's curve of successes lies above MAPPO's in five academy scenarios. The paper prints "
        "no number; those beside ours are of another library.",
        tuple(_findings(scale, found)),
        (_table(scale, found),),
        (_figure(scale, found),),
        (
            f"Scale --{scale.name}: {plural(scale.seeds, 'seed')}, {number(total, 0)} ticks in all "
            f"for each method, on {SCENARIO}. Unfinished training does not speak against anybody; "
            "neither does two million ticks a seed, which is what --full has.",
            "Tables 1 and 4: recurrent actor and critics of width 64, 15 passes over all ticks at "
            "once, learning rates of 5e-4, nu = 0.5, and with --full 50 games side by side. Not "
            "said, and taken from MAPPO's code: chunks of ten ticks, an entropy bonus of 0.01, "
            "standardised targets of the critic.",
            "The value that MAIPG climbs counts in units of reward.",
            "A success is a goal of ours. Games at the end are played as policies are meant to be "
            "used; intervals are over seeds.",
        ),
    )


def ticks(settings: Settings) -> int:
    """Ticks of a run, all seeds together."""
    knobs = settings.train
    return settings.seeds * knobs.iterations * knobs.rollouts * knobs.steps


@cache
def _run(method: str, scale: Scale) -> Season:
    many = scale.rollouts_at(0) or 1
    steps = scale.values["train.steps"]
    prefix = "algorithm" if method == "mappo" else "algorithm.base"
    networks = NETWORKS | {"minibatch": many * steps}
    values = {
        "domain.scenario": SCENARIO,
        "train.rollouts": many,
        # Nothing is compared by training itself; policies are met by jobs of their own.
        "train.scenarios": 0,
        "train.validation": 0,
        **{f"{prefix}.{name}": value for name, value in networks.items()},
        **(WEIGHT if method == "maipg" else {}),
        **scale.values,
    }
    settings = settle(method, None, values, domain="football")
    return Season(replace(settings, seeds=scale.seeds))


def _what(settings: Settings) -> str:
    return f"{settings.domain.scenario}-{settings.algorithm_name}"


def _successes(method: str, scale: Scale, found: "Found") -> list[float]:
    """Percent of held-out games, seed by seed."""
    shares = found.of(Matches(_run(method, scale), scale.scenarios))["diagnostics"]["success"]
    return [100 * share for share in shares]


def _over(values: Sequence[float]) -> Measured:
    from descant.reproduce._common import found

    return found.over(values)


def _curve(method: str, scale: Scale, found: "Found") -> Curve:
    """Of games that ended in an iteration; a game that goes on does not count yet."""
    label, colour = METHODS[method]
    train = _run(method, scale)
    run = found.trained(train)
    seen = ticks(train.settings) / scale.seeds / len(run.iterations) / 1000
    published = PUBLISHED.get(label, (None, None))[0]
    return Curve(label, seen * run.iterations, 100 * run.metric("success"), colour, published)


def _figure(scale: Scale, found: "Found"):
    lines = tuple(_curve(method, scale, found) for method in METHODS)
    return curves(
        "figure",
        [Panel(SCENARIO, lines)],
        "Successes in training, percent",
        "Bands: over seeds. Hollow: HARL's MAPPO, whose training was its own.",
        across="thousand ticks",
    )


def _table(scale: Scale, found: "Found") -> Table:
    ours = ((METHODS[m][0], _over(_successes(m, scale, found)), None) for m in METHODS)
    theirs = ((f"{name}, HARL", mean, deviation) for name, (mean, deviation) in PUBLISHED.items())
    return Table(
        "table",
        f"Successes in percent, {SCENARIO}",
        ("method", "successes", "published deviation"),
        (*ours, *theirs),
        f"Ours: {scale.scenarios} held-out games for each of {plural(scale.seeds, 'seed')}, with "
        "the 95 % interval over seeds.",
    )


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    import numpy as np

    from descant.evaluate.statistics import paired_difference

    ends = {method: _successes(method, scale, found) for method in METHODS}
    gap = Measured(**paired_difference(ends["maipg"], ends["mappo"]))
    said = verdict(gap) if scale.seeds >= ENOUGH else "too few to tell"
    yield (
        f"MAIPG minus MAPPO in held-out games: {told(gap)} points over "
        f"{plural(scale.seeds, 'seed')}, {said}."
    )
    for method, (label, _) in METHODS.items():
        known, (mean, _) = _over(ends[method]), PUBLISHED["MAPPO"]
        yield f"{label}: {against(known, mean, 'the MAPPO of HARL with')} percent."
        halves = np.array_split(_curve(method, scale, found).values, 2)
        early, late = (percent(float(np.nanmean(half)) / 100) for half in halves)
        yield f"{label} in training: {early} of games in the first half, {late} in the second."
