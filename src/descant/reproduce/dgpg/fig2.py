"""Fixed guidance weights 0.2 to 0.8 with the published network, N = 20, 50 (Figure 2)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from descant.report.numbers import number, percent
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job, Train
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, against, overlap, told
from descant.reproduce._common.tables import Cell, Table
from descant.reproduce.dgpg import _paper as paper
from descant.reproduce.dgpg._runs import PUBLISHED, UNSCORED, shrunk, training

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale(
        "quick", servers=(20, 50), seeds=2, iterations={"published": 6}, rollouts={0: 2}
    ),
    "full": Scale("full", servers=(20, 50), seeds=5),
}
PRINTED = (0.2, 0.8)
"""Weights at N = 50 for which the paper prints a number."""
ALPHAS = {0.2: "run-2", 0.4: "run-0", 0.6: "run-3", 0.8: "run-1"}
"""Guidance weights, and the colours they are drawn in."""


def jobs(scale: Scale) -> list[Job]:
    """A run for each weight and size."""
    return [
        _run(servers, alpha, scale) for servers in scale.servers for alpha in at(servers, scale)
    ]


def at(servers: int, scale: Scale) -> tuple[float, ...]:
    """Weights that are tried at a size."""
    return PRINTED if scale.name == "quick" and servers == 50 else tuple(ALPHAS)


def show(scale: Scale, found: "Found") -> Shown:
    """Training rewards beside the published ends."""
    figure = curves(
        "figure",
        [_panel(servers, scale, found) for servers in scale.servers],
        "Training reward per tick",
        "Line: mean over seeds; band: smallest and largest seed, from five seeds on the 95 % "
        "interval of the mean. Diamonds: where the paper says training ended.",
    )
    table = Table(
        "table",
        "Training reward by guidance weight",
        ("alpha", "servers", "published", "last tenth", "best", "within 10 % of its best"),
        tuple(_row(n, alpha, scale, found) for n in scale.servers for alpha in at(n, scale)),
        "Intervals: 95 % over seeds. The last column is the first iteration there.",
    )
    return Shown(
        "Figure 2: how much guidance",
        "at N = 50, alpha = 0.2 ends at −40.3 and alpha = 0.8 at −40.8, less than 1 % apart; at "
        "N = 20, alpha = 0.2 ends at −39.9. Larger weights are faster at first, smaller ones end "
        "slightly higher.",
        tuple(_findings(scale, found)),
        (table,),
        (figure,),
        (
            *shrunk(scale),
            "Everything but the weight is the preset `published` (Table 7), learning rates and the "
            "entropy bonus included, which fall over all of training however long that is.",
        ),
    )


def _run(servers: int, alpha: float, scale: Scale) -> Train:
    weights = {"algorithm.start": alpha, "algorithm.stop": alpha}
    return training(PUBLISHED, servers, scale, weights | UNSCORED)


def _panel(servers: int, scale: Scale, found: "Found") -> Panel:
    runs = {alpha: found.trained(_run(servers, alpha, scale)) for alpha in at(servers, scale)}
    return Panel(
        f"N = {servers}",
        tuple(
            Curve(
                f"alpha = {alpha}",
                run.iterations,
                run.reward,
                ALPHAS[alpha],
                paper.FIGURE2.get((servers, alpha)),
            )
            for alpha, run in runs.items()
        ),
    )


def _row(servers: int, alpha: float, scale: Scale, found: "Found") -> tuple[Cell, ...]:
    run = found.trained(_run(servers, alpha, scale))
    published = paper.FIGURE2.get((servers, alpha))
    return (str(alpha), servers, published, run.final(), run.best(), run.reached())


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    for servers in scale.servers:
        known = at(servers, scale)
        ends = {alpha: found.trained(_run(servers, alpha, scale)).final() for alpha in known}
        best, worst = (pick(ends, key=lambda a: ends[a].mean) for pick in (max, min))
        gap = (ends[best].mean - ends[worst].mean) / abs(ends[best].mean)
        between = "not told apart" if overlap(ends[best], ends[worst]) else f"{percent(gap)} apart"
        yield (
            f"At N = {servers}, training ends highest with alpha = {best} ({told(ends[best])}) and "
            f"lowest with {worst} ({told(ends[worst])}), {between}; the paper has less than 1 % "
            "between 0.2 and 0.8 at N = 50."
        )
    for (servers, alpha), published in paper.FIGURE2.items():
        if servers in scale.servers and alpha in at(servers, scale):
            end = found.trained(_run(servers, alpha, scale)).final()
            yield f"alpha = {number(alpha, 1)} at N = {servers}: {against(end, published)}."
