"""Whether decay in hops survives on graphs where the number of agents grows with distance."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Measured, Table
from descant.reproduce.utilities._jobs import DISCOUNT, PAPER, SHARE, measure, over, records

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(1024,), seeds=1),
    "full": Scale("full", servers=(2025,), seeds=5),
}
ALPHAS = (0.5, 0.8, 0.95)
DRAWN = 0.8
FARTHEST = 8
CLOSE = 0.1
GRAPHS: dict[str, tuple[dict[str, Any], int | None]] = {
    "line": ({"graph": "line"}, 2),
    "grid": ({"graph": "grid"}, 2),
    "torus": ({"graph": "torus"}, 2),
    "tree": ({"graph": "tree", "degree": 2}, 3),
    "wide tree": ({"graph": "tree", "degree": 4}, 5),
    "small world": ({"graph": "small-world", "degree": 4, "rewire": 0.1}, None),
    "random graph": ({"graph": "small-world", "degree": 4, "rewire": 1.0}, 4),
}
"""With the neighbours of everybody on the endless tree whose closed form holds. On a lattice it is
a ring's: whoever copies a neighbour at random moves along the diagonal as along a ring."""
COLOURS = {name: f"run-{i}" for i, name in enumerate(GRAPHS)}

Runs = Mapping[tuple[float, str], list[Mapping[str, Any]]]
"""By alpha and graph."""


