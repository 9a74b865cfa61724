"""MAIPG against MAPPO on spread, line and formation with five particles (Figure 6)."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from descant.report.numbers import percent, plural
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.maipg._runs import (
    ENOUGH,
    MAIPG,
    MAPPO,
    PAPERS_VALUE,
    Met,
    Method,
    Run,
    few,
    nested,
    over,
    paired,
    run,
    scores,
    shares,
    thousands,
    verdict,
)

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

TASKS = {"assignment-spread": "spread", "line": "line", "formation": "formation"}
"""Names here and in the paper."""
SCALES = {
    "quick": Scale("quick", servers=(5,), seeds=3, iterations={"particle": 20}, scenarios=200),
    "full": Scale("full", servers=(5,), seeds=10, iterations={"particle": 640}, scenarios=400),
}
HORIZON = 25
EVERY = 5
"""Iterations, at most, from one point of a curve to the next; a curve has ten points or more."""
# Tables 1 and 2; the bonus, the loss and its units are those of MAPPO's code, which it builds on.
NETWORKS = {
    "net": "gru",
    "hidden": 64,
    "chunk": 0,
    "discount": 0.99,
    "trace": 0.95,
    "clip": 0.2,
    "epochs": 10,
    "critic_epochs": 10,
    "minibatch": 128 * HORIZON,
    "minibatches": 0,
    "rate": 7e-4,
    "critic_rate": 7e-4,
    "rate_decay": "constant",
    "entropy": 0.01,
    "entropy_stop": 0.01,
    "trust": None,
    "norm": 10.0,
}
WEIGHT = PAPERS_VALUE | {"algorithm.nu": 0.05, "algorithm.scale": "rewards"}


def jobs(scale: Scale) -> list[Job]:
    """Both methods on each task, and their policies on held-out scenarios."""
    runs = [_run(method, task, scale) for task in TASKS for method in (MAPPO, MAIPG)]
    return [*runs, *(_met(run, scale) for run in runs)]


def show(scale: Scale, found: "Found") -> Shown:
    """Curves, areas under them, and what is reached at the end."""
    length = found.trained(_run(MAPPO, "line", scale)).settings["train.iterations"]
    return Shown(
        "Figure 6: particles with a weight of 0.05",
        "the paper draws both methods' curves on spread, line and formation with five agents, over "
        "at least ten seeds. It prints no number, and its text does not say how they compare.",
        tuple(_findings(scale, found)),
        (_areas(scale, found), _ends(scale, found)),
        (_figure(scale, found),),
        (
            f"Scale --{scale.name}: {plural(scale.seeds, 'seed')}, {length} iterations of 128 "
            f"episodes. The paper does not say how long it trains; --full has 640 iterations, two "
            "million ticks.",
            "Tables 1 and 2: recurrent actor and critics of width 64, ten passes over whole "
            "rollouts, learning rates of 7e-4, nu = 0.05 on values in units of reward. Not said, "
            "and taken from MAPPO's code: an entropy bonus of 0.01, standardised targets of the "
            "critic, a loss that turns linear at 10.",
            "The tasks are those of Agarwal et al.: the best one-to-one assignment of agents to "
            "targets counts. Episodes end with success, and agents see where the others are; the "
            "paper says neither.",
            "Both methods of a seed begin with equal policies, and are met on equal scenarios: "
            "that is what pairing by seed removes.",
        ),
    )


def settings(method: Method, task: str, scale: Scale) -> dict[str, Any]:
    """What the paper's runs on particles have in common."""
    iterations = scale.iterations["particle"]
    return {
        "domain.task": task,
        "train.rollouts": 128,
        "train.steps": HORIZON,
        "train.iterations": iterations,
        "train.period": min(10, iterations),
        **nested(method, NETWORKS),
    }


def _run(method: Method, task: str, scale: Scale) -> Run:
    # Episodes end at different times, so rewards of training are no returns; validation has some.
    seen = {
        "train.select": "best",
        "train.validation": 64,
        "train.every": _every(scale),
        "train.rules": ("still",),
    }
    own = WEIGHT if method is MAIPG else {}
    return run(method, "particle", scale, settings(method, task, scale), seen, own)


