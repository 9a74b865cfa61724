"""MAIPG, MAPPO, HAPPO and QMIX in SMAX battles, which stand in for SMAC (Figures 3, 7 and 8)."""

import statistics
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from descant.presets import REPLAYED
from descant.report.numbers import number, plural
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told
from descant.reproduce._common.tables import Cell, Table
from descant.reproduce.maipg._runs import (
    ENOUGH,
    HAPPO,
    MAIPG,
    MAPPO,
    PAPERS_VALUE,
    QMIX,
    Met,
    Method,
    Run,
    few,
    nested,
    over,
    paired,
    percents,
    run,
    thousands,
    ticks,
    verdict,
)

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found

EXTRA = "jaxmarl"
"""What must be installed besides descant."""
METHODS = (MAPPO, MAIPG, HAPPO, QMIX)
SCALES = {
    "quick": Scale("quick", servers=(), seeds=2, iterations={"3m": 24}, scenarios=100),
    "full": Scale(
        "full",
        servers=(),
        seeds=10,
        iterations={"3m": 92, "2s3z": 184, "3s5z": 306, "3s5z_vs_3s6z": 612},
        scenarios=200,
    ),
}
"""Iterations of 16,384 ticks, by map."""
BASELINES = 5
"""Seeds, at most, of what is neither MAIPG nor MAPPO; the paper has three to five."""
NU = {"3m": 0.4, "2s3z": 0.4}
HARD = 0.3
"""Weights of easy maps and of all others, Table 3."""
LEVEL = 0.5
"""Share of battles won whose first time is looked for."""


def jobs(scale: Scale) -> list[Job]:
    """All methods on each map, and their policies in held-out battles."""
    runs = [_run(method, name, scale) for name in scale.iterations for method in METHODS]
    return [*runs, *(_met(run, scale) for run in runs)]


def show(scale: Scale, found: "Found") -> Shown:
    """Battles won along training and at the end."""
    return Shown(
        "Figures 3, 7 and 8: battles",
        "on ten maps of SMAC, MAIPG's results are better than MAPPO's and HAPPO's, and in most "
        "cases better than QMIX's or like them. The paper prints no number.",
        tuple(_findings(scale, found)),
        (_ends(scale, found), _differences(scale, found)),
        (_figure(scale, found),),
        (
            "SMAX is not SMAC: JaxMARL's own battles between units of the same kinds, with other "
            "dynamics, sights and rewards, against a script that shoots the closest. What holds "
            "here need not hold there.",
            f"Scale --{scale.name}: {plural(scale.seeds, 'seed')} of MAPPO and MAIPG, "
            f"{plural(_seeds(QMIX, scale), 'seed')} of the others; "
            + ", ".join(f"{name} {_budget(name, scale)}" for name in scale.iterations)
            + " ticks. Learning rates fall over all of training, however long that is.",
            "Settings of MAPPO, MAIPG and HAPPO: the preset `smax`, agents and critics "
            "that remember; HAPPO's agents have weights of their own. nu is 0.4 on 3m and 2s3z and "
            "0.3 on the others (Table 3), MAIPG's value has the paper's mixer and as many passes "
            "as the critic, and counts in units of the advantage: rewards of SMAX are not those of "
            "SMAC.",
            "QMIX: the same preset, in which it takes 32 steps for every 2,048 ticks from a replay "
            "of 65,536, and otherwise the library's settings. It explores while it learns, so its "
            "curve is below what it has learnt; at the end it takes its best actions, the others "
            "draw theirs.",
        ),
    )


def settings(method: Method, name: str, iterations: int) -> dict[str, Any]:
    """A method's settings on a map."""
    told: dict[str, Any] = {"domain.map": name, "train.iterations": iterations}
    if method is QMIX:
        return told | {"train.iterations": REPLAYED * iterations}
    if method is HAPPO:
        return told | nested(method, {"sharing": "separate"})
    return told | (PAPERS_VALUE | {"algorithm.nu": NU.get(name, HARD)} if method is MAIPG else {})


def _run(method: Method, name: str, scale: Scale) -> Run:
    told = {"train.rules": ("random",)} | settings(method, name, scale.iterations[name])
    return run(method, "jaxmarl", scale, told, preset="smax", seeds=_seeds(method, scale))


def _met(train: Run, scale: Scale) -> Met:
    return Met(train, scale.scenarios)


def _seeds(method: Method, scale: Scale) -> int:
    return scale.seeds if method in (MAPPO, MAIPG) else min(scale.seeds, BASELINES)


def _budget(name: str, scale: Scale) -> str:
    train = _run(MAPPO, name, scale)
    millions = ticks(train.settings) * train.settings.train.iterations / 1e6
    return f"{number(millions, 1)} million"


