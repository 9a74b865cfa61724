"""All algorithms on one footing: noise, learnt components, time, reward (Table 2, measured)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from descant.report.numbers import count, number, percent, plural
from descant.reproduce._common.figures import SIZES, Figure, Series, by_name
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, overlap, told
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce._compare import plan
from descant.reproduce._compare.measured import Compared
from descant.reproduce._compare.plan import Method
from descant.reproduce.dgpg._paper import TABLE2

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES, jobs = plan.SCALES, plan.jobs
WIDE = 1.0
"""Width of an interval of a slope from which on it supports nothing: 0 and -1 both fit in."""
WORDS = ("better", "no clear difference", "worse")
NAMES = {"model": "analytic model", "default": "default action"}
"""Of what a domain knows."""


def show(scale: Scale, found: "Found") -> Shown:
    """One table of everything, rewards, updates and noise by size, and what is told apart."""
    known = Compared(scale, found)
    return Shown(
        "All algorithms on one footing",
        "in Table 2 the variance of an agent's gradient is of order N for MAPPO, IPPO, COMA and "
        "shaping, and constant for HAPPO, mean field, difference rewards and DG-PG; HAPPO's "
        "updates are not parallel; COMA, QMIX and QPLEX learn extra components. The table states "
        "this and measures none of it.",
        tuple(_findings(known)),
        (_table(known), _all_slopes(known), _rewards(known), _updates(known), _noise(known)),
        (_slopes(known), _held_out(known)),
        tuple(_notes(known)),
    )


def _table(known: Compared) -> Table:
    sizes = known.scale.servers
    rows: list[tuple[Cell, ...]] = [_row(row, known) for row in known.rows]
    rows += [(label, "refused", *[None] * (4 + len(sizes))) for label in known.refused]
    return Table(
        "table",
        "Table 2, measured",
        (
            *("algorithm", "asks for", "claimed slope", "measured", "learnt besides", "parallel"),
            *(f"minus DG-PG, N = {n}" for n in sizes),
        ),
        tuple(rows),
        "Slopes: of the signal to noise of one agent's gradient, log-log over N, with 95 % "
        "intervals; claimed is what Table 2's order of the variance comes to. Learnt besides: "
        "weights beside the actor's, as a share of those. Parallel: whether an update takes as "
        "many gradient steps one after another at every N. Minus DG-PG: held-out reward, paired "
        "by scenario. " + _reasons(known),
        decimals=2,
        words=2,
    )


def _row(row: Method, known: Compared) -> tuple[Cell, ...]:
    largest = known.of(row, max(known.sizes(row)))
    steps = {known.of(row, n)["steps"] for n in known.sizes(row)}
    return (
        row.label,
        ", ".join(map(_known_as, largest["asks"])) or "nothing",
        known.claimed(row),
        known.slope(row, "snr"),
        percent(largest["besides"] / largest["actor"], 0),
        "yes" if len(steps) == 1 else "no",
        *(known.gap(row, n) for n in known.scale.servers),
    )


def _reasons(known: Compared) -> str:
    """What algorithms say where they have nothing to show."""
    by: dict[str, list[str]] = {}
    for label, why in known.silent.items():
        by.setdefault(why.replace(label, "it"), []).append(label)
    said = [f"No slope for {', '.join(labels)}: {why.rstrip('.')}." for why, labels in by.items()]
    said += [f"{label} refuses: {why}" for label, why in known.refused.items()]
    return " ".join(said)


def _all_slopes(known: Compared) -> Table:
    quantities = ("snr", "variance", "others")
    rows: list[tuple[Cell, ...]] = [
        (row.label, *(known.slope(row, name) for name in quantities), known.time_slope(row))
        for row in known.rows
    ]
    return Table(
        "slopes",
        "Log-log slopes over N",
        (
            *("algorithm", "signal to noise", "variance", "others' share of it"),
            "seconds of an iteration",
        ),
        tuple(rows),
        "With 95 % intervals: over blocks of worlds, and of seconds over iterations. An iteration "
        "is some rollouts and one update. A dash: no gradient, or not resolved at a size.",
        decimals=2,
    )


def _rewards(known: Compared) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for n in known.scale.servers:
        for row in known.at(n):
            gaps = known.reward(row, n), known.gap(row, n), known.over_rule(row, n)
            rows.append((row.label, n, *gaps, sum(known.of(row, n)["iterating"])))
        rows.append((f"{plan.LEAST} (rule)", n, known.least[n], None, None, None))
        name, reward = known.best_rules[n]
        rows.append((f"{name} (best rule)", n, reward, None, None, None))
    return Table(
        "rewards",
        "Held-out rewards at an equal number of episodes",
        ("algorithm", "servers", "reward", "minus DG-PG", "minus best rule", "seconds"),
        tuple(rows),
        "With 95 % intervals over scenarios, seeds averaged first. Seconds: in iterations, all "
        "seeds together.",
        decimals=2,
    )


def _updates(known: Compared) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for row in known.rows:
        for n in known.sizes(row):
            said = known.of(row, n)
            counts = said["actor"], said["besides"], said["steps"]
            rows.append((row.label, n, *counts, known.seconds(row, n)))
    return Table(
        "updates",
        "What is learnt, and how long it takes",
        (
            *("algorithm", "servers", "weights of the actor", "weights besides"),
            *("gradient steps of an update", "seconds of an iteration"),
        ),
        tuple(rows),
        "Of one seed; seconds are medians, of all seeds together. Gradient steps follow one "
        "another; those of agents that move in turn are added up.",
        decimals=2,
    )


def _noise(known: Compared) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for row in known.rows:
        if row.label not in known.silent:
            for n in plan.crowds(known.scale):
                cells = (known.level(row, n, name) for name in ("snr", "variance", "others"))
                rows.append((row.label, n, *cells))
    return Table(
        "noise",
        "One agent's gradient, by size",
        ("algorithm", "agents", "signal to noise", "variance", "others' share of it"),
        tuple(rows),
        f"On `{plan.TOY}`, with 95 % intervals over blocks of worlds, at one untrained policy.",
        decimals=4,
    )


def _slopes(known: Compared) -> Figure:
    rows = [row for row in known.rows if row.label not in known.silent]
    ours = [(i, slope) for i, row in enumerate(rows) if (slope := known.slope(row, "snr"))]
    claims = [(i, known.claimed(row)) for i, row in enumerate(rows)]
    theirs = [(float(i), Measured(claim)) for i, claim in claims if claim is not None]
    series = (
        Series("measured", tuple((float(i), slope) for i, slope in ours), "accent"),
        Series("Table 2", tuple(theirs), "rule", published=True),
    )
    return by_name(
        "figure",
        [row.label for row in rows],
        series,
        "slope of signal to noise over N",
        "0: as clear among many agents as among few; −1: noise grows with their number. Bars: 95 % "
        "interval. No dot: not resolved at a size.",
    )


def _held_out(known: Compared) -> Figure:
    names = [*(row.label for row in known.rows), "best rule"]
    series = []
    for colour, n in zip(SIZES, known.scale.servers, strict=False):
        points = [(float(known.rows.index(row)), known.reward(row, n)) for row in known.at(n)]
        points.append((float(len(known.rows)), known.best_rules[n][1]))
        series.append(Series(f"N = {n}", tuple(points), colour))
    return by_name(
        "held-out",
        names,
        series,
        "held-out reward per tick",
        "Higher is better; the same number of episodes for all. Bars: 95 % interval over "
        "scenarios, wider than that of paired differences, which are in the table.",
    )


def _findings(known: Compared) -> Iterator[str]:
    sizes = known.scale.servers
    by = {n: {r.label: known.standing(r, n) for r in known.at(n) if r.key != "dgpg"} for n in sizes}
    beaten = [f"{label} at N = {n}" for n in sizes for label in _of(by[n], "better")]
    everywhere = f"N = {', '.join(map(str, sizes))}"
    lead = (
        f"DG-PG is beaten by {', '.join(beaten)}"
        if beaten
        else f"Nobody beats DG-PG at {everywhere}"
    )
    yield f"{lead}, given the same number of episodes. {_handed(known)}"
    for n in sizes:
        parts = (f"{w}: {', '.join(_of(by[n], w))}" for w in WORDS if _of(by[n], w))
        yield f"Against DG-PG on held-out scenarios, N = {n}: {'; '.join(parts)}."
    for n in sizes:
        yield _against_rule(n, known)
    yield _orders(known)
    yield _levels(known)
    yield _beside(known)
    yield _in_turn(known)
    yield from _times(known)


def _handed(known: Compared) -> str:
    """Who is told more than others."""
    asks = {row.label: known.of(row, min(known.scale.servers))["asks"] for row in known.rows}
    every = dict.fromkeys(what for wanted in asks.values() for what in wanted)
    parts = []
    for what in every:
        those = ", ".join(label for label, wanted in asks.items() if what in wanted)
        parts.append(f"the domain's {_known_as(what)} is handed to {those}")
    said = "; ".join(parts)
    return f"{said[:1].upper()}{said[1:]}; to nobody else." if said else ""


def _known_as(what: str) -> str:
    return NAMES.get(what, what)


def _of(words: Mapping[str, str], word: str) -> list[str]:
    return [label for label, said in words.items() if said == word]


def _against_rule(n: int, known: Compared) -> str:
    words = {row.label: known.standing_to_rule(row, n) for row in known.at(n)}
    name, _ = known.best_rules[n]
    ahead, level = _of(words, "better"), _of(words, "no clear difference")
    gap = known.over_rule(plan.method("dgpg"), n)
    lost = [row.label for row in known.at(n) if known.standing_to_least(row, n) == "worse"]
    return (
        f"Against the best rule, {name}, N = {n}: better: {', '.join(ahead) or 'nobody'}; no clear "
        f"difference: {', '.join(level) or 'nobody'}; all others are worse. DG-PG minus the rule "
        f"is {told(gap)}. Worse than the rule `{plan.LEAST}`: {', '.join(lost) or 'nobody'}."
    )


def _orders(known: Compared) -> str:
    """Where the claimed slopes lie beside the measured intervals."""
    by: dict[str, list[str]] = {"as claimed": [], "above": [], "below": [], "not resolved": []}
    for row in known.rows:
        claim = known.claimed(row)
        if claim is None or row.label in known.silent:
            continue
        found = known.slope(row, "snr")
        said = row.label if found is None else f"{row.label} {told(found, 2)}"
        by[_side(found, claim)].append(f"{said} (claimed {number(claim, 0)})")
    parts = (f"{word}: {', '.join(rows)}" for word, rows in by.items() if rows)
    return (
        "Slopes of signal to noise beside Table 2, where above is less growth of noise than "
        f"claimed and below is more: {'; '.join(parts)}."
    )


def _side(found: Measured | None, claim: float) -> str:
    """Of a claim, on which an interval lies; one that 0 and -1 both fit in decides nothing."""
    if found is None:
        return "not resolved"
    low, high = found.ends
    if low <= claim <= high:
        return "as claimed" if high - low <= WIDE else "not resolved"
    return "above" if low > claim else "below"


def _levels(known: Compared) -> str:
    """Whose gradient is clearer than MAPPO's where agents are many."""
    n, first = max(plan.crowds(known.scale)), plan.method(plan.FIRST)
    level = known.level(first, n, "snr")
    above, below = [], []
    for row in known.rows:
        mine = known.level(row, n, "snr")
        if row.key != first.key and mine and level and not overlap(mine, level):
            (above if mine.mean > level.mean else below).append(f"{row.label} {number(mine.mean)}")
    said = number(level.mean if level else None)
    return (
        f"Signal to noise of one agent's gradient among {n}: clearer than {first.label}'s {said}: "
        f"{', '.join(above) or 'nobody'}; less clear: {', '.join(below) or 'nobody'}; others are "
        "not told apart from it."
    )


