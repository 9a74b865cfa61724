"""How much of the advantages' variance values of joint actions leave, along training (Figure 2)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.maipg._games import met
from descant.reproduce.maipg._runs import MAIPG, PAPERS_VALUE, Run, over, run

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray

    from descant.reproduce._common.found import Found

    Array = NDArray[float64]

SCALES = {
    "quick": Scale("quick", servers=(3, 5), fixed=True, seeds=2, iterations={"maipg": 40}),
    "full": Scale("full", servers=(3, 5), fixed=True, seeds=10, iterations={"maipg": 300}),
}
"""Sizes are agents."""
WEIGHTS = {"quick": (0.0,), "full": (0.0, 0.05)}
"""With 0 nobody climbs the value: all values watch the same agents learn."""
VALUES = {"sum": "run-1", "monotone": "accent", "joint": "run-2"}
FACTORISED = ("sum", "monotone")
BURN_IN = 0.05
"""Share of training that is left out."""
OFTEN = 0.9
"""Share of updates in which a factorised value should leave less than there is."""
CONVERGED = 0.9
"""Share of the way from the first return to the best one at which training counts as converged."""


def jobs(scale: Scale) -> list[Job]:
    """Values of all kinds at each size and weight."""
    return [_run(*case, value, scale) for case in _cases(scale) for value in VALUES]


def show(scale: Scale, found: "Found") -> Shown:
    """What is left, by size, weight and kind of value."""
    return Shown(
        "Figure 2: what values leave of the advantages' variance",
        "on spread with 5 agents a factorised value consistently leaves a small share of the "
        "advantages' variance, Var(A − Q) / Var(A), and a joint one grows beyond 1 before training "
        "converges. The paper prints no number.",
        tuple(_findings(scale, found)),
        (_table(scale, found),),
        (_figure("figure", "centred", scale, found), _figure("raw", "raw", scale, found)),
        (
            f"Scale --{scale.name}: {plural(scale.seeds, 'seed')}, {scale.iterations['maipg']} "
            "iterations of 128 episodes of 25 ticks, on particles with the best assignment; preset "
            "`spread`. With nu = 0 the three values watch the same MAPPO learn.",
            "Advantages are generalised ones, in units of reward, not standardised. What is left "
            "is measured at 256 ticks of each rollout, before the value learns from it.",
            "Centred: Q less its mean over 8 joint actions drawn anew at the same tick, corrected "
            "for how few they are; so it measures how actions are told apart within a state, which "
            "is what a control variate does. Raw, as the formula reads, Q's variance from state to "
            "state counts against it, though no gradient has it.",
            "The joint value is one network of the state and everybody's action, as wide and deep "
            "as utilities are, which learns from the same rollouts by the same rule, with a "
            "lagging copy of its own.",
            f"Converged: the first iteration whose return has gone {percent(CONVERGED, 0)} of the "
            "way from the first to the best one.",
            "The paper does not say whether A is normalised or Q centred, nor how large the joint "
            "value is.",
            *_short(scale),
        ),
    )


def _short(scale: Scale) -> list[str]:
    """What a reader must know of a scale that is not the full one."""
    if scale.name == "full":
        return []
    full = SCALES["full"].iterations["maipg"]
    return [
        f"--full trains {full} iterations; what unfinished training falls short of does not speak "
        f"against the paper. An interval over {plural(scale.seeds, 'seed')} is little more than "
        "the seeds themselves."
    ]


def _cases(scale: Scale) -> list[tuple[int, float]]:
    """Agents and weights."""
    weights = WEIGHTS["full" if scale.name == "full" else "quick"]
    return [(agents, weight) for agents in scale.servers for weight in weights]


def _run(agents: int, weight: float, value: str, scale: Scale) -> Run:
    told = PAPERS_VALUE | {
        "domain.task": "assignment-spread",
        "domain.agents": agents,
        "algorithm.nu": weight,
        "algorithm.mixer": value,
        "train.iterations": scale.iterations["maipg"],
    }
    return run(MAIPG, "particle", scale, told, preset="spread")


def _left(kind: str, case: tuple[int, float], value: str, scale: Scale, found: "Found") -> "Array":
    """What is left after the burn-in, [T, S]."""
    name = "variance_left_centred" if kind == "centred" else "variance_left"
    known = found.trained(_run(*case, value, scale)).metric(name)
    return known[round(BURN_IN * len(known)) :]


def _before(case: tuple[int, float], value: str, scale: Scale, found: "Found") -> "NDArray[bool_]":
    """Which of these iterations are before convergence, [T, S]."""
    import numpy as np

    reward = found.trained(_run(*case, value, scale)).reward
    level = reward[0] + CONVERGED * (reward.max(axis=0) - reward[0])
    first = (reward >= level).argmax(axis=0)
    early = np.arange(len(reward))[:, None] < np.maximum(first, 1)
    early = early[round(BURN_IN * len(reward)) :]
    # Whoever converges within the burn-in has the first iteration after it.
    early[0] = True
    return early


def _often(kind: str, case: tuple[int, float], value: str, scale: Scale, found: "Found"):
    """Share of updates in which less than all is left, over seeds, in %."""
    return over(100 * (_left(kind, case, value, scale, found) < 1).mean(axis=0))


def _medians(kind: str, case: tuple[int, float], value: str, scale: Scale, found: "Found"):
    """What each seed's value leaves before convergence, in the median."""
    import numpy as np

    left, early = _left(kind, case, value, scale, found), _before(case, value, scale, found)
    return [float(np.median(left[early[:, i], i])) for i in range(left.shape[1])]


