"""The price of locality: the best localised policies against what no policy exceeds."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown
from descant.reproduce._common.tables import Measured, Table
from descant.reproduce.utilities._jobs import DISCOUNT, measure, over, records

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(5,), seeds=3, rollouts={0: 3}),
    "full": Scale("full", servers=(5,), seeds=20, rollouts={0: 8}),
}
"""Seeds are random networks; in place of rollouts, random starts of each ascent."""
SHARP, AVERSION, SPREADING = 2.0, 2.0, {"contagion": 0.8, "recovery": 0.1}
VIEWS = (0, 1, 2, 4)
"""The last sees a line of five from end to end."""
NEAR = 1e-4
"""Share of what there is to gain below which prices are none."""
KINDS: dict[str, tuple[str, dict[str, Any], float | None]] = {
    "tables, coupling 0.25": ("tables", {"coupling": 0.25, "sharp": SHARP}, None),
    "tables, coupling 0.5": ("tables", {"coupling": 0.5, "sharp": SHARP}, None),
    "tables, coupling 1": ("tables", {"coupling": 1.0, "sharp": SHARP}, None),
    "tables, coupling 1, fair": ("tables", {"coupling": 1.0, "sharp": SHARP}, AVERSION),
    "epidemic": ("epidemic", SPREADING, None),
    "epidemic, fair": ("epidemic", {**SPREADING, "utility": "fair"}, None),
    "voters": ("voter", {"utility": "linear"}, None),
}
"""Domain, its settings, and how averse a team is to random rewards of some being little."""

Records = list[Mapping[str, Any]]


def jobs(scale: Scale) -> list[Job]:
    """Every kind of network; those of random tables several times."""
    return [job for kind in KINDS for job in _jobs(scale, kind)]


def _jobs(scale: Scale, kind: str) -> list[Job]:
    domain, settings, aversion = KINDS[kind]
    drawn = domain == "tables"
    starts = scale.rollouts_at(0) or 1
    agents = scale.servers[0]
    return [
        measure(
            "price",
            2.0 + 0.33 * len(VIEWS) * (starts + 1) * 8.0 ** (agents - 5),
            domain=domain,
            world={"agents": agents, "graph": "line", **settings}
            | ({"tables_seed": seed} if drawn else {}),
            aversion=aversion,
            views=VIEWS,
            starts=starts,
            tolerance=NEAR,
            discount=DISCOUNT,
            seed=seed,
        )
        for seed in range(scale.seeds if drawn else 1)
    ]


def show(scale: Scale, found: "Found") -> Shown:
    """Prices by radius of the view."""
    by = {kind: [record for _, record in records(_jobs(scale, kind), found)] for kind in KINDS}
    return Shown(
        "The price of locality",
        "no published numbers on what localised policies lose on networks whose optimum is known "
        "are known to us.",
        tuple(_findings(by)),
        (_prices(by), _ascent(by)),
        (_figure(by),),
        (
            f"Lines of {scale.servers[0]} agents, two states and two actions each, discount "
            f"{DISCOUNT}; {plural(scale.seeds, 'seed')} of random tables (sharpness "
            f"{number(SHARP, 0)}), each with random rewards. A fair team of tables has an aversion "
            f"of {number(AVERSION, 0)}; an epidemic's wants logarithms. Contagion "
            f"{SPREADING['contagion']}, recovery {SPREADING['recovery']}.",
            "Price: what the best policy found is below the bound, as a share of what the bound is "
            "above even policies. The bound is of all joint policies, which see everything and "
            "agree on everything; by policy iteration for linear utilities, by Frank and Wolfe's "
            "method with it for fair ones, so that no solver of convex programs is needed.",
            "Policies are tables of the states within the radius of the view, and agents choose "
            f"independently. Each is climbed to by the exact gradient from "
            f"{plural(scale.rollouts_at(0) or 1, 'random start')} and from the best of the radius "
            "before. Nothing proves that there is none better: prices are at most what is shown.",
        ),
    )


def _price(known: Records, view: int) -> Measured:
    return over([record["views"][str(view)]["price"] for record in known])


def _percent(measured: Measured) -> Measured:
    return Measured(*(None if x is None else 100 * x for x in measured))  # pyright: ignore


def _prices(by: Mapping[str, Records]) -> Table:
    rows = tuple(
        (
            kind,
            *(_percent(_price(known, view)) for view in VIEWS),
            100 * max(record["open"] for record in known),
        )
        for kind, known in by.items()
    )
    head = ("network", *(f"view {view}" for view in VIEWS), "bound open")
    return Table(
        "table",
        "Price, % of what there is to gain",
        head,
        rows,
        "Bound open: at most so much of a price is what is not known of the bound.",
        decimals=3,
    )


def _ascent(by: Mapping[str, Records]) -> Table:
    rows = tuple(
        (
            kind,
            over([record["even"] for record in known]),
            *(over([record["views"][str(view)]["value"] for record in known]) for view in VIEWS),
            over([record["bound"] for record in known]),
            round(100 * min(r["views"][str(view)]["agree"] for r in known for view in VIEWS)),
        )
        for kind, known in by.items()
    )
    head = ("network", "even", *(f"view {view}" for view in VIEWS), "no policy exceeds")
    return Table(
        "values",
        "Values",
        (*head, "starts that agree, %"),
        rows,
        f"Starts that agree: random ones that end within {percent(NEAR, 2)} of the best of them, "
        "of what there is to gain; the least of all networks and views.",
        decimals=4,
    )


def _figure(by: Mapping[str, Records]):
    series = [
        Series(
            kind,
            tuple((float(view), _percent(_price(known, view))) for view in VIEWS),
            f"run-{i}",
        )
        for i, (kind, known) in enumerate(by.items())
    ]
    return by_size(
        "figure",
        series,
        "Price, % of what there is to gain over even policies",
        "The best localised policies that were found, against the bound of all joint policies.",
        across="radius of the view",
        even=True,
    )


def _findings(by: Mapping[str, Records]) -> Iterator[str]:
    own, seen, far = (
        {kind: _price(known, view).mean for kind, known in by.items()} for view in (0, 1, VIEWS[-1])
    )
    least, most = (pick(own, key=lambda kind: own[kind]) for pick in (min, max))
    near = max(seen, key=lambda kind: seen[kind])
    yield (
        f"Who sees its own state alone loses {_lost(own[least])} ({least}) to {_lost(own[most])} "
        f"({most}) of what there is to gain; who sees neighbours, too, at most {_lost(seen[near])} "
        f"({near})."
    )
    for kind, known in by.items():
        enough = next((view for view in VIEWS if _price(known, view).mean <= NEAR), None)
        then = "the largest view still loses" if enough is None else f"none from view {enough} on"
        yield f"{kind}: {_lost(own[kind])} at view 0, {_lost(seen[kind])} at view 1; {then}."
    agree = min(r["views"][str(v)]["agree"] for known in by.values() for r in known for v in VIEWS)
    yield (
        "Random starts of an ascent all end at the same value."
        if agree == 1
        else "Not all random starts end at the same value, as there are local optima and choices "
        f"that become certain too early: at worst {percent(agree, 0)} do."
    )
    worst = max(far, key=lambda kind: far[kind])
    yield (
        "Where everybody sees everybody, independent choices lose no more than can be told from "
        f"none (below {percent(NEAR, 2)}) on any network: agreement would bring nothing."
        if far[worst] <= NEAR
        else f"Where everybody sees everybody, independent choices lose up to {_lost(far[worst])} "
        f"({worst})."
    )


def _lost(share: float) -> str:
    """A price in words."""
    return percent(share, 2) if share > NEAR else f"less than {percent(NEAR, 2)}"
