"""Utilities of several kinds on one network, each against its own optimum."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import curves
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Table
from descant.reproduce.utilities._jobs import PAPER, SHARE, over, records
from descant.reproduce.utilities._training import last, panel, train

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(196,), seeds=2, iterations={"localised": 60}),
    "full": Scale("full", servers=(1024,), seeds=5, iterations={"localised": 150}),
}
KINDS = ("thirds", "linear", "coverage")
ROLLOUTS = 16


def jobs(scale: Scale) -> list[Job]:
    """Training on each kind."""
    return [
        train(
            scale.servers[0],
            rollouts=ROLLOUTS,
            iterations=scale.iterations["localised"],
            seed=seed,
            world={"utility": kind},
        )
        for kind in KINDS
        for seed in range(scale.seeds)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Values at the end and the optimum of each."""
    by: dict[str, list[Mapping[str, Any]]] = {}
    for values, record in records(jobs(scale), found):
        by.setdefault(values["world"]["utility"], []).append(record)
    findings = tuple(
        f"{kind}: training ends {percent(over([last(run, 'share') for run in runs]).mean)} below "
        f"the optimum of {number(runs[0]['bound'], 4)}"
        f"{'' if all(last(run, 'share') <= SHARE for run in runs) else ', more than 5 %'}."
        for kind, runs in by.items()
    )
    rows = tuple(
        (
            kind,
            runs[0]["rows"][0]["value"],
            over([last(run, "value") for run in runs]),
            runs[0]["optimum"],
            runs[0]["bound"],
        )
        for kind, runs in by.items()
    )
    head = ("utility", "at first", "at the end", "optimum", "no policy exceeds")
    panels = [panel(kind, {"trained": runs}, "value", "optimum") for kind, runs in by.items()]
    return Shown(
        "Utilities of several kinds",
        PAPER,
        findings,
        (Table("table", "Exact values", head, rows, decimals=4),),
        (curves("figure", panels, "Exact utility", "Lines: certified optima."),),
        (
            f"Torus of {scale.servers[0]} voters, credit radius 1, {ROLLOUTS} rollouts an "
            f"iteration, {plural(scale.seeds, 'seed')}. Thirds are imitation of a target, variety "
            "and reward, dealt in turn.",
        ),
    )
