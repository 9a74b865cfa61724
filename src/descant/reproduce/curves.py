"""Learning curves of all algorithms on one toy, among few agents and among many."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from descant.report.numbers import percent, plural
from descant.reproduce._common.figures import SIZES, Curve, Figure, Panel, Series, by_name, curves
from descant.reproduce._common.jobs import Job, Rules, Train
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told, verdict
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce._compare.jobs import Learn
from descant.reproduce._compare.plan import (
    FIRST,
    FOOTING,
    TOY,
    Method,
    method,
    methods,
    where_known,
)
from descant.train.settings import Settings, defaults, with_values

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale("quick", servers=(5, 20), seeds=3, scenarios=100, iterations={TOY: 60}),
    "full": Scale(
        "full",
        servers=(5, 20, 80),
        seeds=10,
        scenarios=400,
        iterations={TOY: 200},
        largest={"happo": 20},
    ),
}
"""Sizes are agents."""
ROLLOUTS = 16
VALIDATION = 64
"""Scenarios that a point of a curve is the mean of."""
POINTS = 20
"""Points of a curve."""
RULES = ("least-filled", "by-capacity")
"""What curves are held against."""
RANDOM = "anywhere"
OWN, BESIDE = ("accent", "run-1"), "run-2"
"""Colours of an algorithm's rows, and of MAPPO's beside them."""


def jobs(scale: Scale) -> list[Job]:
    """Rules, and every algorithm's learners, at every size."""
    found: list[Job] = []
    for agents in scale.servers:
        here = [row for row in methods() if agents in scale.sizes(row.key)]
        found += [_rules(agents, scale), *(learn(row, agents, scale) for row in here)]
    return found


def learn(row: Method, agents: int, scale: Scale) -> Learn:
    """A method's learners among so many agents, on held-out scenarios."""
    return Learn(Train(_settings(row, agents, scale)), scale.scenarios)


def show(scale: Scale, found: "Found") -> Shown:
    """A curve for each algorithm beside MAPPO's, and where all of them end."""
    known = Curves(scale, found)
    return Shown(
        "Learning curves of all algorithms",
        "nothing; no paper has this experiment. It shows what ways of giving credit are worth "
        "where agents share one reward, among few of them and among many.",
        tuple(_findings(known)),
        (_table(known),),
        (_ends(known), *(_figure(name, known) for name in known.algorithms)),
        tuple(_notes(known)),
    )


class Curves:
    """All results of a scale."""

    def __init__(self, scale: Scale, found: "Found"):
        self.scale, self.found = scale, found
        said = {row: found.of(learn(row, min(scale.servers), scale)) for row in methods()}
        self.refused = {row.label: x["why"] for row, x in said.items() if x["kind"] == "refused"}
        """Why algorithms that the toy has nothing for are missing."""
        self.rows = [row for row in methods() if row.label not in self.refused]
        self.algorithms = list(dict.fromkeys(row.algorithm for row in self.rows))

    def at(self, agents: int) -> list[Method]:
        """Those that are run at a size."""
        return [row for row in self.rows if agents in self.sizes(row)]

    def sizes(self, row: Method) -> tuple[int, ...]:
        """At which a method is run."""
        return self.scale.sizes(row.key)

    def curve(self, row: Method, agents: int, colour: str) -> Curve:
        """Mean reward of a tick on validation scenarios, along training."""
        import numpy as np

        from descant.reproduce._common.found import Trained

        job = learn(row, agents, self.scale)
        run = Trained(self.found.of(job))
        reward = run.metric("validation")
        judged = np.isfinite(reward).any(axis=1)
        at = 1.0 + np.flatnonzero(judged)
        ticks = ROLLOUTS * job.train.settings.domain.horizon / 1000
        return Curve(row.label, ticks * at, reward[judged], colour)

    def reward(self, row: Method, agents: int) -> Measured:
        """Mean on held-out scenarios."""
        return self.found.held_out(learn(row, agents, self.scale))

    def gap(self, row: Method, agents: int) -> Measured | None:
        """A method minus MAPPO, scenario by scenario; None for itself."""
        if row.key == FIRST:
            return None
        first = learn(method(FIRST), agents, self.scale)
        return self.found.beyond(learn(row, agents, self.scale), first)

    def rule(self, name: str, agents: int) -> Measured:
        """A rule's mean on the same scenarios."""
        return self.found.rule(_rules(agents, self.scale), name)

    def seconds(self, row: Method) -> float:
        """In iterations at a method's largest size, all seeds together."""
        job = learn(row, max(self.sizes(row)), self.scale)
        return sum(self.found.of(job)["iterating"])


def _settings(row: Method, agents: int, scale: Scale) -> Settings:
    iterations = scale.iterations[TOY]
    told: dict[str, Any] = {
        "domain.agents": agents,
        "train.iterations": iterations,
        "train.rollouts": ROLLOUTS,
        "train.select": "best",
        "train.validation": VALIDATION,
        "train.every": iterations // POINTS,
        "train.scenarios": 0,
        "train.rules": RULES[:1],
        "seeds": scale.seeds,
    }
    alike = where_known(row.algorithm, FOOTING)
    return with_values(defaults(TOY, row.algorithm), told | alike | dict(row.values))


def _rules(agents: int, scale: Scale) -> Rules:
    return Rules(TOY, _settings(method(FIRST), agents, scale).domain, scale.scenarios)