def _beside(known: Compared) -> str:
    n, first = min(known.scale.servers), plan.method(plan.FIRST)
    share = {row.label: (x := known.of(row, n))["besides"] / x["actor"] for row in known.at(n)}
    more = {label: part for label, part in share.items() if part > share[first.label]}
    listed = ", ".join(f"{label} {percent(part, 0)}" for label, part in more.items())
    return (
        f"Weights learnt beside the actor's, N = {n}: {first.label} "
        f"{percent(share[first.label], 0)} of those, its critic; more: {listed or 'nobody'}."
    )


def _in_turn(known: Compared) -> str:
    growing = []
    for row in known.rows:
        steps = [known.of(row, n)["steps"] for n in known.sizes(row)]
        if len(set(steps)) > 1:
            growing.append((row, f"{row.label}, {count(steps[0])} to {count(steps[-1])}"))
    same = {row.algorithm for row, _ in growing} == {a for a, x in TABLE2.items() if not x[1]}
    word = "as Table 2 has it" if same else "unlike in Table 2"
    listed = "; ".join(said for _, said in growing)
    return f"Gradient steps of an update grow with N for: {listed or 'nobody'}; {word}."


def _times(known: Compared) -> Iterator[str]:
    first = plan.method(plan.FIRST)
    slopes = {row.label: found for row in known.rows if (found := known.time_slope(row))}
    mine = slopes.get(first.label)
    if mine is not None:
        steeper = [
            f"{label} {told(found, 2)}"
            for label, found in slopes.items()
            if found.mean > mine.mean and not overlap(found, mine)
        ]
        yield (
            f"The time of an iteration grows faster with N than {first.label}'s "
            f"({told(mine, 2)}) for: {', '.join(steeper) or 'nobody'}."
        )
    n = max(known.scale.servers)
    spent = {row.label: sum(known.of(row, n)["iterating"]) for row in known.at(n)}
    least, most = min(spent, key=spent.__getitem__), max(spent, key=spent.__getitem__)
    yield (
        f"The same episodes at N = {n} took {number(spent[least])} s with {least} and "
        f"{number(spent[most])} s with {most}."
    )


