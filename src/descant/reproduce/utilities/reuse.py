"""Shadow rewards from rollouts: reuse, split halves, averages, smoothing; by number of rollouts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told
from descant.reproduce._common.tables import Measured, Table
from descant.reproduce.utilities._jobs import DISCOUNT, measure, over, records
from descant.reproduce.utilities._training import HORIZON, last, train

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(36,), seeds=3, rollouts={0: 64}),
    "full": Scale("full", servers=(100,), seeds=10, rollouts={0: 256}),
}
"""The number of rollouts is the largest of a batch."""
IN_ALL = {"quick": (2048, 1920), "full": (32_768, 15_360)}
"""Rollouts that the means of gradients are taken over, and of a training."""
WORLD = {"utility": "coverage", "low": 0.0, "high": 0.4, "start": 0.1, "delta": 1e-3}
"""Opinion 1 is rare, and the utility bent most where states are rare."""
RADIUS, MEMORY, DELTAS = 1, 0.9, (1e-2, 1e-1)
WAYS = {
    "exact": "exact occupancies",
    "reuse": "same rollouts",
    "split": "split halves",
    f"memory {MEMORY:g}": f"moving average {MEMORY:g}",
    **{f"delta {delta:g}": f"delta {delta:g}" for delta in DELTAS},
}
"""Of estimating occupancies."""
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "reuse": {},
    "split": {"split": True},
    f"memory {MEMORY:g}": {"memory": MEMORY},
    f"delta {DELTAS[-1]:g}": {"smoothing": DELTAS[-1]},
}
"""Of those that are trained with."""
COLOURS = {way: "ink" if way == "exact" else f"run-{i}" for i, way in enumerate(WAYS)}
FEW = 3
"""Seeds up to which intervals say little."""


def jobs(scale: Scale) -> list[Job]:
    """Gradients at random policies, then training, with each number of rollouts."""
    return [*_gradients(scale), *_trainings(scale)]


def _gradients(scale: Scale) -> list[Job]:
    agents, total = scale.servers[0], IN_ALL[scale.name][0]
    return [
        measure(
            "plug_in",
            (8.0 if seed == 0 else 1.0) + 1e-6 * agents * total * HORIZON,
            world={"agents": agents, "horizon": HORIZON, **WORLD},
            radius=RADIUS,
            rollouts=rollouts,
            batches=total // rollouts,
            memories=(MEMORY,),
            deltas=DELTAS,
            discount=DISCOUNT,
            seed=seed,
        )
        for rollouts in _sizes(scale)
        for seed in range(scale.seeds)
    ]


def _trainings(scale: Scale) -> list[Job]:
    return [
        job for rollouts in _sizes(scale) for way in SETTINGS for job in _runs(scale, rollouts, way)
    ]


def _runs(scale: Scale, rollouts: int, way: str) -> list[Job]:
    more = dict(SETTINGS[way])
    smoothing = {"smoothing": more.pop("smoothing")} if "smoothing" in more else {}
    return [
        train(
            scale.servers[0],
            rollouts=rollouts,
            iterations=IN_ALL[scale.name][1] // rollouts,
            radius=RADIUS,
            seed=seed,
            world=WORLD,
            settings=more,
            **smoothing,
        )
        for seed in range(scale.seeds)
    ]


def _sizes(scale: Scale) -> list[int]:
    """Rollouts of a batch, up to the largest."""
    largest = scale.rollouts_at(0) or 64
    return [n for n in (4, 16, 64, 256) if n <= largest]


Numbers = Mapping[tuple[int, str], Mapping[str, Measured]]
"""By number of rollouts and way."""


def show(scale: Scale, found: "Found") -> Shown:
    """Bias and error of gradients, and gaps at the end of training, by number of rollouts."""
    known = _measured(scale, found)
    gaps = {
        (n, way): [100 * last(run, "share") for _, run in records(_runs(scale, n, way), found)]
        for n in _sizes(scale)
        for way in SETTINGS
    }
    return Shown(
        "Occupancies from the rollouts that gradients come from",
        "the same rollouts for occupancies and gradients give a bias of the order of one over "
        "their number, by derivation; how much it matters is published nowhere that we know of.",
        tuple(_findings(scale, known, gaps)),
        (_gradient_table(known), _training_table(gaps)),
        (
            _figure("figure", known, "along", "Bias along the gradient, in units of its length"),
            _figure(
                "error",
                known,
                "error",
                "Error, in units of the gradient's length",
                logarithmic=True,
            ),
            _trained(gaps),
        ),
        tuple(_notes(scale)),
    )


def _notes(scale: Scale) -> Iterator[str]:
    agents, (total, trained) = scale.servers[0], IN_ALL[scale.name]
    yield (
        f"Voters whose pushes give opinion 1 a chance of {WORLD['high']}, wanting `coverage` with "
        f"delta {WORLD['delta']:g}; discount {DISCOUNT}, episodes of {HORIZON} ticks, credit "
        f"radius {RADIUS}; {plural(scale.seeds, 'seed')}."
    )
    yield (
        f"Gradients: a ring of {agents} at random policies, one a seed, {number(total, 0)} "
        "rollouts in all at each size of batch. Bias is the mean difference to the estimate with "
        "exact shadow rewards on the same rollouts; what chance adds to its length is taken off, "
        "which can leave nothing. Error is the root mean square distance to the exact gradient of "
        "that radius. All in units of the latter's length."
    )
    yield (
        "Moving averages are of a policy that stands still: they lag behind one that learns. Split "
        "halves have half of the rollouts for each of the two. With another delta, occupancies are "
        "of the same rollouts, and the bias holds what the other utility wants, too. Episodes that "
        "are cut off leave a bias that no number of rollouts takes away."
    )
    yield (
        f"Training: a torus of {agents}, {number(trained, 0)} rollouts in all, so fewer "
        "iterations with larger batches; gaps to the certified optimum are exact, and those of "
        f"every delta are judged at {WORLD['delta']:g}."
    )


def _measured(scale: Scale, found: "Found") -> Numbers:
    by: dict[tuple[int, str], dict[str, list[float]]] = {}
    for values, record in records(_gradients(scale), found):
        for way, numbers in record.items():
            cell = by.setdefault((values["rollouts"], way), {})
            for name, value in numbers.items():
                cell.setdefault(name, []).append(value)
    return {key: {name: over(x) for name, x in cell.items()} for key, cell in by.items()}


def _gradient_table(known: Numbers) -> Table:
    rows = tuple(
        (number(n, 0), WAYS[way], *(known[n, way].get(x) for x in ("along", "bias", "error")))
        for n in dict.fromkeys(n for n, _ in known)
        for way in WAYS
    )
    head = ("rollouts", "occupancies", "bias along the gradient", "its whole length", "error")
    return Table("table", "Gradients", head, rows, decimals=3, words=2)


def _training_table(gaps: Mapping[tuple[int, str], list[float]]) -> Table:
    rows = tuple(
        (number(n, 0), *(over(gaps[n, way]) for way in SETTINGS))
        for n in dict.fromkeys(n for n, _ in gaps)
    )
    head = ("rollouts", *(WAYS[way] for way in SETTINGS))
    return Table("training", "Gap at the end of training, % of the optimum", head, rows)


def _figure(key: str, known: Numbers, what: str, unit: str, *, logarithmic: bool = False):
    series = [
        Series(
            label,
            tuple(
                (float(n), cell[what])
                for (n, one), cell in known.items()
                if one == way and what in cell
            ),
            COLOURS[way],
        )
        for way, label in WAYS.items()
    ]
    caption = "At random policies, against exact gradients of the same credit radius."
    levels = () if logarithmic else (("none", 0.0),)
    return by_size(
        key, series, unit, caption, across="rollouts", logarithmic=logarithmic, levels=levels
    )


def _trained(gaps: Mapping[tuple[int, str], list[float]]):
    series = [
        Series(
            WAYS[way],
            tuple((float(n), over(x)) for (n, one), x in gaps.items() if one == way),
            COLOURS[way],
        )
        for way in SETTINGS
    ]
    return by_size(
        "gaps",
        series,
        "Gap at the end of training, % of the optimum",
        "As many rollouts in all at each size of batch.",
        across="rollouts",
    )


def _findings(
    scale: Scale, known: Numbers, gaps: Mapping[tuple[int, str], list[float]]
) -> Iterator[str]:
    few, *_, many = _sizes(scale)
    for way in ("reuse", "split", f"memory {MEMORY:g}"):
        least, most = known[few, way]["along"], known[many, way]["along"]
        yield (
            f"{WAYS[way].capitalize()}: the bias along the gradient, in units of its length, is "
            f"{told(least, 3)} with {few} rollouts and {told(most, 3)} with {many}."
        )
    halves, whole = (abs(known[few, way]["along"].mean) for way in ("split", "reuse"))
    side = "more" if halves > whole else "less"
    yield (
        f"With {few} rollouts split halves are {side} biased than the same rollouts, "
        f"{number(halves, 2)} against {number(whole, 2)}"
        + (
            ": what goes is the correlation, what grows is the bend of the utility over the "
            "noise of half as many."
            if halves > whole
            else "."
        )
    )
    cells = [known[n, "reuse"] for n in _sizes(scale)]
    share = max(abs(cell["along"].mean) / cell["error"].mean for cell in cells)
    yield (
        f"The error with the same rollouts is {_times(known, 'reuse', 'exact')} that with exact "
        f"occupancies; the bias is at most {percent(share)} of it."
    )
    yield (
        f"Split halves have {_times(known, 'split', 'reuse')} the error of the same rollouts, a "
        f"moving average {_times(known, f'memory {MEMORY:g}', 'reuse')}."
    )
    for delta in DELTAS:
        way = f"delta {delta:g}"
        yield (
            f"Smoothing by {delta:g} in place of {WORLD['delta']:g} has "
            f"{_times(known, way, 'reuse')} the error, and a bias along the gradient of "
            f"{told(known[many, way]['along'], 3)} with {many} rollouts."
        )
    for n in _sizes(scale):
        said = ", ".join(f"{WAYS[way]} {told(over(gaps[n, way]), 1)}" for way in SETTINGS)
        yield f"With {n} rollouts an iteration training ends short of the optimum, in %: {said}."
    yield from _compared(scale, gaps)
    if scale.seeds <= FEW:
        yield (
            f"Intervals are over {plural(scale.seeds, 'seed')}, so they say little; `--full` has "
            "ten."
        )


def _times(known: Numbers, way: str, other: str) -> str:
    """From how many to how many times the error of another way, over sizes of batches."""
    sizes = dict.fromkeys(n for n, _ in known)
    each = [known[n, way]["error"].mean / known[n, other]["error"].mean for n in sizes]
    return f"{number(min(each), 2)} to {number(max(each), 2)} times"


def _compared(scale: Scale, gaps: Mapping[tuple[int, str], list[float]]) -> Iterator[str]:
    """Each way of training against that with the same rollouts, seed by seed and over batches."""
    for way in SETTINGS:
        if way == "reuse":
            continue
        apart = {
            n: over([a - b for a, b in zip(gaps[n, way], gaps[n, "reuse"], strict=True)])
            for n in _sizes(scale)
        }
        sides = {
            "nearer": [n for n, gap in apart.items() if gap.ends[1] < 0],
            "farther": [n for n, gap in apart.items() if gap.ends[0] > 0],
        }
        said = [f"{side} with {_listed(ns)} rollouts" for side, ns in sides.items() if ns]
        yield (
            f"Seed by seed, training with {WAYS[way]} ends "
            f"{', '.join(said) if said else 'as near, as far as can be told,'} "
            f"{'than' if said else 'as'} with the same rollouts."
        )


def _listed(ns: Sequence[int]) -> str:
    return ", ".join(map(str, ns))