def jobs(scale: Scale) -> list[Job]:
    """Each graph and coupling at several random policies."""
    return [
        measure(
            "growth",
            3.5 * (agents / 1024) ** 2.5,
            graph=graph,
            neighbours=neighbours,
            alpha=alpha,
            agents=agents,
            farthest=FARTHEST,
            discount=DISCOUNT,
            seed=seed,
        )
        for agents in scale.servers
        for alpha in ALPHAS
        for graph, neighbours in GRAPHS.values()
        for seed in range(scale.seeds)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Growth and decay per hop; what is felt and what a radius leaves out."""
    names = {repr(graph): name for name, (graph, _) in GRAPHS.items()}
    by: dict[tuple[float, str], list[Mapping[str, Any]]] = {}
    for values, record in records(jobs(scale), found):
        by.setdefault((values["alpha"], names[repr(values["graph"])]), []).append(record)
    return Shown(
        "Growth of the graph",
        f"{PAPER} A bound that counts agents times such a rate says nothing where their number "
        "grows by more per hop than the rate takes away.",
        tuple(_findings(by)),
        (_factors(by), _errors(by)),
        (_felt(by), _grown(by)),
        (
            f"About {number(scale.servers[0], 0)} voters, discount {DISCOUNT}, linear utility, "
            f"random policies of the own opinion ({plural(scale.seeds, 'seed')}, also of the "
            "random graphs); exact. A tree has 2 below each agent, a wide one 4; a small world is "
            "a ring with 4 neighbours each and a tenth of the edges led elsewhere, a random graph "
            "the same with all of them.",
            "Factors per hop are fitted over 1 to 5 hops, means over all agents. One agent: what "
            "an agent feels of a push, by its distance. All together: the same summed over all at "
            "that distance, which is the factor of one times the growth of their number. Worst: "
            "the largest such factor of a single agent's pushes.",
            "Closed form: of the sum, for policies that read nothing, on an endless line or "
            "lattice (there far away), and on an endless tree whose agents all have the neighbours "
            "of those inside ours, or of the mean in the random graph; most agents of a finite "
            "tree are at its ends.",
            "Alpha is equal, so each of more neighbours weighs less: what an agent copies adds to "
            "one. For policies that read nothing, what all from d hops on feel together is hence "
            "at most (discount x alpha)^d / (1 - discount x alpha) times the ratio of the most to "
            "the least neighbours, on any graph: a larger factor can only be that of a few hops. "
            "Where contacts add up instead, as in an epidemic, this need not be so.",
        ),
    )


def _mean(known: list[Mapping[str, Any]], name: str) -> Measured:
    return over([record[name] for record in known])


def _factors(by: Runs) -> Table:
    rows = tuple(
        (
            number(alpha, 2),
            name,
            _mean(known, "branching"),
            _mean(known, "one"),
            _mean(known, "all"),
            _mean(known, "worst"),
            known[0]["closed"],
            known[0]["certified"],
            known[0]["certified"] * _mean(known, "branching").mean,
        )
        for (alpha, name), known in by.items()
    )
    head = (
        *("alpha", "graph", "agents", "felt by one", "by all together", "worst", "closed form"),
        *("certified", "certified times agents"),
    )
    return Table("table", "Factors per hop", head, rows, decimals=3, words=2)


def _errors(by: Runs) -> Table:
    radii = (0, 1, 2, 4, FARTHEST)
    rows = []
    for (alpha, name), known in by.items():
        radius = _enough(known)
        errors = [over([record["errors"][k] for record in known]) for k in radii]
        others = None if radius is None else round(_others(known, radius))
        rows.append((number(alpha, 2), name, *errors, radius, others))
    head = ("alpha", "graph", *(f"radius {k}" for k in radii), f"below {percent(SHARE, 0)} at")
    return Table(
        "errors",
        "Error relative to the gradient",
        (*head, "others there"),
        tuple(rows),
        "Others there: how many are within that radius, in the mean.",
        decimals=4,
        words=2,
    )


def _enough(known: list[Mapping[str, Any]]) -> int | None:
    """The least radius at which the error is small with every seed; None if none was."""
    worst = [max(errors) for errors in zip(*(r["errors"] for r in known), strict=True)]
    return next((k for k, error in enumerate(worst) if error <= SHARE), None)


def _others(known: list[Mapping[str, Any]], radius: int) -> float:
    return over([sum(record["agents"][1 : radius + 1]) for record in known]).mean


def _felt(by: Runs):
    return by_size(
        "figure",
        _lines(by, lambda record, k: record["felt"][k] / record["felt"][0]),
        "Felt by all at a distance, of what the agent itself feels",
        f"Exact numbers, alpha = {number(DRAWN, 2)}. Where a line rises, growth outruns decay.",
        across="hops",
        logarithmic=True,
        even=True,
    )


def _grown(by: Runs):
    return by_size(
        "agents",
        _lines(by, lambda record, k: record["agents"][k]),
        "Agents at a distance",
        "Means over all agents. Small graphs end: where most have been reached, numbers fall.",
        across="hops",
        logarithmic=True,
        even=True,
    )


def _lines(by: Runs, read: Callable[[Mapping[str, Any], int], float]) -> list[Series]:
    """A quantity by distance, a line for each graph."""

    def points(name: str) -> tuple[tuple[float, Measured], ...]:
        known = by[DRAWN, name]
        return tuple((float(k), over([read(r, k) for r in known])) for k in range(FARTHEST + 1))

    return [Series(name, points(name), COLOURS[name]) for name in GRAPHS]


def _findings(by: Runs) -> Iterator[str]:
    growth = {(alpha, name): _mean(known, "branching").mean for (alpha, name), known in by.items()}
    for alpha in ALPHAS:
        certified = by[alpha, "line"][0]["certified"]
        yield _crossing(alpha, {name: _mean(by[alpha, name], "all").mean for name in GRAPHS})
        yield _voided(alpha, certified, {name: certified * growth[alpha, name] for name in GRAPHS})
    worst = {key: _mean(known, "worst").mean for key, known in by.items()}
    alpha, name = max(worst, key=lambda key: worst[key])
    side = "growth outruns decay there" if worst[alpha, name] >= 1 else "a decay still"
    yield (
        f"Of the pushes of the worst placed agent of all ({name}, alpha = {number(alpha, 2)}) a "
        f"hop leaves {number(worst[alpha, name], 2)}: {side}."
    )
    yield from _off(by)
    for name in ("line", max(GRAPHS, key=lambda n: growth[DRAWN, n])):
        radius = _enough(by[DRAWN, name])
        need = (
            f"takes more than radius {FARTHEST}"
            if radius is None
            else f"takes radius {radius} and {number(_others(by[DRAWN, name], radius), 0)} others"
        )
        yield (
            f"{name}, alpha = {number(DRAWN, 2)}: an error below {percent(SHARE, 0)} of the "
            f"gradient {need}."
        )


def _crossing(alpha: float, factors: Mapping[str, float]) -> str:
    least, most = (pick(factors, key=lambda n: factors[n]) for pick in (min, max))
    crossed = [f"{name} ({number(factors[name], 2)})" for name in GRAPHS if factors[name] >= 1]
    end = (
        f"growth outruns decay on {', '.join(crossed)}."
        if crossed
        else "below one on every graph, so decay in hops survives."
    )
    return (
        f"At alpha = {number(alpha, 2)} a hop leaves {number(factors[least], 2)} ({least}) to "
        f"{number(factors[most], 2)} ({most}) of what all at a distance feel together: {end}"
    )


def _voided(alpha: float, certified: float, void: Mapping[str, float]) -> str:
    crossed = [f"{name} ({number(void[name], 2)})" for name in GRAPHS if void[name] >= 1]
    where = f"one or more on {', '.join(crossed)}" if crossed else "below one everywhere"
    return (
        f"At alpha = {number(alpha, 2)} the certified factor, {number(certified, 2)}, times the "
        f"growth of their number is {where}."
    )


def _off(by: Runs) -> Iterator[str]:
    """How far closed forms are off, at the worst alpha."""
    off: dict[str, float] = {}
    for (_, name), known in by.items():
        if known[0]["closed"] is not None:
            one = abs(_mean(known, "all").mean / known[0]["closed"] - 1)
            off[name] = max(one, off.get(name, 0.0))
    close = [name for name in off if off[name] <= CLOSE]
    apart = [f"{name} ({percent(off[name], 0)})" for name in off if off[name] > CLOSE]
    if close:
        yield f"Closed forms are within {percent(CLOSE, 0)} at every alpha on: {', '.join(close)}."
    if apart:
        yield f"They are off by more at some alpha on: {', '.join(apart)}."
