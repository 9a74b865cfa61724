"""Whether locality is lost as policies grow deterministic: certified and measured decay."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, plural
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Table
from descant.reproduce.utilities._jobs import DISCOUNT, measure, over, records

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(100,), seeds=2),
    "full": Scale("full", servers=(400,), seeds=10),
}
ALPHA = 0.5
SHARPNESS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Factors of the logits of a random policy: the larger, the less is left to chance."""
KINDS = {"measured": "run-1", "spectral radius": "run-2", "certified": "run-3"}


def jobs(scale: Scale) -> list[Job]:
    """Random policies from almost even to almost deterministic."""
    return [
        measure(
            "locality",
            4.0,
            alpha=ALPHA,
            agents=scale.servers[0],
            sharpness=SHARPNESS,
            discount=DISCOUNT,
            seed=seed,
        )
        for seed in range(scale.seeds)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Factors by how deterministic a policy is."""
    known: list[Mapping[str, Any]] = [record for _, record in records(jobs(scale), found)]
    cells = {
        kind: [over([record[str(s)][kind] for record in known]) for s in SHARPNESS]
        for kind in KINDS
    }
    rows = tuple(
        (number(s, 2), *(cells[kind][i] for kind in KINDS)) for i, s in enumerate(SHARPNESS)
    )
    first, last = cells["measured"][0].mean, cells["measured"][-1].mean
    low, high = cells["spectral radius"][0], cells["spectral radius"][-1]
    proved = cells["certified"][0].mean
    series = [
        Series(kind, tuple(zip(SHARPNESS, cells[kind], strict=True)), colour)
        for kind, colour in KINDS.items()
    ]
    return Shown(
        "Locality as policies grow deterministic",
        "a condition on the spectral radius of influences of states plus influences of actions "
        "times how much policies react (a locality framework of 2026, abstract only) predicts "
        "that locality is lost as policies become deterministic.",
        (
            f"Measured decay per hop goes from {number(first, 3)} for nearly even policies to "
            f"{number(last, 3)} for nearly deterministic ones; what laws alone prove is "
            f"{number(proved, 3)} throughout.",
            f"The spectral radius goes from {number(low.mean, 2)} to {number(high.mean, 2)}"
            + (", below one: the condition holds all the way." if high.mean < 1 else "."),
        ),
        (Table("table", "Factors", ("sharpness", *KINDS), rows, decimals=3),),
        (
            by_size(
                "figure",
                series,
                "Factor",
                "Measured: of the truncation error per hop, radii 0 to 6. Spectral radius below "
                "one: what is forgotten is forgotten fast.",
                across="sharpness",
            ),
        ),
        (
            f"Rings of {scale.servers[0]} voters, alpha = {ALPHA}, discount {DISCOUNT}; logits of "
            f"random policies of the own opinion times a factor; {plural(scale.seeds, 'seed')}.",
        ),
    )
