"""Noise of the gradient and what is learnt, by weight and mixer, along training (Figure 5)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant.report.numbers import number, percent, plural
from descant.reproduce._common import costs
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job, digest
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.maipg import smac
from descant.reproduce.maipg._runs import (
    MAIPG,
    PAPERS_VALUE,
    Met,
    Run,
    few,
    over,
    paired,
    percents,
    run,
    scores,
    slowness,
    thousands,
    ticks,
    verdict,
)

if TYPE_CHECKING:
    from rich.console import Console

    from descant.reproduce._common.found import Found
    from descant.reproduce.maipg._runs import Array

SCALES = {
    "quick": Scale(
        "quick", servers=(5,), seeds=3, iterations={"assignment-spread": 60}, scenarios=200
    ),
    "full": Scale(
        "full",
        servers=(5,),
        seeds=10,
        iterations={"2s3z": 184, "assignment-spread": 600},
        scenarios=200,
    ),
}
"""Iterations on the map, which needs the extra jaxmarl, and on particles where that is missing."""
SPEED = 5_000
"""Ticks per second whose gradients are taken, where agents remember, on two quiet cores."""
POINTS = {"quick": 4, "full": 8}
"""Checkpoints at which gradients are looked at."""
ROLLOUTS = {"2s3z": 256, "assignment-spread": 1024}
"""Whose gradients are looked at, at each: the mean of few is lost in their noise."""
CLOSE = 0.02
"""Share of the variance that the value's own noise may add without being spoken of."""
NUS = (0.3, 0.5)
MIXERS = ("sum", "monotone")
Variant = tuple[float, str]
"""Weight and mixer."""
PLAIN: Variant = (0.0, "monotone")
COLOURS: dict[Variant, str] = {
    PLAIN: "run-2",
    (0.3, "sum"): "run-1",
    (0.5, "sum"): "run-4",
    (0.3, "monotone"): "accent",
    (0.5, "monotone"): "run-5",
}
"""All variants: with a weight of 0 nobody climbs the value, so mixers make no difference."""


@dataclass(frozen=True)
class Gradients(Job):
    """Gradients of single rollouts at checkpoints of a run."""

    train: Run
    iterations: tuple[int, ...]
    rollouts: int

    @property
    def name(self) -> str:
        told = repr((self.iterations, self.rollouts))
        return f"gradients-{self.train.name}-{digest(told)}"

    @property
    def title(self) -> str:
        return f"gradients of {self.rollouts} rollouts at {len(self.iterations)} checkpoints"

    def seconds(self) -> float:
        s = self.train.settings
        each = self.rollouts * ticks(s) / s.train.rollouts * slowness(s) / SPEED
        return costs.COMPILE + len(self.iterations) * s.seeds * each

    def do(self, place: Path, console: "Console") -> dict[str, Any]:
        from descant.reproduce.maipg._noise import along

        return along(self.train.folder(place), self.iterations, self.rollouts, console)


def jobs(scale: Scale) -> list[Job]:
    """A run for each variant, its gradients along the way, and its policies at the end."""
    runs = [_run(variant, scale) for variant in COLOURS]
    return [*runs, *(_probe(run, scale) for run in runs), *(_met(run, scale) for run in runs)]


def show(scale: Scale, found: "Found") -> Shown:
    """Variance, signal to noise, and what is reached, by weight and mixer."""
    probe = _probe(_run(PLAIN, scale), scale)
    return Shown(
        f"Figure 5: weights and mixers on {_place(scale)}",
        "on 2s3z and corridor of SMAC the variance of the gradient falls as nu goes from 0 to 0.3 "
        "and 0.5, and is lower with a sum than with a monotone mixer; a sum with nu = 0.5 learns "
        "less than nu = 0. The paper prints no number, and does not say how variance was measured.",
        tuple(_findings(scale, found)),
        (_table(scale, found), _same_policy(scale, found), _ends(scale, found)),
        (_figure(scale, found),),
        (
            f"Scale --{scale.name}: {plural(scale.seeds, 'seed')}; gradients of {probe.rollouts} "
            f"rollouts at {len(probe.iterations)} checkpoints of each run. {_why(scale)}",
            "Variance: the trace of the covariance, over rollouts, of the actor's gradient in the "
            "first epoch, before it is shortened and without the entropy bonus; each rollout is a "
            "sample. Signal to noise: squared length of the mean over that, free of the bias of "
            "squares; it does not depend on the gradient's unit.",
            "A weight of nu leaves 1 − nu of the return's gradient, so by itself it multiplies "
            "that part's variance by (1 − nu)², whatever the value says: a variance that falls as "
            "nu rises is no finding. Signal to noise counts the value's own gradient as signal, "
            "wherever it points; the cosine says how far it points where the return's does.",
            "The value counts in units of the advantage.",
            "With nu = 0 both mixers are MAPPO to the bit, and one run stands for both.",
        ),
    )