def _figure(algorithm: str, known: Curves) -> Figure:
    """An algorithm's curves beside MAPPO's, by size."""
    own = [row for row in known.rows if row.algorithm == algorithm]
    colours = dict(zip(own, OWN[: len(own)], strict=True))
    if algorithm != FIRST:
        colours = {method(FIRST): BESIDE} | colours
    panels = []
    for agents in known.scale.servers:
        drawn = [
            known.curve(row, agents, colours[row]) for row in known.at(agents) if row in colours
        ]
        levels = tuple((name, known.rule(name, agents).mean) for name in RULES)
        panels.append(Panel(f"{agents} agents", tuple(drawn), levels))
    return curves(
        algorithm,
        panels,
        "Mean reward of a tick",
        f"{own[0].label.partition(' (')[0]}: mean reward of a tick on {VALIDATION} validation "
        "scenarios. Line: mean over seeds; band: smallest and largest seed, from five seeds on "
        "the 95 % interval of the mean. Dashed: rules.",
        across="thousand ticks",
    )


def _ends(known: Curves) -> Figure:
    series = []
    sizes = known.scale.servers
    for colour, agents in zip(SIZES, sizes, strict=False):
        ends = [
            (float(known.rows.index(row)), known.reward(row, agents)) for row in known.at(agents)
        ]
        rules = [known.rule(name, agents) for name in RULES]
        ends += [(float(i), rule) for i, rule in enumerate(rules, start=len(known.rows))]
        series.append(Series(f"{agents} agents", tuple(ends), colour))
    return by_name(
        "figure",
        [*(row.label for row in known.rows), *RULES],
        series,
        "held-out reward per tick",
        "Higher is better, and nothing is above 0. Bars: 95 % interval over scenarios, seeds "
        "averaged first.",
    )


def _table(known: Curves) -> Table:
    sizes = known.scale.servers
    rows: list[tuple[Cell, ...]] = []
    for row in known.rows:
        run = known.sizes(row)
        pairs = [
            (known.reward(row, n), known.gap(row, n)) if n in run else (None, None) for n in sizes
        ]
        rows.append((row.label, *(cell for pair in pairs for cell in pair), known.seconds(row)))
    for name in RULES:
        cells = (cell for n in sizes for cell in (known.rule(name, n), None))
        rows.append((f"{name} (rule)", *cells, None))
    refused = " ".join(f"{label} refuses: {why}" for label, why in known.refused.items())
    return Table(
        "table",
        "Held-out rewards",
        ("algorithm", *(x for n in sizes for x in (f"N = {n}", "minus MAPPO")), "seconds"),
        tuple(rows),
        "Mean reward of a tick, with 95 % intervals over scenarios, seeds averaged first; "
        "differences paired by scenario. Seconds: in iterations at the row's largest size, all "
        f"seeds together. {refused}",
        decimals=3,
    )


def _findings(known: Curves) -> Iterator[str]:
    for n in known.scale.servers:
        ends = {row.label: known.reward(row, n) for row in known.at(n)}
        best = max(ends, key=lambda label: ends[label].mean)
        clever, plain = (known.rule(name, n) for name in RULES)
        beyond = [label for label, end in ends.items() if end.mean > plain.mean]
        yield (
            f"Among {n} agents {best} ends best, at {told(ends[best], 3)}. The rule by-capacity "
            f"has {told(plain, 3)}; least-filled, whose agents know what those before them took, "
            f"has {told(clever, 3)}. Beyond by-capacity in the mean: "
            f"{', '.join(beyond) or 'nobody'}."
        )
        yield f"Against MAPPO among {n}: {_standings(known, n)}."
    yield _left(known)


def _standings(known: Curves, n: int) -> str:
    by: dict[str, list[str]] = {"better": [], "no clear difference": [], "worse": []}
    for row in known.at(n):
        gap = known.gap(row, n)
        if gap is not None:
            by[verdict(gap)].append(row.label)
    return "; ".join(f"{word}: {', '.join(labels)}" for word, labels in by.items() if labels)


def _left(known: Curves) -> str:
    """Losses as shares of what random agents lose; rewards of unlike sizes do not compare by
    themselves."""
    parts = []
    for n in known.scale.servers:
        random = known.rule(RANDOM, n).mean
        left = {row.label: known.reward(row, n).mean / random for row in known.at(n)}
        ordered = sorted(left.items(), key=lambda pair: pair[1])
        parts.append(f"N = {n}: {', '.join(f'{label} {percent(x)}' for label, x in ordered)}")
    return f"Loss, as a share of that of agents who choose at random. {'; '.join(parts)}."


def _notes(known: Curves) -> Iterator[str]:
    scale = known.scale
    settings = _settings(method(FIRST), scale.servers[0], scale)
    ticks = settings.train.iterations * ROLLOUTS * settings.domain.horizon
    yield (
        f"The toy is `{TOY}`: agents put loads on resources and share one reward, 0 at best. Scale "
        f"--{scale.name}: {plural(scale.seeds, 'seed')}, {settings.train.iterations} iterations of "
        f"{ROLLOUTS} episodes, {ticks:,} ticks. Every actor is the same perceptron and agents "
        "choose at the same time; all other settings are each algorithm's defaults, and none was "
        "tuned for this toy."
    )
    yield (
        "DG-PG and shaping are handed the analytic model, difference rewards a default action. The "
        "toy's model is its reward, the best case for those who have it."
    )
    yield (
        "Learners are those of each seed that did best on validation scenarios. Value-based "
        "algorithms are shown as they act without exploring."
    )
