"""Held-out reward by number of servers, N = 5 to 200 (Figure 4)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.dgpg import _paper as paper
from descant.reproduce.dgpg import _sizes as sizes

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES, jobs = sizes.SCALES, sizes.jobs
COLOURS = {"DG-PG": "run-1", "Best-Fit": "rule", "Random": "run-6"}


def show(scale: Scale, found: "Found") -> Shown:
    """Published and measured rewards over sizes."""
    published = [
        Series(
            f"{label}, the paper's",
            tuple((float(n), _published(*known)) for n, known in by.items() if n in scale.servers),
            COLOURS[label],
            published=True,
        )
        for label, by in paper.TABLE1.items()
    ]
    figure = by_size(
        "figure",
        [*published, *_measured(scale, found)],
        "Held-out reward per tick",
        "Filled: ours, with 95 % intervals over scenarios. Hollow: the paper's Table 1, with the "
        "interval that its standard deviation over 40 scenarios makes.",
    )
    table = Table(
        "table",
        "Held-out reward by size",
        ("policy", *(f"N = {n}" for n in scale.servers)),
        tuple(_row(series, scale) for series in [*published, *_measured(scale, found)]),
        "With 95 % intervals over scenarios.",
    )
    return Shown(
        "Figure 4: reward by size",
        "DG-PG follows Best-Fit closely over all sizes; Random gets worse as N grows (its own "
        "Table 1 has Random improve from −84.2 at N = 5 to −60.0 at N = 200).",
        tuple(_findings(scale, found)),
        (table,),
        (figure,),
        tuple(sizes.notes(scale)),
    )


def _measured(scale: Scale, found: "Found") -> list[Series]:
    learned = [
        Series(
            method.label,
            tuple(
                (float(n), found.held_out(sizes.score(method, n, scale)))
                for n in scale.sizes(method.key)
            ),
            method.colour,
        )
        for method in sizes.SCORED
    ]
    ruled = [
        Series(
            label,
            tuple((float(n), found.rule(sizes.world(n, scale), name)) for n in scale.servers),
            COLOURS[label],
        )
        for name, label in sizes.BASE_RULES.items()
    ]
    best = tuple(
        (float(n), found.rule(rule, found.best_rule(rule)))
        for n in scale.servers
        for rule in [sizes.world(n, scale)]
    )
    return [*learned, *ruled, Series("best of all rules", best, "run-5")]


def _row(series: Series, scale: Scale) -> tuple[Cell, ...]:
    known = dict(series.points)
    return (series.label, *(known.get(float(n)) for n in scale.servers))


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    for method in sizes.SCORED:
        known = scale.sizes(method.key)
        if len(known) < 2:
            continue
        first, last = known[0], known[-1]
        gaps = [
            found.beyond(sizes.score(method, n, scale), sizes.world(n, scale), "best-fit")
            for n in (first, last)
        ]
        yield (
            f"{method.label} minus Best-Fit: {told(gaps[0], 2)} at N = {first}, "
            f"{told(gaps[1], 2)} at N = {last}."
        )
    random = [found.rule(sizes.world(n, scale), "random") for n in scale.servers]
    side = "improves" if random[-1].mean > random[0].mean else "gets worse"
    yield (
        f"Random {side} from {told(random[0])} at N = {scale.servers[0]} to {told(random[-1])} at "
        f"N = {scale.servers[-1]}."
    )


def _published(mean: float, deviation: float) -> Measured:
    half = 1.96 * deviation / paper.TABLE1_SCENARIOS**0.5
    return Measured(mean, mean - half, mean + half)
