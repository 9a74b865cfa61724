"""Which radius matters: what policies see, what critics read, or whose rewards count; factorial."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import TYPE_CHECKING

from descant.report.numbers import number, plural
from descant.reproduce._common.figures import Series, by_name
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, overlap, told, verdict
from descant.reproduce._common.tables import Measured, Table
from descant.reproduce.utilities._jobs import DISCOUNT, Measure, measure, over
from descant.reproduce.utilities._training import HORIZON

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(7,), seeds=4, iterations={"voter": 150, "wireless": 200}),
    "full": Scale("full", servers=(8,), seeds=10, iterations={"voter": 300, "wireless": 800}),
}
LEVELS = {"quick": (0, 1), "full": (0, 1, 2)}
ROLLOUTS, RATE = 16, 0.2
FACTORS = {
    "view": "policy radius",
    "critic_radius": "critic radius",
    "credit_radius": "credit radius",
}
"""By the setting's name."""
CASES = {
    "voter, td": ("voter", "td"),
    "voter, gae": ("voter", "gae"),
    "wireless, gae": ("wireless", "gae"),
}
"""Network and critic."""
WIRELESS = {"variant": "b", "rows": 3, "columns": 3, "deadline": 1}
"""Packets wait for a tick: whoever sees that a neighbour has none may send."""
USERS = 9
WIRELESS_DISCOUNT, SCENARIOS = 0.7, 400

UNIT = "in % of what training gains in the mean over all combinations"

Radii = tuple[int, ...]
"""Of policy, critic and credit."""
Ends = Mapping[Radii, Sequence[float]]
"""What each seed has at the end of training, by radii."""


def jobs(scale: Scale) -> list[Job]:
    """Every combination of radii in every case, and where training on wireless access begins."""
    return [*(_run(scale, case, radii) for case in CASES for radii in _all(scale)), _untrained()]


def _untrained() -> Measure:
    return measure("access_rules", 10.0, world=WIRELESS, scenarios=SCENARIOS)


def _all(scale: Scale) -> list[Radii]:
    return list(product(LEVELS[scale.name], repeat=len(FACTORS)))


def _run(scale: Scale, case: str, radii: Radii) -> Measure:
    network, critic = CASES[case]
    settings = {"rate": RATE, "critic": critic, **dict(zip(FACTORS, radii, strict=True))}
    more = {"rollouts": ROLLOUTS, "iterations": scale.iterations[network], "seeds": scale.seeds}
    ticks = ROLLOUTS * more["iterations"] * more["seeds"]
    if network == "voter":
        agents = scale.servers[0]
        return measure(
            "few",
            8.0 + 2e-7 * agents * ticks * HORIZON,
            world={"agents": agents, "graph": "ring", "horizon": HORIZON},
            settings={"discount": DISCOUNT, **settings},
            **more,
        )
    return measure(
        "access",
        10.0 + 3e-5 * ticks,
        world=WIRELESS,
        settings={"discount": WIRELESS_DISCOUNT, **settings},
        scenarios=SCENARIOS,
        **more,
    )


def show(scale: Scale, found: "Found") -> Shown:
    """Main effects and interactions of the radii, and what every combination ends with."""
    records = {
        case: {radii: found.of(_run(scale, case, radii))["record"] for radii in _all(scale)}
        for case in CASES
    }
    ends: dict[str, Ends] = {
        case: {
            radii: record["values" if "values" in record else "packets"]
            for radii, record in known.items()
        }
        for case, known in records.items()
    }
    voters = next(iter(records["voter, td"].values()))
    random = found.of(_untrained())["record"]["random"]
    # Tables of a policy begin even.
    gains = {
        case: fmean(fmean(each) for each in known.values())
        - (voters["first"] if _is_voter(case) else random)
        for case, known in ends.items()
    }
    return Shown(
        "Which of three radii matters",
        "sweeps move the radii of policy, critic and credit together: in wireless access a user "
        "gets 1.84 packets through at radius 0 and 3.42 at radius 1 (Ying, Zhang, Ding, Koppel and "
        "Lavaei 2023, read off a plot); which of the three that is due to is not published.",
        tuple(_findings(ends, gains, voters["bound"])),
        (_effects(scale, ends, gains), _interactions(ends, gains), _combinations(scale, ends)),
        (_figure(scale, ends, gains),),
        tuple(_notes(scale)),
    )


def effect(ends: Ends, factor: int, level: int) -> list[float]:
    """By seed, what a level of a factor has beyond level 0, in the mean over all else."""
    return [
        fmean(x for radii, each in ends.items() if radii[factor] == level for x in [each[seed]])
        - fmean(x for radii, each in ends.items() if radii[factor] == 0 for x in [each[seed]])
        for seed in _seeds(ends)
    ]


def interaction(ends: Ends, one: int, other: int) -> list[float]:
    """By seed, how much more level 1 of a factor is worth at level 1 of another than at its level
    0, in the mean over all else."""

    def at(level: int) -> list[float]:
        return effect({radii: x for radii, x in ends.items() if radii[other] == level}, one, 1)

    return [high - low for high, low in zip(at(1), at(0), strict=True)]


def _seeds(ends: Ends) -> range:
    return range(len(next(iter(ends.values()))))


def _is_voter(case: str) -> bool:
    return CASES[case][0] == "voter"


def _share(values: Sequence[float], gain: float) -> Measured:
    """In % of what training gains in the mean over all combinations."""
    return over([100 * x / gain for x in values])


def _rows(
    scale: Scale, ends: Mapping[str, Ends], gains: Mapping[str, float]
) -> list[tuple[str, str, int, Measured]]:
    """Case, factor, level, effect."""
    return [
        (case, name, level, _share(effect(known, i, level), gains[case]))
        for case, known in ends.items()
        for i, name in enumerate(FACTORS.values())
        for level in LEVELS[scale.name][1:]
    ]