def _settings(variant: Variant, scale: Scale) -> dict[str, Any]:
    nu, mixer = variant
    iterations = scale.iterations[_place(scale)]
    own = PAPERS_VALUE | {"algorithm.nu": nu, "algorithm.mixer": mixer}
    if _place(scale) == "2s3z":
        told = smac.settings(MAIPG, "2s3z", iterations) | own
    else:
        told = {"domain.task": "assignment-spread", "domain.early": False} | own
        told["train.iterations"] = iterations
    # All checkpoints stay: gradients are looked at there.
    period = iterations // POINTS[_size(scale)]
    return told | {"train.period": period, "train.keep": 2 * POINTS[_size(scale)]}


def _run(variant: Variant, scale: Scale) -> Run:
    battle = _place(scale) == "2s3z"
    domain, preset = ("jaxmarl", "smax") if battle else ("particle", "spread")
    return run(MAIPG, domain, scale, _settings(variant, scale), preset=preset)


def _probe(train: Run, scale: Scale) -> Gradients:
    knobs = train.settings.train
    at = tuple(range(knobs.period, knobs.iterations + 1, knobs.period))
    return Gradients(train, at, ROLLOUTS[_place(scale)])


def _met(train: Run, scale: Scale) -> Met:
    return Met(train, scale.scenarios)


def _size(scale: Scale) -> str:
    return "full" if scale.name == "full" else "quick"


def _place(scale: Scale) -> str:
    """Where it is run: the first world of the scale that there is."""
    first, *others = scale.iterations
    return first if first != "2s3z" or _battles() else others[0]


@cache
def _battles() -> bool:
    from importlib.util import find_spec

    return find_spec(smac.EXTRA) is not None


def _why(scale: Scale) -> str:
    if _place(scale) == "2s3z":
        return "SMAX is not SMAC: other dynamics, sights and rewards."
    return (
        "The paper's maps are battles; --full takes SMAX's 2s3z where the extra jaxmarl is "
        "installed. Here five particles spread over landmarks, with the preset `spread`; success "
        "does not end an episode, so rewards of training add up to returns."
    )


def _label(variant: Variant) -> str:
    nu, mixer = variant
    return f"nu = {nu:g}, {mixer}" if nu else "nu = 0 (MAPPO)"


class Seen:
    """Variance and signal of one run's gradients `[points, S]`, at any weight."""

    def __init__(self, record: Mapping[str, Any]):
        import numpy as np

        self.covariance = np.array(record["covariance"])
        self.inner = np.array(record["signal"])

    def variance(self, nu: float) -> "Array":
        """Trace of the covariance."""
        return self._at(self.covariance, nu)

    def signal(self, nu: float) -> "Array":
        """Squared length of the mean."""
        return self._at(self.inner, nu)

    def ratio(self, nu: float) -> list[float]:
        """Signal to noise of each seed over all its checkpoints."""
        return (self.signal(nu).mean(0) / self.variance(nu).mean(0)).tolist()

    def share(self, nu: float) -> list[float]:
        """Variance of each seed over all its checkpoints, as a share of that without the value."""
        return (self.variance(nu).mean(0) / self.variance(0.0).mean(0)).tolist()

    def cosine(self) -> float | None:
        """Between what return and value say on average; None where noise hides one of them."""
        inner = self.inner.mean((0, 1))
        length = inner[0, 0] * inner[1, 1]
        seen = inner[0, 0] > 0 and inner[1, 1] > 0
        return float(inner[0, 1] / length**0.5) if seen else None

    def _at(self, products: "Array", nu: float) -> "Array":
        left = 1 - nu
        own, value = products[..., 0, 0], products[..., 1, 1]
        both = products[..., 0, 1] + products[..., 1, 0]
        return left**2 * own + left * nu * both + nu**2 * value


def _seen(variant: Variant, scale: Scale, found: "Found") -> Seen:
    return Seen(found.of(_probe(_run(variant, scale), scale)))


def _relative(variant: Variant, scale: Scale, found: "Found") -> list[float]:
    """Each seed's variance, its checkpoints averaged, as a share of MAPPO's."""
    own = _seen(variant, scale, found).variance(variant[0]).mean(0)
    return (own / _seen(PLAIN, scale, found).variance(0.0).mean(0)).tolist()


def _end(variant: Variant, scale: Scale, found: "Found") -> list[float]:
    """What each seed reaches on held-out scenarios: battles won in percent, or the return."""
    train = _run(variant, scale)
    if _place(scale) == "2s3z":
        return percents(found, _met(train, scale), "won")
    return [train.settings.domain.horizon * score for score in scores(found, _met(train, scale))]


def _reached(scale: Scale) -> str:
    return "held-out battles won, %" if _place(scale) == "2s3z" else "held-out return"


def _table(scale: Scale, found: "Found") -> Table:
    rows: list[tuple[Cell, ...]] = []
    for variant in COLOURS:
        nu, seen = variant[0], _seen(variant, scale, found)
        share = 1.0 if variant == PLAIN else over(_relative(variant, scale, found))
        rows.append((_label(variant), share, (1 - nu) ** 2, over(seen.ratio(nu))))
    return Table(
        "table",
        "Noise of each variant at its own policies",
        ("variant", "variance, MAPPO's = 1", "by the weight alone", "signal to noise"),
        tuple(rows),
        f"Means over checkpoints. {few(scale.seeds)} Variants differ in their policies, too; the "
        "next table asks all weights at each policy.",
        decimals=4,
    )


