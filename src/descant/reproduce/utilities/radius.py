"""Bias, noise and error of localised gradients by radius and number of rollouts."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, plural
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Table
from descant.reproduce.utilities._jobs import DISCOUNT, PAPER, measure, over, records

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(100,), seeds=1, rollouts={0: 256}),
    "full": Scale("full", servers=(200,), seeds=5, rollouts={0: 4096}),
}
"""Seeds are random policies; the number of rollouts is the largest."""
RADII = (0, 1, 2, 4, 8)
BATCHES = {"quick": 6, "full": 30}
CRITICS = {"cone": "light cone", "mc": "all returns"}
COLOURS = ("run-1", "run-2", "run-3", "run-4", "run-0")
HORIZON = 50


def jobs(scale: Scale) -> list[Job]:
    """Every batch size with both kinds of returns."""
    batches = BATCHES["full" if scale.name == "full" else "quick"]
    return [
        measure(
            "noise",
            20.0 + 2e-7 * agents * rollouts * HORIZON * batches * len(RADII),
            agents=agents,
            rollouts=rollouts,
            critic=critic,
            radii=RADII,
            horizon=HORIZON,
            batches=batches,
            discount=DISCOUNT,
            seed=seed,
        )
        for agents in scale.servers
        for rollouts in _sizes(scale)
        for critic in CRITICS
        for seed in range(scale.seeds)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Errors by radius, and the best radius of each batch size."""
    by: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for values, record in records(jobs(scale), found):
        by.setdefault((values["rollouts"], values["critic"]), []).append(record)
    return Shown(
        "The price of a larger radius",
        PAPER,
        tuple(_findings(by)),
        (_table(by, "error", "table"), _table(by, "noise", "noise"), _bias(by)),
        (_figure(by),),
        (
            f"Ring of {scale.servers[0]} voters, utilities in thirds, discount {DISCOUNT}, "
            f"episodes of {HORIZON} ticks, shadow rewards exact; {plural(scale.seeds, 'seed')}, "
            "each a random policy.",
            "Error: root mean square distance of an estimate to the full gradient, relative to "
            "its length. Noise: the same to the truncated gradient. Bias: of the truncated one.",
        ),
    )


def _sizes(scale: Scale) -> list[int]:
    """Batch sizes up to the largest."""
    largest = scale.rollouts_at(0) or 16
    return [n for n in (16, 64, 256, 1024, 4096) if n <= largest]


def _mean(known: list[Mapping[str, Any]], radius: int, what: str):
    return over([record[str(radius)][what] for record in known])


def _table(by: Mapping[tuple[int, str], list[Mapping[str, Any]]], what: str, key: str) -> Table:
    rows = tuple(
        (number(n, 0), CRITICS[critic], *(_mean(known, k, what) for k in RADII))
        for (n, critic), known in by.items()
    )
    head = ("rollouts", "returns", *(f"radius {k}" for k in RADII))
    return Table(key, f"{what.capitalize()} of sampled gradients", head, rows, decimals=3, words=2)


def _bias(by: Mapping[tuple[int, str], list[Mapping[str, Any]]]) -> Table:
    known = next(iter(by.values()))
    row = ("bias", *(_mean(known, k, "bias") for k in RADII))
    head = ("", *(f"radius {k}" for k in RADII))
    return Table("bias", "What a radius leaves out", head, (row,), decimals=3)


def _figure(by: Mapping[tuple[int, str], list[Mapping[str, Any]]]):
    cones = {n: known for (n, critic), known in by.items() if critic == "cone"}
    series = [
        Series(
            f"{n} rollouts",
            tuple((2.0 * k + 1, _mean(known, k, "error")) for k in RADII),
            COLOURS[i % len(COLOURS)],
        )
        for i, (n, known) in enumerate(cones.items())
    ]
    return by_size(
        "figure",
        series,
        "Error relative to the full gradient",
        "Light-cone returns. Agents counted are those within the radius.",
        across="agents counted",
        logarithmic=True,
    )


def _findings(by: Mapping[tuple[int, str], list[Mapping[str, Any]]]) -> Iterator[str]:
    for (n, critic), known in by.items():
        errors = {k: _mean(known, k, "error").mean for k in RADII}
        best = min(errors, key=lambda k: errors[k])
        if critic == "cone":
            worse = errors[RADII[-1]] / errors[best]
            yield (
                f"With {n} rollouts the error is least at radius {best} "
                f"({number(errors[best], 2)}); at radius {RADII[-1]} it is {number(worse, 1)} "
                "times as large."
            )
    for n in {n: None for n, _ in by}:
        cone, every = (_mean(by[n, critic], 4, "noise").mean for critic in CRITICS)
        yield (
            f"Light-cone returns have {number(cone / every, 2)} of the noise of all returns at "
            f"radius 4 and {n} rollouts."
        )
