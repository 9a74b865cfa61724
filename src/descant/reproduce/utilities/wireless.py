"""Wireless access: credit radii and prices of constraints beside what is published."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, plural
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told
from descant.reproduce._common.tables import Table
from descant.reproduce.utilities._jobs import Measure, measure, over
from descant.reproduce.utilities._paper import PRICES, RADIUS

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(25,), seeds=2, iterations={"b": 800, "a": 400}),
    "full": Scale("full", servers=(25,), seeds=10, iterations={"b": 800, "a": 8000}),
}
RADII = (0, 1)
ROLLOUTS, DISCOUNT, DETERMINISM = 15, 0.7, 0.2
RULES = {
    "none": {"dual": "none"},
    "closed, 1": {"dual": "closed", "dual_rate": 1.0},
    "closed, 10": {"dual": "closed", "dual_rate": 10.0},
    "closed, 100": {"dual": "closed", "dual_rate": 100.0},
    "ascent": {"dual": "ascent", "dual_rate": 0.5},
    "augmented": {"dual": "augmented", "dual_rate": 0.5, "penalty": 10.0},
}
"""Of prices."""
SCENARIOS = 400


def jobs(scale: Scale) -> list[Job]:
    """Both variants at each radius, variant B under each rule of prices, and rules of thumb."""
    prices = [_priced(scale, name) for name in RULES]
    rules = [
        measure("access_rules", 15.0, world={"variant": variant}, scenarios=SCENARIOS)
        for variant in "ba"
    ]
    return [*(_free(scale, v, radius) for v in "ba" for radius in RADII), *prices, *rules]


def _free(scale: Scale, variant: str, radius: int) -> Measure:
    return _train(scale, {"variant": variant}, {"credit_radius": radius})


def _priced(scale: Scale, name: str) -> Measure:
    world = {"variant": "b", "determinism": DETERMINISM}
    return _train(scale, world, {"credit_radius": 1, **RULES[name]})


def _train(scale: Scale, world: Mapping[str, Any], settings: Mapping[str, Any]) -> Measure:
    iterations = scale.iterations[world["variant"]]
    return measure(
        "access",
        14.0 + 4e-3 * iterations * scale.seeds,
        world=dict(world),
        settings={"discount": DISCOUNT, **settings},
        rollouts=ROLLOUTS,
        iterations=iterations,
        scenarios=SCENARIOS,
        seeds=scale.seeds,
    )


def show(scale: Scale, found: "Found") -> Shown:
    """Packets by radius and by rule of prices, and violations along training."""
    free = {
        (v, radius): found.of(_free(scale, v, radius))["record"] for v in "ba" for radius in RADII
    }
    priced = {name: found.of(_priced(scale, name))["record"] for name in RULES}
    thumb = {
        job.values[0][1]["variant"]: found.of(job)["record"]
        for job in jobs(scale)
        if isinstance(job, Measure) and job.what == "access_rules"
    }
    episodes = scale.iterations["b"] * ROLLOUTS
    return Shown(
        "Wireless access",
        "on a 5 x 5 grid (variant B) a user gets 1.84 packets through in 12 ticks at radius 0 and "
        "3.42 at radius 1; with prices at a rate of 1, 10 and 100 it is 3.41, 2.56 and 3.42, at "
        "total violations of 0.70, 0.02 and 0.06: Ying, Zhang, Ding, Koppel and Lavaei (2023), "
        "read off the plots beside their code, to about 2 %.",
        tuple(_findings(free, priced, thumb)),
        (_radii(free), _prices(priced), _thumb(thumb)),
        (_figure(scale, free), _constrained(scale, priced)),
        (
            f"Variant B: {number(episodes, 0)} episodes, published 12,000; variant A: "
            f"{number(scale.iterations['a'] * ROLLOUTS, 0)}. Discount {DISCOUNT}; "
            f"{plural(scale.seeds, 'seed')}; scores on {SCENARIOS} held-out scenarios, choices "
            "drawn as in training.",
            "Here policies see their own packets alone, and the radius is that of credit; in the "
            "publication it is that of policy and critic, too.",
            f"Constraint: determinism of at least {DETERMINISM} for every user; at which level the "
            "published violations by rate were measured is not known to us.",
            "Variant A, after the code of Lin, Qu, Huang and Wierman (2021), whose data have a "
            "mean discounted reward of 0.020 at first and 0.241 after 120,000 episodes of a "
            "tabular critic: first states, the border and the luck of points differ here, and "
            "packets are not discounted, so these do not stand beside ours.",
        ),
    )


def _findings(
    free: Mapping[tuple[str, int], Any], priced: Mapping[str, Any], thumb: Mapping[str, Any]
) -> Iterator[str]:
    for radius in RADII:
        ours = told(over(free["b", radius]["packets"]), 2)
        yield (
            f"Variant B, credit radius {radius}: {ours} packets a user, published "
            f"{number(RADIUS[radius], 2)}."
        )
    rules = thumb["b"]
    best = max(rules, key=lambda name: rules[name])
    yield (
        f"The best rule of thumb, `{best}`, gets {number(rules[best], 2)} through, choices at "
        f"random {number(rules['random'], 2)}."
    )
    for name, record in priced.items():
        if "violation" not in record["curves"]:
            continue
        first, *_, end = record["curves"]["violation"]
        yield (
            f"Prices by {name}: the total violation goes from {number(over(first).mean, 2)} to "
            f"{number(over(end).mean, 2)}, with {number(over(record['packets']).mean, 2)} packets."
        )
    gain = [over(free["a", radius]["packets"]).mean for radius in RADII]
    yield (
        f"Variant A: {number(gain[0], 2)} packets at radius {RADII[0]}, {number(gain[1], 2)} at "
        f"radius {RADII[1]}; `aloha` has {number(thumb['a']['aloha'], 2)}."
    )


def _radii(free: Mapping[tuple[str, int], Any]) -> Table:
    rows = tuple(
        (
            f"variant {v.upper()}, radius {radius}",
            over(record["packets"]),
            RADIUS[radius] if v == "b" else None,
        )
        for (v, radius), record in free.items()
    )
    head = ("", "packets a user", "published")
    return Table("table", "By credit radius, without constraints", head, rows, decimals=2)


def _prices(priced: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            name,
            over(record["packets"]),
            PRICES[name][0] if name in PRICES else None,
            over(record["curves"]["violation"][-1]) if "violation" in record["curves"] else None,
            PRICES[name][1] if name in PRICES else None,
        )
        for name, record in priced.items()
    )
    head = ("prices", "packets a user", "published", "total violation", "published")
    caption = "Violations are those of the last stretch of training, as its occupancies have them."
    return Table(
        "prices", "Under a constraint, variant B, radius 1", head, rows, caption, decimals=2
    )


def _thumb(thumb: Mapping[str, Mapping[str, float]]) -> Table:
    rows = tuple((name, thumb["b"][name], thumb["a"][name]) for name in thumb["b"])
    return Table(
        "rules", "Rules of thumb, packets a user", ("", "variant B", "variant A"), rows, decimals=2
    )


def _figure(scale: Scale, free: Mapping[tuple[str, int], Any]):
    panels = [
        Panel(
            f"variant {v.upper()}: packets a user",
            tuple(
                _curve(
                    scale,
                    v,
                    f"radius {radius}",
                    free[v, radius],
                    "return",
                    radius + 1,
                    RADIUS[radius] if v == "b" else None,
                )
                for radius in RADII
            ),
        )
        for v in "ba"
    ]
    return curves("figure", panels, "Packets a user", "Choices as drawn in training.")


def _constrained(scale: Scale, priced: Mapping[str, Any]):
    names = {"return": "packets a user", "violation": "total violation"}
    panels = [
        Panel(
            title,
            tuple(
                _curve(scale, "b", rule, record, name, i)
                for i, (rule, record) in enumerate(priced.items())
                if name in record["curves"]
            ),
        )
        for name, title in names.items()
    ]
    return curves(
        "constraint", panels, "Packets and violation", "A rule's number is its rate; variant B."
    )


def _curve(
    scale: Scale,
    variant: str,
    label: str,
    record: Mapping[str, Any],
    name: str,
    colour: int,
    published: float | None = None,
) -> Curve:
    """Means over stretches of training, at the ends of these."""
    import numpy as np

    values = np.array(record["curves"][name], np.float64)
    ends = np.linspace(0, scale.iterations[variant], len(values) + 1)[1:]
    return Curve(label, ends, values, f"run-{colour}", published)