def _same_policy(scale: Scale, found: "Found") -> Table:
    rows: list[tuple[Cell, ...]] = []
    for variant in COLOURS:
        seen = _seen(variant, scale, found)
        shares = (over(seen.share(nu)) for nu in NUS)
        ratios = (over(seen.ratio(nu)) for nu in (0.0, *NUS))
        rows.append((_label(variant), *shares, *ratios, seen.cosine()))
    return Table(
        "one-policy",
        "What the weight does at one and the same policy",
        (
            "policies of",
            *(f"variance at {nu:g}, at 0 = 1" for nu in NUS),
            *(f"signal to noise at {nu:g}" for nu in (0.0, *NUS)),
            "cosine",
        ),
        tuple(rows),
        f"At the checkpoints of each run, with its value, on the same rollouts. {few(scale.seeds)} "
        f"By the weight alone variances are {', '.join(f'{(1 - nu) ** 2:.2f}' for nu in NUS)}. "
        "Cosine: of the mean gradients of return and value, over all seeds; – where noise hides "
        "one of them.",
        decimals=4,
    )


def _ends(scale: Scale, found: "Found") -> Table:
    plain = _end(PLAIN, scale, found)
    rows: list[tuple[Cell, ...]] = []
    for variant in COLOURS:
        end = _end(variant, scale, found)
        gap = None if variant == PLAIN else paired(end, plain)
        rows.append(
            (_label(variant), over(end), gap, None if gap is None else verdict(gap, scale.seeds))
        )
    return Table(
        "ends",
        "What is reached",
        ("variant", _reached(scale), "minus MAPPO's", "it is"),
        tuple(rows),
        f"On {scale.scenarios} held-out scenarios; differences are paired by seed. "
        f"{few(scale.seeds)}",
        decimals=2,
    )


def _figure(scale: Scale, found: "Found"):
    import numpy as np

    runs = {variant: _run(variant, scale) for variant in COLOURS}
    battle = _place(scale) == "2s3z"
    learnt, noise, ratio = [], [], []
    for variant, train in runs.items():
        name, colour, nu = _label(variant), COLOURS[variant], variant[0]
        seen, probe = _seen(variant, scale, found), _probe(train, scale)
        at = np.array(probe.iterations) * ticks(train.settings) / 1000
        metric = found.trained(train).metric("won" if battle else "return")
        learnt.append(Curve(name, thousands(train, found), metric, colour))
        noise.append(Curve(name, at, seen.variance(nu), colour))
        ratio.append(Curve(name, at, seen.signal(nu) / seen.variance(nu), colour))
    learning = "Battles won in training" if battle else "Reward per tick in training"
    return curves(
        "figure",
        [
            Panel("Variance of the gradient", tuple(noise)),
            Panel("Signal to noise", tuple(ratio)),
            Panel(learning, tuple(learnt)),
        ],
        "Noise and learning",
        "Each variant at its own policies. Line: mean over seeds; band: smallest and largest seed, "
        "from five seeds on the 95 % interval of the mean. Signal to noise of a single rollout; an "
        "estimate may be below 0.",
        across="thousand ticks",
    )


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    runs = {variant: _seen(variant, scale, found) for variant in COLOURS}
    off = max(
        abs(over(seen.share(nu)).mean - (1 - nu) ** 2) for seen in runs.values() for nu in NUS
    )
    said = f"to within {number(off, 3)}" if off else "exactly"
    yield (
        f"At one and the same policy the variance is (1 − nu)² of what it is at nu = 0, {said}: "
        + (
            "it falls because the weight falls, which says nothing of the value."
            if off < CLOSE
            else "the value's own noise makes the rest."
        )
    )
    plain, reached = over(runs[PLAIN].ratio(0.0)), _end(PLAIN, scale, found)
    for variant, seen in runs.items():
        if variant == PLAIN:
            yield f"{_label(variant)}: signal to noise {told(plain, 4)} at its own policies."
            continue
        gap = paired(seen.ratio(variant[0]), runs[PLAIN].ratio(0.0))
        end = paired(_end(variant, scale, found), reached)
        yield (
            f"{_label(variant)}: {percent(over(_relative(variant, scale, found)).mean, 0)} of "
            f"MAPPO's variance; signal to noise {told(over(seen.ratio(variant[0])), 4)}, "
            f"{_higher(gap, scale.seeds)}; {_reached(scale)} minus MAPPO's {told(end, 2)}, "
            f"{verdict(end, scale.seeds)}."
        )
    both = (_relative((NUS[-1], mixer), scale, found) for mixer in MIXERS)
    gap = paired(*both)
    yield (
        f"At nu = {NUS[-1]:g} the variance with a sum minus that with a monotone mixer is "
        f"{told(gap, 3)} of MAPPO's, {_higher(gap, scale.seeds)}; in the paper a sum has less."
    )


def _higher(gap: Measured, seeds: int) -> str:
    said = verdict(gap, seeds)
    return {"better": "higher", "worse": "lower"}.get(said, "not told apart")
