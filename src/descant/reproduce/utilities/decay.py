"""How fast the error of truncated gradients falls with the radius, beside what can be proved."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Measured, Table
from descant.reproduce.utilities._jobs import DISCOUNT, PAPER, measure, over, records

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(200,), seeds=3),
    "full": Scale("full", servers=(1000,), seeds=10),
}
ALPHAS = (0.5, 0.8, 0.95)
RADII = (0, 1, 2, 4, 8)
COLOURS = dict(zip(ALPHAS, ("run-1", "run-2", "run-3"), strict=True))
CLOSE = 0.1


def jobs(scale: Scale) -> list[Job]:
    """Each coupling at several random policies."""
    return [
        measure(
            "decay",
            3.0,
            alpha=alpha,
            agents=agents,
            radii=RADII,
            discount=DISCOUNT,
            seed=seed,
        )
        for agents in scale.servers
        for alpha in ALPHAS
        for seed in range(scale.seeds)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Measured, closed-form and certified factors; errors by radius."""
    by = _by_alpha(scale, found)
    return Shown(
        "Decay of truncated gradients",
        PAPER,
        tuple(_findings(by)),
        (_factors(by), _errors(by)),
        (_figure(by),),
        (
            f"Rings of {scale.servers[0]} voters, discount {DISCOUNT}, linear utility, random "
            f"policies of the own opinion ({plural(scale.seeds, 'seed')}).",
            "Closed form: for policies that read nothing; measured: slope of the logarithm of the "
            "error over radii 0 to 6.",
        ),
    )


def _by_alpha(scale: Scale, found: "Found") -> dict[float, list[Mapping[str, Any]]]:
    by: dict[float, list[Mapping[str, Any]]] = {}
    for values, record in records(jobs(scale), found):
        by.setdefault(values["alpha"], []).append(record)
    return by


def _factors(by: Mapping[float, list[Mapping[str, Any]]]) -> Table:
    rows = tuple(
        (
            number(alpha, 2),
            known[0]["closed"],
            over([r["measured"] for r in known]),
            known[0]["certified"],
            known[0]["light cone"],
        )
        for alpha, known in by.items()
    )
    head = ("alpha", "closed form", "measured", "certified", "light cone")
    return Table("table", "Factor of the error per hop", head, rows, decimals=3)


def _errors(by: Mapping[float, list[Mapping[str, Any]]]) -> Table:
    rows = tuple(
        (number(alpha, 2), *(over([r["errors"][str(k)] for r in known]) for k in RADII))
        for alpha, known in by.items()
    )
    head = ("alpha", *(f"radius {k}" for k in RADII))
    return Table("errors", "Error relative to the gradient", head, rows, decimals=5)


def _figure(by: Mapping[float, list[Mapping[str, Any]]]):
    series = []
    for alpha, known in by.items():
        name = f"alpha {number(alpha, 2)}"
        points = tuple((float(k), over([r["errors"][str(k)] for r in known])) for k in RADII)
        closed = tuple(
            (k, Measured(points[0][1].mean * known[0]["closed"] ** k)) for k, _ in points
        )
        series.append(Series(name, points, COLOURS[alpha]))
        series.append(Series(f"{name}, closed form", closed, COLOURS[alpha], published=True))
    return by_size(
        "figure",
        series,
        "Error of the truncated gradient, relative",
        "Exact numbers. Hollow: the measured error at radius 0, times the closed form for each "
        "hop.",
        across="radius",
        logarithmic=True,
        even=True,
    )


def _findings(by: Mapping[float, list[Mapping[str, Any]]]) -> Iterator[str]:
    for alpha, known in by.items():
        measured: Measured = over([r["measured"] for r in known])
        off = abs(measured.mean / known[0]["closed"] - 1)
        word = "within" if off <= CLOSE else "not within"
        yield (
            f"At alpha = {number(alpha, 2)} a hop leaves {number(measured.mean, 3)} of the error, "
            f"{percent(off)} from the closed form, {word} {percent(CLOSE, 0)}; the certificate "
            f"proves {number(known[0]['certified'], 3)}."
        )
