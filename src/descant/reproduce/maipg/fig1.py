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
    met,
    over,
    pays,
    sure,
)

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
INNER, FULL = WEIGHTS[1:-1], WEIGHTS[-1]
MOST, MOST_FULL, ABOVE = 0.5, 2.0, 0.1
"""What may be lost, in %: at an inner weight, at weight 1, and at an inner weight beyond weight 1.
"""
COLOURS = {
    ("monotone", 0.01): "accent",
    ("sum", 0.01): "run-1",
    ("monotone", 1.0): "run-2",
    ("sum", 1.0): "run-4",
}


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
            "Intervals: 95 % over games, paired, with R(0) as measured.",
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


def _measured(cell: Case, scale: Scale, found: "Found") -> dict[float, Measured]:
    return dict(zip(WEIGHTS, map(over, _losses(cell, scale, found).T), strict=True))


def _table(scale: Scale, found: "Found") -> Table:
    rows: list[tuple[Cell, ...]] = []
    for cell in _cells():
        (agents, actions), mixer, spread = cell
        losses = _measured(cell, scale, found)
        rows.append(
            (
                *(f"{agents} x {actions}", number(spread, 2), mixer),
                *(losses[weight] for weight in WEIGHTS[1:]),
                _optimum(cell, scale, found),
                "yes" if _keeps(losses) else "no",
            )
        )
    return Table(
        "table",
        "Loss of payoff against weight 0, %",
        (
            *("agents x actions", "spread", "mixer"),
            *(f"nu = {weight}" for weight in WEIGHTS[1:]),
            *("optimum", "criterion met"),
        ),
        tuple(rows),
        f"Positive is worse. Criterion, by the means: at most {MOST} % at each inner weight and at "
        f"most {ABOVE} % more than at weight 1, which loses at most {MOST_FULL} %.",
        decimals=2,
        words=3,
    )


def _keeps(losses: dict[float, Measured]) -> bool:
    """Whether the criterion is met by the means."""
    end = losses[FULL].mean
    return end <= MOST_FULL and all(
        losses[weight].mean <= min(MOST, end + ABOVE) for weight in INNER
    )


def _misses(losses: dict[float, Measured]) -> bool:
    """Whether an interval leaves no doubt that too much is lost."""
    return losses[FULL].ends[0] > MOST_FULL or any(losses[w].ends[0] > MOST for w in INNER)


def _figure(scale: Scale, found: "Found"):
    import numpy as np

    panels = []
    for size in SIZES:
        lines = []
        for spread in SPREADS:
            for mixer in MIXERS:
                values = _losses((size, mixer, spread), scale, found).T
                label = f"{mixer}, spread {number(spread, 2)}"
                weights = 100 * np.array(WEIGHTS)
                lines.append(Curve(label, weights, values, COLOURS[mixer, spread]))
        levels = tuple(
            (f"optimum at spread {number(s, 2)}", _optimum((size, "sum", s), scale, found).mean)
            for s in SPREADS
        )
        panels.append(Panel(f"{size[0]} agents, {size[1]} actions", tuple(lines), levels))
    return curves(
        "figure",
        panels,
        "Loss of payoff, %",
        "Against nu = 0; positive is worse. Line: mean over games; band: its 95 % interval. "
        "Dashed: what the best joint actions would lose, which is negative.",
        across="nu, %",
    )


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    known = {cell: _measured(cell, scale, found) for cell in _cells()}
    kept = [cell for cell in known if _keeps(known[cell])]
    missed = [cell for cell in known if _misses(known[cell])]
    yield (
        f"That inner weights lose at most {MOST} %, and at most {ABOVE} % more than weight 1, "
        f"which loses at most {MOST_FULL} %, holds by the means in {len(kept)} of {len(known)} "
        f"cells (size, mixer, spread): {met(len(kept) == len(known))}. By the intervals, "
        + (f"{_named(missed)} clearly lose more." if missed else "no cell clearly loses more.")
    )
    inner = [_over_all(known, weight) for weight in INNER]
    said = ", ".join(f"{told(x, 2)} % at {w}" for w, x in zip(INNER, inner, strict=True))
    end = told(_over_all(known, FULL), 2)
    yield f"Over all cells, weight 1 loses {end} % and inner weights lose {said}."
    for spread in SPREADS:
        ways = [-_optimum((size, mixer, spread), scale, found).mean for size, mixer in _pairs()]
        ends = [known[size, mixer, spread][FULL].mean for size, mixer in _pairs()]
        nearer = sum(end < way for end, way in zip(ends, ways, strict=True))
        yield (
            f"Beginning with a spread of {number(spread, 2)}, weight 0 stays "
            f"{number(min(ways), 1)} to {number(max(ways), 1)} % below the optimum; weight 1 loses "
            f"less than that in {nearer} of {len(ends)} cells."
        )


def _pairs() -> list[tuple[tuple[int, int], Mixer]]:
    return [(size, mixer) for size in SIZES for mixer in MIXERS]


def _over_all(known: dict[Case, dict[float, Measured]], weight: float) -> Measured:
    """Mean of all cells, each of which counts the same; the interval is over cells."""
    return over([losses[weight].mean for losses in known.values()])


def _named(cells: list[Case]) -> str:
    return ", ".join(
        f"{size[0]} x {size[1]} {mixer} at spread {number(spread, 2)}"
        for size, mixer, spread in cells
    )