def _notes(known: Compared) -> Iterator[str]:
    scale, first = known.scale, plan.method(plan.FIRST)
    row = plan.learn(first, scale.servers[0], scale).train.settings
    noises = plan.noises(scale)
    episodes = row.train.iterations * row.train.rollouts
    yield (
        f"Scale --{scale.name}: {scale.seeds} seeds, {episodes} episodes of {row.domain.horizon} "
        f"ticks each, {scale.scenarios} held-out scenarios. What unfinished training falls short "
        "of does not speak against an algorithm."
    )
    yield (
        "One footing: every actor is the same perceptron (two hidden layers of "
        f"{plan.FOOTING['hidden']} units, an embedding of the agent's index), and agents choose "
        "at the same time; HAPPO's agents have one each. All else is each algorithm's default, "
        "as it goes with the pointer network where there is one. "
        "DG-PG, MAPPO and IPPO with the pointer network, in turn: "
        "`descant reproduce dgpg.table1`."
    )
    yield (
        "Nothing is selected: the last learner is scored. Policy-gradient agents draw their "
        "actions, value-based ones take their best, as each is meant to be used."
    )
    yield (
        "Better or worse, in a sentence: the interval over scenarios leaves out 0, and every "
        "learner of the one is on that side of every learner of the other, or of the rule."
    )
    yield (
        f"Noise is measured on the toy `{plan.TOY}`, among "
        f"{', '.join(map(str, plan.crowds(scale)))} agents, in {noises[0].samples} worlds of each "
        f"size, {plural(1 + max(job.seed for job in noises), 'seed')}: on the cloud, what one "
        "agent does is felt late, and many more worlds would be needed. "
        f"All are asked at {first.label}'s untrained policy, once critics have followed it for "
        f"{plan.FOLLOWED} iterations; DG-PG and MAIPG as the blend with the weight that they end "
        "training with. Advantages are standardised, so noise that grows shows as a fall of signal "
        "to noise, and not as variance; hence Table 2's orders are held against the former."
    )
    yield (
        "HAPPO's gradient is MAPPO's for the agent that moves first: its factor is 1 there (Kuba "
        "et al., 2022, eq. 11). At each turn the library evaluates every agent's network, of which "
        "one would do: part of HAPPO's time is the library's and not the algorithm's."
    )
    for name, largest in scale.largest.items():
        yield f"{plan.method(name).label} is run up to N = {largest} at this scale."