def _won(method: Method, name: str, scale: Scale, found: "Found") -> list[float]:
    """Percent of held-out battles that each seed wins."""
    return percents(found, _met(_run(method, name, scale), scale), "won")


def _curve(method: Method, name: str, scale: Scale, found: "Found") -> Curve:
    """Share of the battles won that ended in an iteration, or in as many ticks of QMIX's."""
    import numpy as np

    train = _run(method, name, scale)
    each = REPLAYED if method is QMIX else 1
    won = found.trained(train).metric("won")
    parts = won.reshape(-1, each, won.shape[-1])
    known = np.isfinite(parts).sum(axis=1)
    share = np.nansum(parts, axis=1) / np.where(known, known, np.nan)
    return Curve(method.label, thousands(train, found)[each - 1 :: each], share, method.colour)


def _reached(curve: Curve) -> list[float]:
    """Thousands of ticks until each seed first won half of its battles; infinite if never."""
    import numpy as np

    there = curve.values >= LEVEL
    first = curve.iteration[there.argmax(axis=0)]
    return np.where(there.any(axis=0), first, np.inf).tolist()


def _figure(scale: Scale, found: "Found"):
    panels = [
        Panel(name, tuple(_curve(method, name, scale, found) for method in METHODS))
        for name in scale.iterations
    ]
    return curves(
        "figure",
        panels,
        "Share of battles won",
        "Of the battles that ended in an iteration of training, as actions are drawn. Line: mean "
        "over seeds; band: smallest and largest seed, from five seeds on the 95 % interval of the "
        "mean.",
        across="thousand ticks",
    )


def _ends(scale: Scale, found: "Found") -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name in scale.iterations:
        for method in METHODS:
            reached = _reached(_curve(method, name, scale, found))
            there = sum(value < float("inf") for value in reached)
            rows.append(
                (
                    *(name, method.label, over(_won(method, name, scale, found))),
                    *(_median(reached), f"{there} of {len(reached)}"),
                )
            )
    return Table(
        "table",
        "Battles won at the end, and ticks until half of them were",
        ("map", "method", "won at the end, %", "thousand ticks to 50 %", "seeds that got there"),
        tuple(rows),
        f"At the end: of {scale.scenarios} held-out battles. {few(scale.seeds)} Thousand ticks: "
        "the median over seeds of the first iteration of training in which half of the battles "
        "were won; – where half of the seeds never did.",
        words=2,
    )


def _median(reached: list[float]) -> float | None:
    middle = statistics.median(reached)
    return middle if middle < float("inf") else None


def _gap(name: str, scale: Scale, found: "Found"):
    """MAIPG minus MAPPO, seed by seed, in points."""
    ours, theirs = (_won(method, name, scale, found) for method in (MAIPG, MAPPO))
    return paired(ours, theirs)


def _differences(scale: Scale, found: "Found") -> Table:
    gaps = {name: _gap(name, scale, found) for name in scale.iterations}
    return Table(
        "differences",
        "MAIPG minus MAPPO",
        ("map", "points", "MAIPG is"),
        tuple((name, gap, verdict(gap, scale.seeds)) for name, gap in gaps.items()),
        f"Held-out battles won, paired by seed, in points of a hundred. {few(scale.seeds)}",
    )


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    gaps = {name: _gap(name, scale, found) for name in scale.iterations}
    worse = [name for name, gap in gaps.items() if verdict(gap, scale.seeds) == "worse"]
    said = f"MAIPG's policies win {'fewer' if worse else 'no fewer'} battles than MAPPO's" + (
        f" on {', '.join(worse)}" if worse else f" on {', '.join(gaps)}, as far as seeds tell"
    )
    if scale.seeds < ENOUGH:
        said = f"{plural(scale.seeds, 'seed')} do not tell MAIPG's policies from MAPPO's"
    yield f"{said}; this is SMAX, not SMAC."
    for name, gap in gaps.items():
        ends = [
            f"{method.label} {number(over(_won(method, name, scale, found)).mean, 0)} %"
            for method in METHODS
        ]
        yield (
            f"{name}: at the end {', '.join(ends)} of held-out battles are won. MAIPG minus MAPPO: "
            f"{told(gap)} points, {verdict(gap, scale.seeds)}."
        )
        yield f"{name}: {_sooner(name, scale, found)}."


def _sooner(name: str, scale: Scale, found: "Found") -> str:
    """Which of the two wins half of its battles first."""
    ours, theirs = (
        _median(_reached(_curve(method, name, scale, found))) for method in (MAIPG, MAPPO)
    )
    if ours is None and theirs is None:
        return "neither MAIPG nor MAPPO wins half of its battles in most seeds"
    said = " and ".join(
        f"{label} {'never does' if x is None else f'after {number(x, 0)} thousand ticks'}"
        for label, x in (("MAIPG", ours), ("MAPPO", theirs))
    )
    return f"of the median seeds, {said} first win half of the battles in training"
