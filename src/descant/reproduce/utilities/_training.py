"""What the targets that train voters have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

from descant.reproduce._common.figures import Curve, Panel
from descant.reproduce.utilities._jobs import DISCOUNT, SHARE, Measure, measure

HORIZON = 50
SETTINGS = {"discount": DISCOUNT, "rate": 0.2}


def train(
    agents: int,
    *,
    rollouts: int,
    iterations: int,
    radius: int = 1,
    seed: int = 0,
    horizon: int = HORIZON,
    world: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    **more: Any,
) -> Measure:
    """A learning curve on a torus of voters, with exact values."""
    one = 1e-7 * agents * rollouts * horizon
    # Later seeds find their program in the compile cache.
    begin = 2.0 if seed else 10.0
    return measure(
        "training",
        begin + 2e-4 * agents + one * iterations,
        world={"agents": agents, "graph": "torus", "horizon": horizon, **(world or {})},
        settings={**SETTINGS, "credit_radius": radius, **(settings or {})},
        rollouts=rollouts,
        iterations=iterations,
        period=max(1, iterations // 10),
        seed=seed,
        **more,
    )


def last(record: Mapping[str, Any], name: str) -> float:
    """A number at the end of training."""
    return record["rows"][-1][name]


def first_within(record: Mapping[str, Any]) -> float | None:
    """Seconds of training until the gap was a share of the optimum; None if it never was."""
    near = (r["seconds"] for r in record["rows"][1:] if r["share"] <= SHARE)
    return next(near, None)


def panel(
    title: str, known: Mapping[str, Sequence[Mapping[str, Any]]], name: str, level: str = ""
) -> Panel:
    """Curves of a number, one for each kind of run; seeds side by side."""
    import numpy as np

    curves = []
    for i, (label, runs) in enumerate(known.items()):
        rows = [[row[name] for row in run["rows"]] for run in runs]
        iteration = np.array([row["iteration"] for row in runs[0]["rows"]], np.float64)
        values = np.array(rows, np.float64).T
        curves.append(Curve(label, iteration, values, f"run-{i % 8}"))
    best = next(iter(known.values()))[0]["bound"]
    return Panel(title, tuple(curves), ((level, best),) if level else ())
