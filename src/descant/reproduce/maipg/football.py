"""MAIPG against MAPPO in an academy scenario of Google Research Football (Figure 4)."""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, against, told
from descant.reproduce._common.tables import Table
from descant.reproduce.maipg._runs import (
    MAIPG,
    MAPPO,
    PAPERS_VALUE,
    Met,
    Method,
    Run,
    few,
    nested,
    over,
    paired,
    percents,
    run,
    thousands,
    ticks,
    verdict,
)

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
METHODS = (MAPPO, MAIPG)
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
WEIGHT = PAPERS_VALUE | {"algorithm.nu": 0.5, "algorithm.scale": "rewards"}


def jobs(scale: Scale) -> list[Job]:
    """Both methods, and their policies in held-out games."""
    return [
        *(_run(method, scale) for method in METHODS),
        *(_met(method, scale) for method in METHODS),
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Curves, and successes at the end beside published ones."""
    each = _run(MAPPO, scale).settings
    total = number(ticks(each) * each.train.iterations, 0)
    return Shown(
        "Figure 4: football",
        "MAIPG's curve of successes lies above MAPPO's in five academy scenarios. The paper prints "
        "no number; those beside ours are of another library.",
        tuple(_findings(scale, found)),
        (_table(scale, found),),
        (_figure(scale, found),),
        (
            f"Scale --{scale.name}: {plural(scale.seeds, 'seed')} of {total} ticks of each method, "
            f"on {SCENARIO}. Unfinished training does not speak against anybody; neither does two "
            "million ticks a seed, which is what --full has.",
            "Tables 1 and 4: recurrent actor and critics of width 64, 15 passes over all ticks at "
            "once, learning rates of 5e-4, nu = 0.5, and with --full 50 games side by side. Not "
            "said, and taken from MAPPO's code: chunks of ten ticks, an entropy bonus of 0.01, "
            "standardised targets of the critic.",
            "The value that MAIPG climbs counts in units of reward.",
            "A success is a goal of ours. Games at the end are played as policies are meant to be "
            "used; intervals are over seeds.",
        ),
    )


@cache
def _run(method: Method, scale: Scale) -> Run:
    many = scale.rollouts_at(0) or 1
    networks = NETWORKS | {"minibatch": many * scale.values["train.steps"]}
    values = {"domain.scenario": SCENARIO, "train.rollouts": many} | nested(method, networks)
    return run(method, "football", scale, values | (WEIGHT if method is MAIPG else {}))


def _met(method: Method, scale: Scale) -> Met:
    return Met(_run(method, scale), scale.scenarios)


def _successes(method: Method, scale: Scale, found: "Found") -> list[float]:
    """Percent of held-out games, seed by seed."""
    return percents(found, _met(method, scale), "success")


def _curve(method: Method, scale: Scale, found: "Found") -> Curve:
    """Of games that ended in an iteration; a game that goes on does not count yet."""
    train = _run(method, scale)
    share = 100 * found.trained(train).metric("success")
    published, _ = PUBLISHED.get(method.label, (None, None))
    return Curve(method.label, thousands(train, found), share, method.colour, published)


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
    ours = ((method.label, over(_successes(method, scale, found)), None) for method in METHODS)
    theirs = ((f"{name}, HARL", mean, deviation) for name, (mean, deviation) in PUBLISHED.items())
    return Table(
        "table",
        f"Successes in percent, {SCENARIO}",
        ("method", "successes", "published deviation"),
        (*ours, *theirs),
        f"Ours: {scale.scenarios} held-out games for each seed. {few(scale.seeds)}",
    )


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    import numpy as np

    ends = {method: _successes(method, scale, found) for method in METHODS}
    gap = paired(ends[MAIPG], ends[MAPPO])
    yield (
        f"MAIPG minus MAPPO in held-out games: {told(gap)} points over "
        f"{plural(scale.seeds, 'seed')}, {verdict(gap, scale.seeds)}."
    )
    for method in METHODS:
        mean, _ = PUBLISHED["MAPPO"]
        said = against(over(ends[method]), mean, "the MAPPO of HARL with")
        yield f"{method.label}: {said} percent."
        halves = np.array_split(_curve(method, scale, found).values, 2)
        early, late = (percent(float(np.nanmean(half)) / 100) for half in halves)
        yield f"{method.label} in training: {early} of games in the first half, then {late}."
