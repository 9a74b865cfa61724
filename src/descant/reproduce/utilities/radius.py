"""Bias, noise and error of localised gradients by radius and number of rollouts."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, plural
from descant.reproduce._common.figures import Curve, Panel, curves
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
    def panel(title: str, what: str, critic: str) -> Panel:
        sizes = {n: known for (n, c), known in by.items() if c == critic}
        drawn = [
            _curve(f"{n} rollouts", known, what, COLOURS[i])
            for i, (n, known) in enumerate(sizes.items())
        ]
        return Panel(title, tuple(drawn))

    bias = _curve("all batches", next(iter(by.values())), "bias", "ink")
    panels = (
        Panel("bias: what the radius leaves out", (bias,)),
        panel("noise, light-cone returns", "noise", "cone"),
        panel("noise, all returns", "noise", "mc"),
        panel("error, multiple of the least, light cone", "multiple", "cone"),
    )
    return curves(
        "figure",
        panels,
        "Bias, noise and error",
        "Bias and noise relative to the length of the full gradient; they add up to the error as "
        "squares do. Each panel has its own scale.",
        across="radius",
    )


def _curve(label: str, known: list[Mapping[str, Any]], what: str, colour: str) -> Curve:
    import numpy as np

    name = "error" if what == "multiple" else what
    values = np.array([[record[str(k)][name] for record in known] for k in RADII], np.float64)
    if what == "multiple":
        values = values / values.min(axis=0)
    return Curve(label, np.array(RADII, np.float64), values, colour)


def _findings(by: Mapping[tuple[int, str], list[Mapping[str, Any]]]) -> Iterator[str]:
    errors = {
        n: {k: _mean(known, k, "error").mean for k in RADII}
        for (n, critic), known in by.items()
        if critic == "cone"
    }
    best = {n: min(found, key=lambda k: found[k]) for n, found in errors.items()}
    said = ", ".join(f"{k} with {n} rollouts" for n, k in best.items())
    yield f"The error is least at radius {said}: a larger radius takes more rollouts to pay."
    for n, found in errors.items():
        far, near = found[RADII[-1]], found[best[n]]
        yield (
            f"With {n} rollouts the error is {number(near, 2)} of the gradient at radius {best[n]} "
            f"and {number(far, 2)} at radius {RADII[-1]}."
        )
    shares = [
        _mean(by[n, "cone"], 4, "noise").mean / _mean(by[n, "mc"], 4, "noise").mean for n in errors
    ]
    yield (
        f"At radius 4 light-cone returns have {number(min(shares), 2)} to {number(max(shares), 2)} "
        "of the noise of all returns, whatever the number of rollouts."
    )
