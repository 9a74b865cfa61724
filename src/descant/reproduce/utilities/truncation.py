"""Ways to truncate Q: placeholders, conditional means, temporal differences."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, plural
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Measured, Table
from descant.reproduce.utilities._jobs import DISCOUNT, PAPER, measure, over, records

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(5,), seeds=5),
    "full": Scale("full", servers=(6,), seeds=20),
}
"""Seeds are random policies, and random tables where there are any."""
VIEWS, RADII, RATED = (0, 1), (0, 1, 2, 3), 3
"""Ratios are of the first radii: a hop more than the last is the whole of a line of five."""
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "tables, coupling 0.25": ("tables", {"coupling": 0.25, "sharp": 2.0}),
    "tables, coupling 0.5": ("tables", {"coupling": 0.5, "sharp": 2.0}),
    "tables, coupling 1": ("tables", {"coupling": 1.0, "sharp": 2.0}),
    "epidemic": ("epidemic", {"contagion": 0.8, "recovery": 0.1}),
    "voters": ("voter", {"alpha": 0.8}),
}
"""Domain and its settings."""
DRAWN = "tables, coupling 1"
KINDS = {
    "dropped agents alone": ("none", 0),
    "conditional": ("conditional", 0),
    "TD": ("td", 0),
    "placeholder": ("placeholder", 0),
    "conditional, a hop wider": ("conditional", 1),
    "TD, a hop wider": ("td", 1),
    "placeholder, a hop wider": ("placeholder", 1),
}
"""How Q is known, and how many hops farther than credit it is known from."""
DROPPED, *OTHERS = KINDS
NARROW, WIDER = OTHERS[:3], OTHERS[3:]
COLOURS = {name: f"run-{i}" for i, name in enumerate(KINDS)}
LARGE, ALPHA = 1000, 0.8
EQUAL = 1e-6
"""Errors that differ by a smaller share are the same."""

Records = list[Mapping[str, list[float]]]
Runs = Mapping[tuple[str, int], Records]
"""By network and view."""


def jobs(scale: Scale) -> list[Job]:
    """Every network and view; exact errors of many voters."""
    return [*(job for name in NETWORKS for v in VIEWS for job in _jobs(scale, name, v)), *_many()]


def _jobs(scale: Scale, name: str, view: int) -> list[Job]:
    domain, settings = NETWORKS[name]
    agents = scale.servers[0]
    return [
        measure(
            "truncation",
            1.2 * 2.0 ** (agents - 5),
            domain=domain,
            world={"agents": agents, "graph": "line", **settings}
            | ({"tables_seed": seed} if domain == "tables" else {}),
            view=view,
            radii=RADII,
            discount=DISCOUNT,
            seed=seed,
        )
        for seed in range(scale.seeds)
    ]


def _many() -> list[Job]:
    return [
        measure("decay", 3.0, alpha=ALPHA, agents=LARGE, radii=RADII, discount=DISCOUNT, seed=0)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Errors by radius, and against those of dropping agents alone."""
    by = {
        (name, view): [record for _, record in records(_jobs(scale, name, view), found)]
        for name in NETWORKS
        for view in VIEWS
    }
    ((_, many),) = records(_many(), found)
    return Shown(
        "Ways to truncate",
        f"{PAPER} Proofs freeze what is far away at any value, a placeholder; what is fitted to "
        "returns tends to a conditional mean, temporal differences to a fixed point of their own.",
        tuple(_findings(by, many)),
        (_ratios(by), _errors(by)),
        tuple(_figure(by, view) for view in VIEWS),
        (
            f"Lines of {scale.servers[0]} agents with two states and two actions, all enumerated; "
            f"discount {DISCOUNT}; {plural(scale.seeds, 'seed')} of random policies and tables. "
            "Tables have random rewards, the epidemic and the voters their own utilities.",
            "Radius: of credit, and of the states and actions that Q is known from, or a hop less "
            "than these (a hop wider). Error: distance to the full gradient, relative to its "
            "length. Dropped agents alone: the Q of those within the radius is known exactly.",
            "Placeholder: everybody beyond is in state 0 and does action 0. TD: the fixed point of "
            "temporal differences on what is within the radius, the occupancy as weight.",
        ),
    )


