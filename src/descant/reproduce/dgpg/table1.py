"""Held-out rewards of DG-PG, MAPPO, IPPO and all rules, N = 5 to 200 (Table 1)."""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from descant.report.numbers import number, percent
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, relative, told, verdict
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.dgpg import _paper as paper
from descant.reproduce.dgpg import _sizes as sizes
from descant.reproduce.dgpg._runs import DESCANT, MOVED, PUBLISHED, Method

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

SCALES, jobs = sizes.SCALES, sizes.jobs
VERDICTS = ("better", "no clear difference", "worse")


def show(scale: Scale, found: "Found") -> Shown:
    """Every policy beside its published score, and what is gained over the best rule."""
    scores = Table(
        "table",
        "Reward on held-out scenarios",
        ("policy", "servers", "published", "its std", "ours", "our std"),
        tuple(row for servers in scale.servers for row in _scores(servers, scale, found)),
        "Std: over scenarios. Ours: with the 95 % interval over scenarios. Bound: no policy can "
        "exceed it.",
    )
    learned = Table(
        "learned",
        "Learned policies and the best of all rules",
        ("method", "servers", "IQM of seeds", "minus best rule", "beats it", "left to the bound"),
        tuple(
            _learned(n, m, scale, found)
            for n in scale.servers
            for m in sizes.at(n, scale, sizes.SCORED)
        ),
        "IQM: interquartile mean over seeds and scenarios; its 95 % interval is over seeds, "
        "stratified by scenario. Minus best rule: paired by scenario, with its 95 % interval. "
        "Beats: probability of improvement. Left: what a policy could gain at most.",
        decimals=2,
    )
    return Shown(
        "Table 1: best checkpoints on held-out scenarios",
        "DG-PG is at or above Best-Fit up to N = 100 and below it at N = 200 (−46.4 against "
        "−41.0); MAPPO and IPPO are left out because they converge nowhere.",
        tuple(_findings(scale, found)),
        (scores, learned),
        (gains(scale, found),),
        tuple(sizes.notes(scale)),
    )


def gains(scale: Scale, found: "Found"):
    """What guided methods gain over the best rule, by size."""
    series = []
    for method in (PUBLISHED, DESCANT, MOVED):
        known = scale.sizes(method.key)
        points = [(float(n), sizes.standing(n, scale, found, method)[1]) for n in known]
        series.append(Series(method.label, tuple(points), method.colour))
    return by_size(
        "figure",
        series,
        "Held-out reward minus that of the best rule",
        "Above 0: better than every rule. Bars: 95 % interval of the paired difference. MAPPO and "
        "IPPO are in the table, and in Figure 4.",
        levels=(("best rule", 0.0),),
    )


def _scores(servers: int, scale: Scale, found: "Found") -> Iterator[tuple[Cell, ...]]:
    rule = sizes.world(servers, scale)
    for method in sizes.at(servers, scale, sizes.SCORED):
        score = sizes.score(method, servers, scale)
        known = paper.TABLE1["DG-PG"].get(servers) if method is PUBLISHED else None
        published = known or (None, None)
        ours = found.held_out(score), found.deviation(score)
        yield (method.label, servers, *published, *ours)
    best = found.best_rule(rule)
    for name in dict.fromkeys([*sizes.BASE_RULES, best]):
        label = sizes.BASE_RULES.get(name, name)
        published = paper.TABLE1.get(label, {}).get(servers, (None, None))
        ours = found.rule(rule, name), found.rule_deviation(rule, name)
        yield (f"{label} (best rule)" if name == best else label, servers, *published, *ours)
    if (bound := found.bound(rule)) is not None:
        yield ("bound", servers, None, None, Measured(bound), None)


def _learned(servers: int, method: Method, scale: Scale, found: "Found") -> tuple[Cell, ...]:
    score = sizes.score(method, servers, scale)
    _, gap, wins = sizes.standing(servers, scale, found, method)
    bound = found.bound(sizes.world(servers, scale))
    left = None if bound is None else bound - found.held_out(score).mean
    return (method.label, servers, found.middle(score), gap, wins, left)


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    for method in (DESCANT, MOVED):
        gaps = {n: sizes.standing(n, scale, found, method) for n in scale.servers}
        by = {word: [n for n in gaps if verdict(gaps[n][1]) == word] for word in VERDICTS}
        parts = [f"{word} at N = {', '.join(map(str, by[word]))}" for word in VERDICTS if by[word]]
        yield f"{method.label}, against the best of all rules: {'; '.join(parts)}."
        for servers, (best, gap, wins) in gaps.items():
            yield (
                f"{method.label}, N = {servers}: "
                f"{relative(gap, found.rule(sizes.world(servers, scale), best))} {best} "
                f"({told(gap, 2)} a tick), higher on {percent(wins, 0)} of scenarios."
            )
    for method in (PUBLISHED, DESCANT, MOVED):
        ours = {n: found.held_out(sizes.score(method, n, scale)) for n in scale.sizes(method.key)}
        yield f"{method.label} and the paper's DG-PG: {beside(ours, paper.TABLE1['DG-PG'])}."
    for name, label in sizes.BASE_RULES.items():
        ours = {n: found.rule(sizes.world(n, scale), name) for n in scale.servers}
        yield f"{label} and the paper's: {beside(ours, paper.TABLE1[label])}."


def beside(ours: Mapping[int, Measured], theirs: Mapping[int, tuple[float, float]]) -> str:
    """Our means beside published ones, which have a sampling error of their own."""
    said = []
    for servers in ours.keys() & theirs.keys():
        mean, deviation = theirs[servers]
        low, high = ours[servers].ends
        error = deviation / math.sqrt(paper.TABLE1_SCENARIOS)
        half = 1.96 * math.hypot(error, (high - low) / 3.92)
        gap = ours[servers].mean - mean
        word = verdict(Measured(gap, gap - half, gap + half))
        numbers = f"{number(ours[servers].mean, 1)} against {number(mean, 1)}"
        said.append((servers, f"N = {servers}: {numbers}, {word}"))
    return "; ".join(text for _, text in sorted(said))
