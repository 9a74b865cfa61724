"""Three rules of prices for constraints: violation against utility."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, plural
from descant.reproduce._common.figures import curves
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Table
from descant.reproduce.utilities._jobs import over, records
from descant.reproduce.utilities._training import last, panel, train

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(100,), seeds=2, iterations={"localised": 100}),
    "full": Scale("full", servers=(1024,), seeds=5, iterations={"localised": 300}),
}
ENTROPY, ROLLOUTS = 0.65, 16
RULES = {
    "none": {"dual": "none"},
    "closed, 1": {"dual": "closed", "dual_rate": 1.0},
    "closed, 10": {"dual": "closed", "dual_rate": 10.0},
    "closed, 100": {"dual": "closed", "dual_rate": 100.0},
    "ascent": {"dual": "ascent", "dual_rate": 0.5},
    "augmented": {"dual": "augmented", "dual_rate": 0.5, "penalty": 10.0},
}


def jobs(scale: Scale) -> list[Job]:
    """Training under each rule."""
    return [
        train(
            scale.servers[0],
            rollouts=ROLLOUTS,
            iterations=scale.iterations["localised"],
            seed=seed,
            world={"utility": "linear", "cost": 0.0, "low": 0.0, "high": 1.0, "entropy": ENTROPY},
            settings=rule,
        )
        for rule in RULES.values()
        for seed in range(scale.seeds)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Utility and violation at the end, and along training."""
    by: dict[str, list[Mapping[str, Any]]] = {}
    names = [name for name in RULES for _ in range(scale.seeds)]
    for name, (_, record) in zip(names, records(jobs(scale), found), strict=True):
        by.setdefault(name, []).append(record)
    rows = tuple(
        (
            name,
            over([last(run, "value") for run in runs]),
            over([last(run, "violation") for run in runs]),
        )
        for name, runs in by.items()
    )
    _, free, broken = rows[0]
    name, value, least = min(rows, key=lambda row: row[2].mean)
    findings = (
        f"Without prices agents are {number(broken.mean, 3)} nats short at a utility of "
        f"{number(free.mean, 3)}; with {name} they are {number(least.mean, 3)} short at "
        f"{number(value.mean, 3)}.",
        *(
            f"{name}: utility {number(value.mean, 3)}, violation {number(short.mean, 3)} an agent."
            for name, value, short in rows[1:]
        ),
    )
    head = ("rule", "utility", "mean violation, nats")
    panels = (panel("utility", by, "value"), panel("violation", by, "violation"))
    return Shown(
        "Constraints and their prices",
        "the code of Ying, Zhang, Ding, Koppel and Lavaei (2023) sets prices to the violation "
        "times a rate and remembers none; their violations fall as the rate grows, on other tasks.",
        findings,
        (Table("table", "At the end of training", head, rows, decimals=4),),
        (curves("figure", panels, "Exact values", "A rule's number is its rate."),),
        (
            f"Torus of {scale.servers[0]} voters paid for opinion 1, each to keep an entropy of "
            f"at least {ENTROPY} nats; {plural(scale.seeds, 'seed')}.",
            "Rule none has no prices: its utility is that of the unconstrained team.",
        ),
    )