def _error(known: Records, name: str, radius: int) -> Measured:
    return over([record[_key(name)][RADII.index(radius)] for record in known])


def _key(name: str) -> str:
    kind, wider = KINDS[name]
    return f"{kind} {wider}"


def _ratio(known: Records, name: str) -> Measured:
    """Geometric mean over radii of the error, as a multiple of that of dropping agents alone."""
    import numpy as np

    pairs = [(record[_key(name)][:RATED], record[_key(DROPPED)][:RATED]) for record in known]
    logs = [np.log(np.divide(*pair)).mean() for pair in pairs]
    return Measured(*(None if x is None else float(np.exp(x)) for x in over(logs)))  # pyright: ignore


def _ratios(by: Runs) -> Table:
    rows = tuple(
        (name, str(view), *(_ratio(known, kind) for kind in OTHERS))
        for (name, view), known in by.items()
    )
    return Table(
        "table",
        "Error as a multiple of that of dropping agents alone",
        ("network", "view", *OTHERS),
        rows,
        f"Geometric means over radii {RADII[0]} to {RADII[RATED - 1]}.",
        decimals=2,
        words=2,
    )


def _errors(by: Runs) -> Table:
    rows = tuple(
        (str(view), kind, *(_error(by[DRAWN, view], kind, radius) for radius in RADII))
        for view in VIEWS
        for kind in KINDS
    )
    head = ("view", "Q", *(f"radius {k}" for k in RADII))
    title = f"Error relative to the gradient, {DRAWN}"
    return Table("errors", title, head, rows, decimals=5, words=2)


def _figure(by: Runs, view: int):
    series = [
        Series(
            kind,
            tuple((float(k), _error(by[DRAWN, view], kind, k)) for k in RADII),
            COLOURS[kind],
        )
        for kind in KINDS
        if view or kind not in WIDER
    ]
    sees = f"the own state{' and neighbours' if view else ''}"
    return by_size(
        "seen" if view else "figure",
        series,
        f"Error of the truncated gradient, relative; policies see {sees}",
        f"{DRAWN.capitalize()}. Exact numbers.",
        across="radius",
        logarithmic=True,
        even=True,
    )


def _findings(by: Runs, many: Mapping[str, Any]) -> Iterator[str]:
    for view in VIEWS:
        sees = f"the own state{' and neighbours' if view else ''}"
        for kinds, known in ((NARROW, "as far as credit reaches"), (WIDER, "a hop farther")):
            ratios = {k: {n: _ratio(by[n, view], k).mean for n in NETWORKS} for k in kinds}
            said = "; ".join(f"{k.partition(',')[0]} {_between(r)}" for k, r in ratios.items())
            yield (
                f"Where policies see {sees} and Q is known {known}, errors as multiples of those "
                f"of dropping agents alone: {said}."
            )
    yield _voters(by["voters", 0], many)


def _between(ratios: Mapping[str, float]) -> str:
    """Least and most of all networks."""
    least, most = (pick(ratios, key=lambda name: ratios[name]) for pick in (min, max))
    if ratios[most] / ratios[least] - 1 < EQUAL:
        return f"{number(ratios[most], 2)} everywhere"
    return f"{number(ratios[least], 2)} ({least}) to {number(ratios[most], 2)} ({most})"


def _voters(known: Records, many: Mapping[str, Any]) -> str:
    """Which ways cost nothing where Q is a sum over agents, and what is left at larger size."""
    same = [kind for kind in NARROW if _equal(known, kind)]
    apart = [f"{k} ({number(_ratio(known, k).mean, 2)} times)" for k in NARROW if k not in same]
    if not same:
        return f"On voters, too, every way costs something: {', '.join(apart)}."
    said = ", ".join(f"{number(many['errors'][str(k)], 3)} at {k}" for k in RADII)
    return (
        "On voters whose policies see the own state, where Q is a sum over agents at any size, "
        f"truncation costs nothing but the dropped agents with: {', '.join(same)}"
        + (f"; but something with: {', '.join(apart)}" if apart else "")
        + f". On a ring of {number(LARGE, 0)} the error of the former by radius is {said}."
    )


def _equal(known: Records, kind: str) -> bool:
    return all(
        abs(off / least - 1) < EQUAL
        for record in known
        for off, least in zip(record[_key(kind)], record[_key(DROPPED)], strict=True)
    )
