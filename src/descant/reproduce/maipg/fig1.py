"""What a factorised value's bias costs on random matrix games, by its weight (Figure 1)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from descant.domains import matrix
from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.maipg._games import (
    MIXERS,
    SPREADS,
    SURE,
    Learn,
    Mixer,
    pays,
    sure,
)
from descant.reproduce.maipg._runs import over

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found
    from descant.reproduce.maipg._games import Array

SCALES = {
    "quick": Scale("quick", servers=(), seeds=1, scenarios=25, iterations={"maipg": 400}),
    "full": Scale("full", servers=(), seeds=5, scenarios=100, iterations={"maipg": 2000}),
}
"""Scenarios are games of a size, iterations are updates."""
SIZES = ((2, 3), (2, 10), (3, 5), (4, 5))
"""Agents and actions."""
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
MOST, MOST_FULL, ABOVE = 0.5, 2.0, 0.1
"""What may be lost, in %: at an inner weight, at weight 1, and at an inner weight beyond weight 1.
"""
COLOURS: dict[Mixer, str] = {"monotone": "accent", "sum": "run-1"}


def jobs(scale: Scale) -> list[Job]:
    """All games of a size at once, by mixer."""
    return [_job(size, mixer, scale) for size in SIZES for mixer in MIXERS]


def show(scale: Scale, found: "Found") -> Shown:
    """Losses by weight, and how far away the optimum is."""
    every = [_job(size, mixer, scale) for size in SIZES for mixer in MIXERS]
    converged = percent(sure(found, every), 0)
    return Shown(
        "Figure 1: random matrix games",
        "averaged over 100 random games of a size, weights between 0 and 1 "
        "cost little against weight 0, and weight 1 costs little against how far all are from the "
        "optimum. The text prints no number, and the sizes stand in the figure alone.",
        tuple(_findings(scale, found)),
        (_table(scale, found),),
        (_figure(scale, found),),
        (
            f"Scale --{scale.name}: {scale.scenarios} games of each size, "
            f"{plural(scale.seeds, 'seed')}, {scale.iterations['maipg']} updates of 64 plays. "
            f"Payoffs are drawn uniformly from 0 to 1; what counts is the greedy joint action at "
            f"the end. {converged} of all learners give theirs a probability of at least {SURE}.",
            "Loss: 100 (R(0) − R(nu)) / R(0), R averaged over games and seeds. It is the formula "
            "of the paper, by which positive is worse; its text reads it the other way.",
            "Intervals: 95 % over games, paired, with R(0) as measured. With few games and seeds "
            "they are wider than what the criterion asks about; of so many, some miss by chance.",
            "How undecided agents begin is not in the paper and matters: the spread is the "
            "deviation of initial logits. All weights begin alike.",
            "Policies are tables. The value counts in units of the advantage, and is asked about "
            "choices drawn anew, straight through.",
        ),
    )


def _job(size: tuple[int, int], mixer: Mixer, scale: Scale) -> Learn:
    agents, actions = size
    worlds = tuple(
        matrix.Config(game="random", agents=agents, actions=actions, draw=draw)
        for draw in range(scale.scenarios)
    )
    return Learn(worlds, mixer, WEIGHTS, scale.seeds, scale.iterations["maipg"])


Case = tuple[tuple[int, int], Mixer, float]
"""Size, mixer and spread."""


def _losses(cell: Case, scale: Scale, found: "Found") -> "Array":
    """Of each game at each weight, in % of the mean payoff at weight 0, `[games, weights]`."""
    size, mixer, spread = cell
    paid = pays(found, _job(size, mixer, scale), spread).mean(axis=1)
    return 100 * (paid[:, :1] - paid) / paid[:, 0].mean()


def _optimum(cell: Case, scale: Scale, found: "Found") -> Measured:
    """The loss of the best joint action, which is negative."""
    import numpy as np

    size, mixer, spread = cell
    job = _job(size, mixer, scale)
    paid = pays(found, job, spread).mean(axis=1)[:, 0]
    return over(100 * (paid - np.array(found.of(job)["record"]["best"])) / paid.mean())


def _cells() -> list[Case]:
    return [(size, mixer, spread) for size in SIZES for spread in SPREADS for mixer in MIXERS]


def _table(scale: Scale, found: "Found") -> Table:
    rows: list[tuple[Cell, ...]] = []
    for cell in _cells():
        size, mixer, spread = cell
        losses = _losses(cell, scale, found)
        rows.append(
            (
                *(f"{_called(size)}, {mixer}", f"{spread:g}"),
                *(over(each) for each in losses.T[1:]),
                *(_optimum(cell, scale, found), _standing(losses)),
            )
        )
    return Table(
        "table",
        "Loss of payoff against weight 0, %",
        (
            *("agents x actions, mixer", "spread"),
            *(f"nu = {weight}" for weight in WEIGHTS[1:]),
            *("optimum", "criterion met"),
        ),
        tuple(rows),
        f"Positive is worse. Criterion: at most {MOST} % at each inner weight, at most {ABOVE} % "
        f"more than at weight 1, and at most {MOST_FULL} % there. Yes: by the means. No: by an "
        "interval that leaves no doubt. Unclear: neither.",
        decimals=2,
        words=2,
    )


def _limits(losses: "Array") -> list[tuple[Measured, float]]:
    """What the criterion looks at, of losses `[games, weights]`, and what each may be at most."""
    inner, end = losses[:, 1:-1].T, losses[:, -1]
    return [
        *((over(each), MOST) for each in inner),
        *((over(each - end), ABOVE) for each in inner),
        (over(end), MOST_FULL),
    ]


def _standing(losses: "Array") -> str:
    """Whether the criterion is met."""
    limits = _limits(losses)
    if all(found.mean <= most for found, most in limits):
        return "yes"
    return "no" if any(found.ends[0] > most for found, most in limits) else "unclear"


def _figure(scale: Scale, found: "Found"):
    import numpy as np

    weights = 100 * np.array(WEIGHTS)
    panels = []
    for size in SIZES:
        for spread in SPREADS:
            lines = tuple(
                Curve(mixer, weights, _losses((size, mixer, spread), scale, found).T, colour)
                for mixer, colour in COLOURS.items()
            )
            best = _optimum((size, MIXERS[0], spread), scale, found).mean
            title = f"{_called(size)}, spread {spread:g}"
            panels.append(Panel(title, lines, (("optimum", best),)))
    return curves(
        "figure",
        panels,
        "Loss of payoff, %",
        "Against nu = 0; positive is worse. Line: mean over games; band: its 95 % interval. "
        "Dashed: what the best joint actions would lose, which is negative.",
        across="nu, %",
    )


def _called(size: tuple[int, int]) -> str:
    agents, actions = size
    return f"{agents} x {actions}"


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    pooled = _pooled(scale, found)
    _, *inner, end = (told(over(each), 2) for each in pooled.T)
    said = ", ".join(f"{loss} % at {nu}" for loss, nu in zip(inner, WEIGHTS[1:-1], strict=True))
    yield (
        f"All sizes, mixers and spreads together, against weight 0 inner weights lose {said}, and "
        f"weight 1 loses {end} %. Criterion: {_verdict(pooled)}."
    )
    known = {cell: _standing(_losses(cell, scale, found)) for cell in _cells()}
    count = {word: list(known.values()).count(word) for word in ("yes", "unclear", "no")}
    failed = [_named(cell) for cell, standing in known.items() if standing == "no"]
    yield (
        f"Taken apart, of {len(known)} cells (size, mixer, spread) {count['yes']} meet the "
        f"criterion by the means, {count['unclear']} are too noisy to say, and clear failures are "
        f"{count['no']}" + (f": {', '.join(failed)}." if failed else ".")
    )
    for spread in SPREADS:
        ways = [-_optimum((size, MIXERS[0], spread), scale, found).mean for size in SIZES]
        ends = [
            (over(_losses((size, mixer, spread), scale, found)[:, -1]).mean, way)
            for size, way in zip(SIZES, ways, strict=True)
            for mixer in MIXERS
        ]
        yield (
            f"Beginning with a spread of {spread:g}, weight 0 stays {number(min(ways), 1)} to "
            f"{number(max(ways), 1)} % below the optimum; weight 1 loses less than that in "
            f"{sum(end < way for end, way in ends)} of {len(ends)} cells."
        )


def _pooled(scale: Scale, found: "Found") -> "Array":
    """Losses of all games of all sizes, each averaged over mixers and spreads."""
    import numpy as np

    sizes = [
        np.mean([_losses((size, mixer, s), scale, found) for mixer in MIXERS for s in SPREADS], 0)
        for size in SIZES
    ]
    return np.concatenate(sizes)


def _verdict(losses: "Array") -> str:
    return {"yes": "met", "no": "not met", "unclear": "not met by the means"}[_standing(losses)]


def _named(cell: Case) -> str:
    size, mixer, spread = cell
    return f"{_called(size)} {mixer} at spread {spread:g}"