def _every(scale: Scale) -> int:
    return max(1, min(EVERY, scale.iterations["particle"] // 10))


def _met(train: Run, scale: Scale) -> Met:
    return Met(train, scale.scenarios)


def _curve(method: Method, task: str, scale: Scale, found: "Found") -> Curve:
    """Returns of whole episodes on validation scenarios."""
    import numpy as np

    train = _run(method, task, scale)
    returns = HORIZON * found.trained(train).metric("validation")
    judged = np.isfinite(returns).any(axis=1)
    return Curve(method.label, thousands(train, found)[judged], returns[judged], method.colour)


def _figure(scale: Scale, found: "Found"):
    panels = [
        Panel(name, tuple(_curve(method, task, scale, found) for method in (MAPPO, MAIPG)))
        for task, name in TASKS.items()
    ]
    return curves(
        "figure",
        panels,
        "Return of an episode",
        f"On 64 validation scenarios, every {_every(scale)} iterations. Line: mean over seeds; "
        "band: smallest and largest seed, from five seeds on the 95 % interval of the mean.",
        across="thousand ticks",
    )


def _area(method: Method, task: str, scale: Scale, found: "Found") -> list[float]:
    """Each seed's mean height of the curve."""
    return _curve(method, task, scale, found).values.mean(axis=0).tolist()


def _end(method: Method, task: str, scale: Scale, found: "Found") -> list[float]:
    """Each seed's held-out return."""
    met = _met(_run(method, task, scale), scale)
    return [HORIZON * score for score in scores(found, met)]


def _difference(of, task: str, scale: Scale, found: "Found") -> Measured:
    """MAIPG minus MAPPO, seed by seed."""
    return paired(*(of(method, task, scale, found) for method in (MAIPG, MAPPO)))


def _areas(scale: Scale, found: "Found") -> Table:
    return Table(
        "table",
        "Area under the return curve",
        ("task", "MAPPO", "MAIPG", "MAIPG minus MAPPO"),
        tuple(_row(_area, task, scale, found) for task in TASKS),
        f"As a mean height: the return of an episode, averaged over training. {few(scale.seeds)}",
        decimals=2,
    )


def _row(of, task: str, scale: Scale, found: "Found") -> tuple[Cell, ...]:
    both = (over(of(method, task, scale, found)) for method in (MAPPO, MAIPG))
    return (TASKS[task], *both, _difference(of, task, scale, found))


def _ends(scale: Scale, found: "Found") -> Table:
    rows = []
    for task in TASKS:
        met = [_met(_run(method, task, scale), scale) for method in (MAPPO, MAIPG)]
        done = [percent(over(shares(found, job, "success")).mean) for job in met]
        rows.append((*_row(_end, task, scale, found), " and ".join(done)))
    return Table(
        "ends",
        "Held-out returns at the end",
        ("task", "MAPPO", "MAIPG", "MAIPG minus MAPPO", "success"),
        tuple(rows),
        f"Of the learner of each seed that did best on validation scenarios, on {scale.scenarios} "
        f"others. {few(scale.seeds)} Success, of MAPPO and of MAIPG: episodes in which all reached "
        "their targets.",
        decimals=2,
    )


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    gaps = {name: _difference(_area, task, scale, found) for task, name in TASKS.items()}
    better = [name for name, gap in gaps.items() if verdict(gap, scale.seeds) == "better"]
    worse = [name for name, gap in gaps.items() if verdict(gap, scale.seeds) == "worse"]
    said = f"better on {', '.join(better) or 'none'} and worse on {', '.join(worse) or 'none'}"
    held = "This neither supports the method nor speaks against it"
    if better or worse:
        held = "This speaks against the method here" if worse else "This supports the method here"
    if scale.seeds < ENOUGH:
        held = "So few decide nothing"
    yield (
        f"By the area under the return curve, MAIPG is {said} of the three tasks, over "
        f"{plural(scale.seeds, 'seed')}. {held}."
    )
    for task, name in TASKS.items():
        end = _difference(_end, task, scale, found)
        yield (
            f"{name}: MAIPG minus MAPPO is {told(gaps[name], 2)} under the curve and "
            f"{told(end, 2)} on held-out scenarios at the end, {verdict(end, scale.seeds)}."
        )
    if scale.name != "full":
        yield "Training is a small part of the full length: what is shown is how it begins."
