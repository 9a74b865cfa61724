"""Whether the number of agents matters: truncation error, training, seconds."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Measured, Table
from descant.reproduce.utilities._jobs import DISCOUNT, PAPER, SHARE, measure, over, records
from descant.reproduce.utilities._training import first_within, last, train

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale(
        "quick", servers=(49, 196, 784), fixed=True, seeds=2, iterations={"localised": 60}
    ),
    "full": Scale(
        "full",
        servers=(100, 1024, 10_000, 99_856),
        fixed=True,
        seeds=5,
        iterations={"localised": 100},
    ),
}
RADIUS, ALPHA, ROLLOUTS = 4, 0.8, 16


def jobs(scale: Scale) -> list[Job]:
    """At each size, what a radius leaves out, and training."""
    return [*_errors(scale), *_trainings(scale)]


def _errors(scale: Scale) -> list[Job]:
    return [
        measure(
            "decay",
            3.0 + 2e-3 * agents,
            alpha=ALPHA,
            agents=agents,
            radii=(RADIUS,),
            discount=DISCOUNT,
            seed=seed,
        )
        for agents in scale.servers
        if agents <= 10_000
        for seed in range(scale.seeds)
    ]


def _trainings(scale: Scale) -> list[Job]:
    return [
        train(agents, rollouts=ROLLOUTS, iterations=scale.iterations["localised"], seed=seed)
        for agents in scale.servers
        for seed in range(scale.seeds if agents <= 10_000 else 1)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Errors, gaps and seconds by size."""
    errors: dict[int, list[float]] = {}
    for values, record in records(_errors(scale), found):
        errors.setdefault(values["agents"], []).append(record["errors"][str(RADIUS)])
    runs: dict[int, list[Mapping[str, Any]]] = {}
    for values, record in records(_trainings(scale), found):
        runs.setdefault(values["world"]["agents"], []).append(record)
    return Shown(
        "The number of agents",
        PAPER,
        tuple(_findings(errors, runs)),
        (_table(errors, runs),),
        (_figure(runs), _truncation(errors)),
        (
            f"Truncation at radius {RADIUS} on rings with alpha = {ALPHA}, random policies, exact.",
            f"Training on tori, utilities in thirds, credit radius 1, {ROLLOUTS} rollouts an "
            f"iteration, {scale.iterations['localised']} iterations, "
            f"{plural(scale.seeds, 'seed')}; gaps are exact.",
        ),
    )


def _table(errors: Mapping[int, list[float]], runs: Mapping[int, list[Mapping[str, Any]]]) -> Table:
    rows = []
    for agents, known in runs.items():
        seconds = [first_within(run) for run in known]
        reached = [s for s in seconds if s is not None]
        rows.append(
            (
                number(agents, 0),
                over(errors[agents]) if agents in errors else None,
                over([100 * last(run, "share") for run in known]),
                over(reached) if len(reached) == len(known) else "never",
                over([_iteration(run) for run in known]),
            )
        )
    head = (
        *("agents", f"error at radius {RADIUS}", "gap at the end, %"),
        *(f"s to {percent(SHARE, 0)}", "s an iteration"),
    )
    return Table("table", "By number of agents", head, tuple(rows), decimals=3)


def _iteration(run: Mapping[str, Any]) -> float:
    end = run["rows"][-1]
    return end["seconds"] / end["iteration"]


def _figure(runs: Mapping[int, list[Mapping[str, Any]]]):
    points = tuple(
        (float(n), over([last(run, "share") for run in known])) for n, known in runs.items()
    )
    return by_size(
        "figure",
        [Series("localised", points, "run-1")],
        "Gap to the optimum, as a share of it",
        "After equally many iterations; the optimum is certified at every size.",
        across="agents",
        levels=((f"{percent(SHARE, 0)}", SHARE),),
    )


def _truncation(errors: Mapping[int, list[float]]):
    points = tuple((float(n), over(found)) for n, found in errors.items())
    return by_size(
        "truncation",
        [Series(f"radius {RADIUS}", points, "run-2")],
        "Error of the truncated gradient, relative",
        f"Exact numbers at random policies, on rings with alpha = {ALPHA}.",
        across="agents",
        levels=(("no error", 0.0),),
    )


def _findings(
    errors: Mapping[int, list[float]], runs: Mapping[int, list[Mapping[str, Any]]]
) -> Iterator[str]:
    means = [over(found).mean for found in errors.values()]
    apart = max(means) / min(means) - 1
    yield (
        f"The relative truncation error at radius {RADIUS} differs by {percent(apart)} between "
        f"{min(errors)} and {number(max(errors), 0)} agents."
    )
    gaps: dict[int, Measured] = {
        n: over([last(run, "share") for run in known]) for n, known in runs.items()
    }
    said = ", ".join(f"{percent(gap.mean)} at {number(n, 0)}" for n, gap in gaps.items())
    yield f"Training ends with a gap of {said} agents."