def _against_joint(case: tuple[int, float], value: str, scale: Scale, found: "Found") -> Measured:
    """How much less than the joint value, in the median before convergence; above 0: less."""
    from descant.evaluate.statistics import paired_difference

    joint, ours = (_medians("centred", case, v, scale, found) for v in ("joint", value))
    return Measured(**paired_difference(joint, ours))


def _table(scale: Scale, found: "Found") -> Table:
    rows: list[tuple[Cell, ...]] = []
    for case in _cases(scale):
        for value in VALUES:
            rows.append(
                (
                    *(f"{case[0]} agents, {value}", f"{case[1]:g}"),
                    *(
                        cell
                        for kind in ("centred", "raw")
                        for cell in (
                            over(_medians(kind, case, value, scale, found)),
                            _often(kind, case, value, scale, found),
                        )
                    ),
                )
            )
    return Table(
        "table",
        "Var(A − Q) / Var(A)",
        (
            *("value", "nu"),
            *("centred, median before convergence", "centred, % of updates below 1"),
            *("raw, median before convergence", "raw, % of updates below 1"),
        ),
        tuple(rows),
        f"After the first {percent(BURN_IN, 0)} of training; intervals over seeds.",
        decimals=2,
        words=2,
    )


def _figure(key: str, kind: str, scale: Scale, found: "Found"):
    panels = []
    for case in _cases(scale):
        lines = []
        for value, colour in VALUES.items():
            left = _left(kind, case, value, scale, found)
            every = found.trained(_run(*case, value, scale)).iterations
            lines.append(Curve(value, every[-len(left) :], left, colour))
        title = f"{case[0]} agents, nu = {case[1]:g}"
        panels.append(Panel(title, tuple(lines), (("1", 1.0),)))
    return curves(
        key,
        panels,
        f"Share of the advantages' variance left, {kind}",
        f"{kind.capitalize()}, after the first {percent(BURN_IN, 0)} of training. Below 1, taking "
        "the value off would make advantages less noisy. Line: mean over seeds; band: smallest and "
        "largest seed, from five seeds on the 95 % interval of the mean.",
    )


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    shares: Mapping[tuple[tuple[int, float], str], Measured] = {
        (case, value): _often("centred", case, value, scale, found)
        for case in _cases(scale)
        for value in FACTORISED
    }
    kept = [share.mean >= 100 * OFTEN for share in shares.values()]
    gaps = {key: _against_joint(*key, scale, found) for key in shares}
    lower = [gap.mean > 0 for gap in gaps.values()]
    yield (
        f"Factorised values leave less than all of the variance, centred, in at least "
        f"{percent(OFTEN, 0)} of updates in {sum(kept)} of {len(kept)} cases (agents, nu, mixer): "
        f"{met(all(kept))}; and less than a joint value, in the median before convergence, in "
        f"{sum(lower)} of {len(lower)}: {met(all(lower))}."
    )
    for case in _cases(scale):
        said = [_said(case, value, scale, found) for value in VALUES]
        yield f"{case[0]} agents, nu = {case[1]:g}: {'; '.join(said)}."
        more = [f"{told(gaps[case, v], 3)} more than a {v} mixer's" for v in FACTORISED]
        yield (
            f"{case[0]} agents, nu = {case[1]:g}: in the median before convergence a joint value "
            f"leaves {' and '.join(more)}."
        )
    yield from _raw(scale, found)


def _said(case: tuple[int, float], value: str, scale: Scale, found: "Found") -> str:
    middle = over(_medians("centred", case, value, scale, found))
    often = _often("centred", case, value, scale, found)
    return f"{value} leaves {told(middle, 3)} and is below 1 in {told(often, 0)} % of updates"


def _raw(scale: Scale, found: "Found") -> Iterator[str]:
    """What the formula says as it reads."""
    middles: Sequence[str] = [
        f"{value} {number(_mean(case, value, scale, found), 2)} with {case[0]} agents"
        for case in _cases(scale)
        if case[1] == 0
        for value in VALUES
    ]
    yield f"Raw, medians before convergence with nu = 0: {', '.join(middles)}."


def _mean(case: tuple[int, float], value: str, scale: Scale, found: "Found") -> float:
    return over(_medians("raw", case, value, scale, found)).mean
