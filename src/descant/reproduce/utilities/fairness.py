"""What fairness costs: teams averse to some having little, against the best there is for each."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import curves
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Table
from descant.reproduce.utilities._jobs import DISCOUNT, measure, over, records
from descant.reproduce.utilities._training import HORIZON, SETTINGS, last, panel

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(85,), seeds=2, iterations={"localised": 100}),
    "full": Scale("full", servers=(1365,), seeds=5, iterations={"localised": 300}),
}
TEAMS = {"mean": 0.0, "fair, 1": 1.0, "fair, 2": 2.0, "fair, 4": 4.0, "soft least": None}
"""What teams want, by how averse they are to some having little."""
COST, BRANCHING, RADIUS, ROLLOUTS = 0.4, 4, 2, 16


def jobs(scale: Scale) -> list[Job]:
    """Training of each team."""
    iterations = scale.iterations["localised"]
    agents = scale.servers[0]
    world = {"agents": agents, "graph": "tree", "degree": BRANCHING, "cost": COST}
    return [
        measure(
            "fairness",
            20.0 + 2e-7 * agents * ROLLOUTS * HORIZON * iterations,
            aversion=aversion,
            world=world | {"horizon": HORIZON},
            settings={**SETTINGS, "credit_radius": RADIUS},
            rollouts=ROLLOUTS,
            iterations=iterations,
            period=iterations // 10,
            seed=seed,
        )
        for aversion in TEAMS.values()
        for seed in range(scale.seeds)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Mean and least pay, at the end and along training, and the best of each team."""
    by: dict[str, list[Mapping[str, Any]]] = {name: [] for name in TEAMS}
    names = {aversion: name for name, aversion in TEAMS.items()}
    for values, record in records(jobs(scale), found):
        by[names[values["aversion"]]].append(record)
    rows = tuple(
        (
            name,
            over([last(run, "mean") for run in runs]),
            runs[0]["best"]["mean"],
            over([last(run, "least") for run in runs]),
            runs[0]["best"]["least"],
            over([last(run, "gap") for run in runs]),
        )
        for name, runs in by.items()
    )
    head = (
        *("team wants", "mean pay", "at its best", "least pay", "at its best"),
        "below its best",
    )
    panels = (panel("mean pay", by, "mean"), panel("least pay", by, "least"))
    return Shown(
        "The price of fairness",
        "no published experiment on fairness with localised policy gradients is known to us.",
        tuple(_findings(by)),
        (Table("table", "What agents are paid, exact", head, rows, decimals=3),),
        (
            curves(
                "figure", panels, "Exact pay", "A team's number is its aversion to having little."
            ),
        ),
        (
            f"Voters on a tree of {number(scale.servers[0], 0)}, {BRANCHING} below each, paid for "
            f"opinion 1 and {number(COST)} for each tick without a push, so that pay is never "
            f"below 0; discount {DISCOUNT}, credit radius {RADIUS}, {ROLLOUTS} rollouts an "
            f"iteration, {plural(scale.seeds, 'seed')}.",
            "Few have most of the neighbours, and a push is worth most to others there: a team "
            "that wants the mean lets them bear the cost.",
            "Fair with aversion a: the mean over agents of log pay (1) or of pay to the power "
            "1 - a over 1 - a; agents need no word of one another for it. The soft least takes one "
            "number from all. What a team is below its best is in units of its own objective.",
        ),
    )


def _findings(by: Mapping[str, list[Mapping[str, Any]]]) -> Iterator[str]:
    plain = {what: _end(by["mean"], what) for what in ("mean", "least")}
    averse = sorted((n for n in by if n != "mean"), key=lambda n: -_end(by[n], "least"))
    for name in averse:
        mean, least = _end(by[name], "mean"), _end(by[name], "least")
        yield (
            f"{name}: the least pay is {number(least, 3)}, and {number(plain['least'], 3)} where "
            f"the team wants the mean, for a mean of {number(mean, 3)} against "
            f"{number(plain['mean'], 3)} ({percent(mean / plain['mean'] - 1, sign=True)})."
        )
    best = by[averse[0]][0]["best"]
    yield (
        f"At its best the team of {averse[0]} would have a least pay of {number(best['least'], 3)} "
        f"at a mean of {number(best['mean'], 3)}."
    )


def _end(runs: list[Mapping[str, Any]], what: str) -> float:
    return over([last(run, what) for run in runs]).mean
