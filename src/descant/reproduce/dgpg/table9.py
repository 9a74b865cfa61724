"""Seconds per iteration and to convergence by number of servers (Table 9)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from descant.report.numbers import duration, number
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.dgpg import _paper as paper
from descant.reproduce.dgpg import _sizes as sizes
from descant.reproduce.dgpg._runs import DESCANT, PUBLISHED, Method

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found, Trained

SCALES, jobs = sizes.SCALES, sizes.jobs


def show(scale: Scale, found: "Found") -> Shown:
    """Times beside the published ones."""
    published = Series(
        "published (Apple M1, 8 cores)",
        tuple((float(n), Measured(s)) for n, s in paper.TABLE9_EPISODE.items()),
        "run-1",
        published=True,
    )
    measured = [
        Series(
            method.label,
            tuple(
                (float(n), Measured(seconds))
                for n in scale.sizes(method.key)
                if (seconds := _per_seed(found.trained(sizes.run(method, n, scale)))) is not None
            ),
            method.colour,
        )
        for method in sizes.METHODS
    ]
    figure = by_size(
        "figure",
        [published, *measured],
        "Seconds per iteration and seed",
        "Median over iterations, divided by the seeds that train side by side; compilation left "
        "out. An iteration of the paper, and of its settings here at full size, has 4 to 12 "
        "rollouts and four passes over them.",
        logarithmic=True,
    )
    table = Table(
        "table",
        "Time",
        (
            *("method", "servers", "rollouts", "published, s per episode", "ours, s per iteration"),
            *("published, s to 10 %", "ours, s to 10 %", "of it compiling and starting"),
            "ours, h for 200 iterations",
        ),
        tuple(
            _row(servers, method, scale, found)
            for servers in scale.servers
            for method in sizes.at(servers, scale)
        ),
        "Per seed, of the seeds that train side by side; compiling and starting are theirs "
        "together, and are less where compiled programs were found in the cache. To 10 %: until "
        "the mean first iteration within 10 % of the seed's best reward.",
        decimals=2,
    )
    return Shown(
        "Table 9: time",
        "about 9 s per episode at N = 5 and 3.5 min at N = 200; converged after about 45 s and "
        "35 min; 200 episodes take 0.5 h and 12 h, all on a laptop's eight cores.",
        tuple(_findings(scale, found)),
        (table,),
        (figure,),
        (*sizes.notes(scale), "The machine is in the records; times of other machines differ."),
    )


def _per_seed(run: "Trained") -> float | None:
    seconds = run.iteration_seconds()
    return None if seconds is None else seconds / run.seeds


def _to_convergence(run: "Trained") -> float | None:
    near, one, start = run.reached(), _per_seed(run), run.overhead()
    return None if near is None or one is None or start is None else start + near.mean * one


def _row(servers: int, method: Method, scale: Scale, found: "Found") -> tuple[Cell, ...]:
    run = found.trained(sizes.run(method, servers, scale))
    one = _per_seed(run)
    minutes = paper.TABLE9_MINUTES.get(servers) if method is PUBLISHED else None
    return (
        *(method.label, servers, int(run.settings["train.rollouts"])),
        paper.TABLE9_EPISODE.get(servers) if method is PUBLISHED else None,
        one,
        None if minutes is None else 60 * minutes,
        _to_convergence(run),
        run.overhead(),
        None if one is None else 200 * one / 3600,
    )


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    for method in (DESCANT, PUBLISHED):
        for servers in scale.sizes(method.key):
            ours = _to_convergence(found.trained(sizes.run(method, servers, scale)))
            if ours is None or servers not in paper.TABLE9_MINUTES:
                continue
            theirs = 60 * paper.TABLE9_MINUTES[servers]
            side, ratio = ("faster", theirs / ours) if ours < theirs else ("slower", ours / theirs)
            yield (
                f"{method.label} at N = {servers}: {duration(ours)} until within 10 % of its best, "
                f"compiling included; published {duration(theirs)} on another machine "
                f"({number(ratio, 1)} times {side})."
            )
