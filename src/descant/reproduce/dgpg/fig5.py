"""Iterations to convergence by number of servers, beside MAPPO and IPPO (Figure 5)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from descant.report.numbers import number
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.dgpg import _paper as paper
from descant.reproduce.dgpg import _sizes as sizes
from descant.reproduce.dgpg._runs import DESCANT, PUBLISHED, Method

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES, jobs = sizes.SCALES, sizes.jobs


def show(scale: Scale, found: "Found") -> Shown:
    """Training curves at every size, and when they come near their best."""
    figure = curves(
        "figure",
        [_panel(servers, scale, found) for servers in scale.servers],
        "Training reward per tick",
        "Line: mean over seeds; band: smallest and largest seed, from five seeds on the 95 % "
        "interval of the mean. Dashed: the best rule on held-out scenarios. A few of the lowest "
        "values may lie beyond the scale.",
    )
    table = Table(
        "table",
        "First iteration within 10 % of the best reward",
        (
            *("method", "servers", "published, at most", "of its own best"),
            *("of the best of all methods", "best reward", "iterations"),
        ),
        tuple(
            _row(servers, method, scale, found)
            for servers in scale.servers
            for method in sizes.at(servers, scale)
        ),
        "Intervals: 95 % over seeds. A method that never learns is near its own best from the "
        "start, so the next column holds all to the same reward; – where some seed never gets "
        "there.",
    )
    return Shown(
        "Figure 5: convergence at every size",
        "DG-PG is within 10 % of its best reward after at most 10 episodes at every size from 5 to "
        "200; a later version of the abstract says 20 on average with up to 1,500 agents. MAPPO "
        "and IPPO do not converge.",
        tuple(_findings(scale, found)),
        (table,),
        (figure,),
        tuple(sizes.notes(scale)),
    )


def _panel(servers: int, scale: Scale, found: "Found") -> Panel:
    rule = sizes.world(servers, scale)
    best = found.best_rule(rule)
    runs = {m: found.trained(sizes.run(m, servers, scale)) for m in sizes.at(servers, scale)}
    return Panel(
        f"N = {servers}",
        tuple(Curve(m.label, run.iterations, run.reward, m.colour) for m, run in runs.items()),
        ((best, found.rule(rule, best).mean),),
    )


def _row(servers: int, method: Method, scale: Scale, found: "Found") -> tuple[Cell, ...]:
    run = found.trained(sizes.run(method, servers, scale))
    published = paper.CONVERGED.get(servers) if method is PUBLISHED else None
    own, common = _reached(servers, method, scale, found)
    return (method.label, servers, published, own, common, run.best(), len(run.reward))


def _reached(
    servers: int, method: Method, scale: Scale, found: "Found"
) -> tuple[Measured | None, Measured | None]:
    runs = [found.trained(sizes.run(m, servers, scale)) for m in sizes.at(servers, scale)]
    level = max(run.highest() for run in runs)
    run = found.trained(sizes.run(method, servers, scale))
    return run.reached(), run.reached(level)


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    ours = {n: _reached(n, DESCANT, scale, found) for n in scale.servers}
    slow = [n for n, (own, _) in ours.items() if own is None or own.mean > 10]
    lengths = {len(found.trained(sizes.run(DESCANT, n, scale)).reward) for n in scale.servers}
    trained = " to ".join(str(n) for n in sorted({min(lengths), max(lengths)}))
    yield (
        "DG-PG with descant's settings is within 10 % of its best after at most 10 iterations "
        + (f"at all sizes but N = {', '.join(map(str, slow))}" if slow else "at every size")
        + f", of {trained} that it trained."
    )
    for method in sizes.METHODS:
        said = []
        for servers in scale.sizes(method.key):
            own, common = _reached(servers, method, scale, found)
            there = f"{number(common.mean, 1)}" if common else "never"
            near = f"{number(own.mean, 1)}" if own else "never"
            said.append(f"N = {servers}: {near} ({there})")
        yield (
            f"{method.label}, iterations until within 10 % of its own best (of the best of all): "
            f"{'; '.join(said)}."
        )
