"""DG-PG, MAPPO and IPPO with linear models and equal settings, N = 2, 5, 10 (Figure 3)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job, Rules
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, against, told, verdict
from descant.reproduce._common.tables import Cell, Table
from descant.reproduce.dgpg import _paper as paper
from descant.reproduce.dgpg._runs import Method, at, rules, scoring, shrunk, training

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES = {
    "quick": Scale(
        "quick",
        servers=(2, 5, 10),
        seeds=2,
        iterations={"dgpg": 12, "mappo": 30, "ippo": 30},
        rollouts={0: 4},
        scenarios=20,
        values={"train.validation": 4},
    ),
    "full": Scale("full", servers=(2, 5, 10), seeds=5),
}
GUIDED, *BASELINES = METHODS = (
    Method("dgpg", "DG-PG", "dgpg", "accent", "published-linear"),
    Method("mappo", "MAPPO", "mappo", "run-2", "published-linear"),
    Method("ippo", "IPPO", "ippo", "run-3", "published-linear"),
)


def jobs(scale: Scale) -> list[Job]:
    """Every method at every size, on held-out scenarios, and the rules there."""
    found: list[Job] = []
    for servers in scale.servers:
        trained = [training(method, servers, scale) for method in METHODS]
        found += [*trained, *(scoring(train, scale) for train in trained)]
        found.append(_rules(servers, scale))
    return found


def show(scale: Scale, found: "Found") -> Shown:
    """Training rewards beside the published ends, and held-out scores beside Best-Fit."""
    figure = curves(
        "figure",
        [_panel(servers, scale, found) for servers in scale.servers],
        "Training reward per tick",
        "Line: mean over seeds; band: smallest and largest seed, from five seeds on the 95 % "
        "interval of the mean. Diamonds: where the paper says training ended. MAPPO and IPPO train "
        "2.5 times as long. Energy is counted per core and GB, as in this figure of the paper.",
    )
    ends = Table(
        "table",
        "Reward at the end of training",
        ("method", "servers", "published", "last tenth", "best iteration", "iterations"),
        tuple(_end(n, method, scale, found) for n in scale.servers for method in METHODS),
        "Intervals: 95 % over seeds.",
    )
    held_out = Table(
        "held-out",
        "Reward on held-out scenarios",
        ("method", "servers", "reward", "IQM of seeds", "minus Best-Fit", "beats it"),
        tuple(_score(n, method, scale, found) for n in scale.servers for method in METHODS),
        "Intervals: 95 % over scenarios, the difference paired; of the interquartile mean (IQM) "
        "over seeds, stratified by scenario. Beats: probability of improvement. Published: "
        "Best-Fit has −12.6 at N = 5.",
        decimals=2,
    )
    return Shown(
        "Figure 3: linear models under equal settings",
        "at N = 5, DG-PG ends at −14.2, close to Best-Fit (−12.6), MAPPO at −34.1 and IPPO at "
        "−39.8; at N = 10, DG-PG reaches −11.7 and IPPO deteriorates to −49.3.",
        tuple(_findings(scale, found)),
        (ends, held_out),
        (figure,),
        (
            *shrunk(scale),
            "A minibatch is a number of whole ticks with about 10,000 decisions in them.",
            "Returns are standardised by the moments of the iteration, not of each minibatch.",
            "The paper does not say what its linear models see; they get the features of its "
            "perceptron, without the embedding.",
        ),
    )


def _rules(servers: int, scale: Scale) -> Rules:
    return rules(training(GUIDED, servers, scale), scale)


def _panel(servers: int, scale: Scale, found: "Found") -> Panel:
    best_fit = found.rule(_rules(servers, scale), "best-fit")
    runs = ((method, found.trained(training(method, servers, scale))) for method in METHODS)
    return Panel(
        f"N = {servers}",
        tuple(
            Curve(m.label, run.iterations, run.reward, m.colour, _published(servers, m))
            for m, run in runs
        ),
        (("Best-Fit", best_fit.mean),),
    )


def _end(servers: int, method: Method, scale: Scale, found: "Found") -> tuple[Cell, ...]:
    run = found.trained(training(method, servers, scale))
    published = _published(servers, method)
    return (method.label, servers, published, run.final(), run.best(), len(run.reward))


def _score(servers: int, method: Method, scale: Scale, found: "Found") -> tuple[Cell, ...]:
    score, rule = scoring(training(method, servers, scale), scale), _rules(servers, scale)
    return (
        *(method.label, servers, found.held_out(score), found.middle(score)),
        *(found.beyond(score, rule, "best-fit"), found.wins(score, rule, "best-fit")),
    )


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    ends = {
        n: {m: found.trained(training(m, n, scale)).final() for m in METHODS} for n in scale.servers
    }
    first = {n: max(METHODS, key=lambda m: end[m].mean) for n, end in ends.items()}
    led = [n for n, method in first.items() if method is GUIDED]
    others = [
        f"{method.label} at {at([n for n in first if first[n] is method])}"
        for method in METHODS
        if method is not GUIDED and method in first.values()
    ]
    yield (
        f"Training ends highest with DG-PG at {at(led)}"
        + (f", and with {' and '.join(others)}. " if others else ". ")
        + "The paper has DG-PG first at every size."
    )
    for servers, end in ends.items():
        said = ", ".join(f"{m.label} {told(end[m])}" for m in METHODS)
        yield f"N = {servers}, last tenth of training: {said}."
    for servers, label in sorted(paper.FIGURE3, key=str):
        if servers in scale.servers:
            method = next(m for m in METHODS if m.label == label)
            end = found.trained(training(method, servers, scale)).final()
            yield f"{label} at N = {servers}: {against(end, paper.FIGURE3[servers, label])}."
    for servers in scale.servers:
        score, rule = scoring(training(GUIDED, servers, scale), scale), _rules(servers, scale)
        gap = found.beyond(score, rule, "best-fit")
        yield (
            f"On held-out scenarios at N = {servers}, DG-PG minus Best-Fit is {told(gap, 2)}: "
            f"{verdict(gap)}."
        )


def _published(servers: int, method: Method) -> float | None:
    return paper.FIGURE3.get((servers, method.label))