def _effects(scale: Scale, ends: Mapping[str, Ends], gains: Mapping[str, float]) -> Table:
    head = ("network, critic", "radius of", "at", "against 0, %")
    rows = tuple(
        (case, name.removesuffix(" radius"), str(level), worth)
        for case, name, level, worth in _rows(scale, ends, gains)
    )
    caption = f"{UNIT.capitalize()}; all other radii are averaged over."
    return Table("table", "Main effects", head, rows, caption, words=3)


def _interactions(ends: Mapping[str, Ends], gains: Mapping[str, float]) -> Table:
    rows = tuple(
        (case, f"{one} at {other}", _share(interaction(known, i, j), gains[case]))
        for case, known in ends.items()
        for i, one, j, other in _pairs()
    )
    head = ("network, critic", "worth of the first, 1 against 0, at 1 of the second", "more, %")
    return Table("interactions", "Interactions", head, rows, words=2)


def _pairs() -> list[tuple[int, str, int, str]]:
    names = list(FACTORS.values())
    return [(i, names[i], j, names[j]) for i in range(3) for j in range(3) if i < j]


def _combinations(scale: Scale, ends: Mapping[str, Ends]) -> Table:
    rows = tuple(
        (*map(str, radii), *(over(known[radii]) for known in ends.values()))
        for radii in _all(scale)
    )
    caption = "Voters: exact utility. Wireless: packets of a user in an episode."
    head = (*FACTORS.values(), *ends)
    return Table("ends", "After training", head, rows, caption, decimals=4, words=3)


def _figure(scale: Scale, ends: Mapping[str, Ends], gains: Mapping[str, float]):
    levels = LEVELS[scale.name][1:]
    names = [f"{name} {level}" for name in FACTORS.values() for level in levels]
    rows = _rows(scale, ends, gains)
    series = [
        Series(
            case,
            tuple(
                (float(names.index(f"{name} {level}")), worth)
                for one, name, level, worth in rows
                if one == case
            ),
            f"run-{i + 1}",
        )
        for i, case in enumerate(ends)
    ]
    return by_name(
        "figure",
        names,
        series,
        "gained over radius 0, % of what training gains",
        "Main effects: all other radii are averaged over. Intervals are over seeds.",
    )


def _findings(ends: Mapping[str, Ends], gains: Mapping[str, float], bound: float) -> Iterator[str]:
    for case, known in ends.items():
        worth = {
            name: _share(effect(known, i, 1), gains[case])
            for i, name in enumerate(FACTORS.values())
        }
        said = ", ".join(f"{name} {_signed(x)}" for name, x in worth.items())
        most, *others = sorted(worth, key=lambda name: -abs(worth[name].mean))
        level = [name for name in others if overlap(_size(worth[most]), _size(worth[name]))]
        yield (
            f"{_case(case)}: radius 1 in place of 0 brings, {UNIT}: {said}. What matters most is "
            f"the {most}{f', not told apart from the {level[0]}' if level else ''}."
        )
    for case, known in ends.items():
        for i, one, j, other in _pairs():
            more = _share(interaction(known, i, j), gains[case])
            if verdict(more) != "no clear difference":
                yield (
                    f"{_case(case)}: what {one} 1 brings changes by {_signed(more)} points "
                    f"from {other} 0 to {other} 1."
                )
    for case, known in ends.items():
        means = {radii: fmean(each) for radii, each in known.items()}
        best, alone = max(means, key=lambda radii: means[radii]), means[0, 0, 0]
        yield (
            f"{_case(case)}: best at policy, critic and credit radius {', '.join(map(str, best))}: "
            f"{told(over(known[best]), 3)}; {number(alone, 3)} with 0 everywhere, "
            f"{number(means[1, 1, 1], 3)} with 1 everywhere"
            + (f"; no policy exceeds {number(bound, 3)}." if _is_voter(case) else ".")
        )


def _size(x: Measured) -> Measured:
    """Of an effect, whichever way it goes."""
    return x if x.mean >= 0 else Measured(-x.mean, *(-end for end in reversed(x.ends)))


def _signed(x: Measured) -> str:
    return ("+" if x.mean > 0 else "") + told(x, 1)


def _case(case: str) -> str:
    network, critic = CASES[case]
    return f"{network.capitalize()} with critic `{critic}`"


def _notes(scale: Scale) -> Iterator[str]:
    levels = ", ".join(map(str, LEVELS[scale.name]))
    yield (
        f"Every combination of radii {levels}, {ROLLOUTS} rollouts an iteration, "
        f"{plural(scale.seeds, 'seed')}, tables for policies. Intervals are over seeds of "
        "training, on one network each."
    )
    yield (
        f"Voters: a ring of {scale.servers[0]}, utilities in thirds, {scale.iterations['voter']} "
        f"iterations, discount {DISCOUNT}; values are exact, by enumeration. No policy is better "
        "than the best of the own opinion alone, so seeing more can only cost."
    )
    yield (
        f"Wireless access: variant B, {USERS} users on 3 x 3 cells, of whom all are within radius "
        f"2, packets that wait for one tick, {scale.iterations['wireless']} iterations, discount "
        f"{WIRELESS_DISCOUNT}; scores on {SCENARIOS} held-out scenarios, choices as drawn."
    )
    yield (
        "`td` is a table of the states and actions within the critic radius, and all that credit "
        "knows; `gae` counts rewards that followed, too, so what it reads matters less. A table of "
        "states and actions around a user of wireless access would not fit."
    )
