"""Past the paper: N = 5 to 1,500, reward, seconds, memory, and policies moved to other sizes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from descant.report.numbers import count, number
from descant.reproduce._common.figures import Series, by_size
from descant.reproduce._common.jobs import Job, Rules, Score, Train
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, relative, told, verdict
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.dgpg import _paper as paper
from descant.reproduce.dgpg import _sizes as sizes
from descant.reproduce.dgpg._runs import (
    DESCANT,
    HOME,
    MAPPO,
    Method,
    at,
    rules,
    scoring,
    shrunk,
    training,
)

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

METHODS = (DESCANT, MAPPO)


def _own(scale: Scale) -> dict[str, int]:
    """Iterations of the methods that are run here."""
    return {method.key: scale.iterations[method.key] for method in METHODS}


SCALES = {
    "quick": Scale(
        "quick",
        servers=sizes.SCALES["quick"].servers,
        seeds=2,
        iterations=_own(sizes.SCALES["quick"]),
        rollouts=sizes.SCALES["quick"].rollouts,
        fewer=sizes.SCALES["quick"].fewer,
        values=sizes.SCALES["quick"].values,
        largest={"mappo": 20},
        transfer=(200,),
    ),
    "full": Scale(
        "full",
        servers=(5, 10, 20, 50, 100, 200, 500, 1000, 1500),
        seeds=5,
        iterations=_own(sizes.SCALES["full"]),
        fewer={500: 20, 1500: 10},
        largest={"mappo": 200},
        transfer=(200, 2000),
    ),
}
GIB = 2**30


def jobs(scale: Scale) -> list[Job]:
    """Training and scores at every size, and the scores of policies that move."""
    found: list[Job] = []
    for servers in scale.servers:
        trained = [training(m, servers, scale) for m in METHODS if servers in scale.sizes(m.key)]
        found += [*trained, *(scoring(train, scale) for train in trained)]
        found.append(_rules(servers, scale))
    for servers in _moves(scale):
        found += [_moved(servers, scale), _rules(servers, scale)]
    return found


def show(scale: Scale, found: "Found") -> Shown:
    """Rewards against the best rule, and what an iteration costs."""
    reward = by_size(
        "figure",
        _rewards(scale, found),
        "Held-out reward per tick",
        "With 95 % intervals over scenarios.",
    )
    gain = by_size(
        "gain",
        [_gains(scale, found), *_transferred(scale, found)],
        "Held-out reward minus that of the best rule",
        "Above 0: better than every rule. Bars: 95 % interval of the paired difference.",
        levels=(("best rule", 0.0),),
    )
    cost = by_size(
        "cost",
        list(_costs(scale, found)),
        "Seconds per iteration and seed",
        "Median over iterations, divided by the seeds that train side by side.",
        logarithmic=True,
    )
    runs = [(n, m) for n in scale.servers for m in METHODS if n in scale.sizes(m.key)]
    table = Table(
        "table",
        "Reward by size",
        ("method", "servers", "held out", "minus best rule", "best rule", "beats it"),
        tuple(_row(servers, method, scale, found) for servers, method in runs),
        "Intervals: 95 % over scenarios, differences paired. Beats: probability of improvement.",
        decimals=2,
    )
    costs = Table(
        "costs",
        "Cost by size",
        (
            *("method", "servers", "s per iteration and seed", "peak memory, GiB"),
            *("rollout, MB per seed", "weights"),
        ),
        tuple(_cost(servers, method, scale, found) for servers, method in runs),
        "Peak memory: resident, of all seeds together, the process included; – where the system "
        "does not tell. A rollout is what an iteration keeps for learning: observations, actions, "
        "values.",
        decimals=2,
    )
    moved = Table(
        "transfer",
        f"Trained at N = {HOME}, met elsewhere",
        ("servers", "held out", "minus Best-Fit", "minus best rule", "best rule"),
        tuple(_moved_row(servers, scale, found) for servers in _moves(scale)),
        "The same weights; nothing is trained at these sizes.",
        decimals=2,
    )
    return Shown(
        "Scaling: beyond the published sizes",
        f"converges within {paper.CONVERGED_1500} episodes on average with up to 1,500 agents "
        "(abstract of the third version; no table is available), while MAPPO and IPPO do not.",
        tuple(_findings(scale, found)),
        (table, moved, costs) if _moves(scale) else (table, costs),
        (reward, gain, cost),
        (
            *shrunk(scale),
            "Learners are chosen on validation scenarios; held-out ones are seen by neither "
            "training nor selection.",
        ),
    )


def _rules(servers: int, scale: Scale) -> Rules:
    return rules(training(DESCANT, HOME, scale), scale, servers, bound=True)


def _home(scale: Scale) -> Train:
    return training(DESCANT, HOME, scale)


def _moves(scale: Scale) -> tuple[int, ...]:
    return scale.transfer if HOME in scale.servers else ()


def _moved(servers: int, scale: Scale) -> Score:
    return scoring(_home(scale), scale, servers)


def _rewards(scale: Scale, found: "Found") -> list[Series]:
    learned = [
        Series(
            method.label,
            tuple(
                (float(n), found.held_out(scoring(training(method, n, scale), scale)))
                for n in scale.sizes(method.key)
            ),
            method.colour,
        )
        for method in METHODS
    ]
    ruled = {n: _rules(n, scale) for n in scale.servers}
    fit = tuple((float(n), found.rule(rule, "best-fit")) for n, rule in ruled.items())
    best = tuple((float(n), found.rule(r, found.best_rule(r))) for n, r in ruled.items())
    return [*learned, Series("Best-Fit", fit, "rule"), Series("best of all rules", best, "run-4")]


def _gains(scale: Scale, found: "Found") -> Series:
    points = tuple(
        (float(n), _gap(scoring(training(DESCANT, n, scale), scale), n, scale, found)[1])
        for n in scale.servers
    )
    return Series(DESCANT.label, points, DESCANT.colour)


def _transferred(scale: Scale, found: "Found") -> list[Series]:
    points = tuple((float(n), _gap(_moved(n, scale), n, scale, found)[1]) for n in _moves(scale))
    return [Series(f"trained at N = {HOME}", points, "run-4")] if points else []


def _costs(scale: Scale, found: "Found") -> Iterator[Series]:
    for method in METHODS:
        points = []
        for n in scale.sizes(method.key):
            run = found.trained(training(method, n, scale))
            if (seconds := run.iteration_seconds()) is not None:
                points.append((float(n), Measured(seconds / run.seeds)))
        yield Series(method.label, tuple(points), method.colour)


def _gap(score: Score, servers: int, scale: Scale, found: "Found") -> tuple[str, Measured]:
    rule = _rules(servers, scale)
    best = found.best_rule(rule)
    return best, found.beyond(score, rule, best)


def _row(servers: int, method: Method, scale: Scale, found: "Found") -> tuple[Cell, ...]:
    score = scoring(training(method, servers, scale), scale)
    best, gap = _gap(score, servers, scale, found)
    wins = found.wins(score, _rules(servers, scale), best)
    return (method.label, servers, found.held_out(score), gap, best, wins)


def _cost(servers: int, method: Method, scale: Scale, found: "Found") -> tuple[Cell, ...]:
    run = found.trained(training(method, servers, scale))
    seconds, peak = run.iteration_seconds(), run.peak()
    return (
        *(method.label, servers, None if seconds is None else seconds / run.seeds),
        None if peak is None else peak / GIB,
        run.record["rollout_bytes"] / run.seeds / 1e6,
        run.record["policy_weights"],
    )


def _moved_row(servers: int, scale: Scale, found: "Found") -> tuple[Cell, ...]:
    score, rule = _moved(servers, scale), _rules(servers, scale)
    best, gap = _gap(score, servers, scale, found)
    return (
        *(str(servers), found.held_out(score), found.beyond(score, rule, "best-fit"), gap, best),
    )


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    gaps = {}
    for servers in scale.servers:
        score = scoring(training(DESCANT, servers, scale), scale)
        gaps[servers] = _gap(score, servers, scale, found)
    lost = [n for n, (_, gap) in gaps.items() if verdict(gap) == "worse"]
    won = [n for n, (_, gap) in gaps.items() if verdict(gap) == "better"]
    even = [n for n in gaps if n not in (*won, *lost)]
    yield (
        f"DG-PG with descant's settings beats the best of all rules at {at(won)}, loses to it "
        f"at {at(lost)}, and is not clearly different at {at(even)}."
    )
    for servers, (best, gap) in gaps.items():
        side = relative(gap, found.rule(_rules(servers, scale), best))
        yield f"N = {count(servers)}: {side} {best}, {told(gap, 2)} a tick."
    for servers in _moves(scale):
        gap = found.beyond(_moved(servers, scale), _rules(servers, scale), "best-fit")
        yield (
            f"Trained at N = {HOME} and met at N = {count(servers)}, minus Best-Fit: "
            f"{told(gap, 2)}, {verdict(gap)}."
        )
    known = {n: found.trained(training(DESCANT, n, scale)) for n in scale.servers}
    times = {n: s / run.seeds for n, run in known.items() if (s := run.iteration_seconds())}
    if len(times) > 1:
        first, last = min(times), max(times)
        yield (
            f"From N = {count(first)} to {count(last)}, an iteration grows from "
            f"{number(times[first])} to {number(times[last])} s, and a rollout from "
            f"{_megabytes(known[first].record)} to {_megabytes(known[last].record)} MB."
        )


def _megabytes(record) -> str:
    return number(record["rollout_bytes"] / record["settings"]["seeds"] / 1e6)
