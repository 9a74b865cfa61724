"""Two games with a trap, by weight and seed (Table 5)."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from descant.domains import matrix
from descant.report.numbers import number, percent, plural
from descant.reproduce._common.figures import Curve, Panel, curves
from descant.reproduce._common.jobs import Job
from descant.reproduce._common.plan import Scale
from descant.reproduce._common.shown import Shown, told
from descant.reproduce._common.tables import Cell, Measured, Table
from descant.reproduce.maipg._games import (
    MIXERS,
    SPREADS,
    SURE,
    Learn,
    Mixer,
    met,
    pays,
    printed,
    resampled,
    sure,
)
from descant.reproduce.maipg._runs import over

if TYPE_CHECKING:
    from descant.reproduce._common.found import Found
    from descant.reproduce.maipg._games import Array

SCALES = {
    "quick": Scale("quick", servers=(), seeds=50, iterations={"maipg": 400}),
    "full": Scale("full", servers=(), seeds=200, iterations={"maipg": 3000}),
}
GAMES: tuple[tuple[Literal["table5a", "table5b"], str], ...] = (("table5a", "a"), ("table5b", "b"))
MIDDLE = {"table5a": 0.0, "table5b": 0.5}
"""What (B, B) pays."""
OPTIMUM = 2.0
WEIGHTS = tuple(i / 10 for i in range(11))
DECIDED = max(SPREADS)
"""The spread at which the paper's outcomes can come about."""
BOUNDS = {
    ("table5a", "optimal"): (0.3, 0.5),
    ("table5b", "optimal"): (0.2, 0.45),
    ("table5a", "middle"): (0.0, 0.1),
    ("table5b", "middle"): (0.1, 0.3),
    ("table5a", "by seed"): (0.5, 1.0),
    ("table5b", "by seed"): (0.5, 1.0),
    ("table5a", "by nu"): (0.0, 0.05),
    ("table5b", "by nu"): (0.0, 0.05),
    ("table5a", "worse"): (0.0, 0.1),
    ("table5b", "worse"): (0.0, 0.1),
}
"""Within which a share counts as reproduced."""
NAMES = {
    "optimal": "(A, A)",
    "middle": "(B, B)",
    "by seed": "explained by seed",
    "by nu": "explained by nu",
    "worse": "inner nu worse than both ends",
}
"""What is counted, as a share."""
COLOURS = {("monotone", 1.0): "accent", ("sum", 1.0): "run-1", ("monotone", 0.01): "run-2"}
COLOURS |= {("sum", 0.01): "run-4"}


def jobs(scale: Scale) -> list[Job]:
    """Both games at once, by mixer."""
    return [_job(mixer, scale) for mixer in MIXERS]


def show(scale: Scale, found: "Found") -> Shown:
    """Outcomes beside those that the paper prints."""
    converged = percent(sure(found, [_job(mixer, scale) for mixer in MIXERS]), 0)
    return Shown(
        "Table 5: two games with a trap",
        "with 10 seeds and 11 weights, agents mostly end at (C, C), which pays 1, or at the "
        "optimum (A, A), which pays 2, and which of them hangs on the seed rather than on nu; that "
        "a weight between 0 and 1 ends worse than both is rare.",
        tuple(_findings(scale, found)),
        (_shares(scale, found), _by_weight(scale, found)),
        (_figure(scale, found),),
        (
            f"Scale --{scale.name}: {plural(scale.seeds, 'seed')}, the same initial policies at "
            f"every weight, {scale.iterations['maipg']} updates of 64 plays; what counts is the "
            f"greedy joint action at the end. {converged} of all learners give theirs a "
            f"probability of at least {SURE}.",
            "Game (a) pays, by rows: 2, −2, −2; −2, 0, 0; −2, 0, 1. Game (b) pays 0.5 instead of 0 "
            "at (B, B).",
            "The paper does not say how agents begin. To undecided ones expected payoffs recommend "
            "C; only where agents begin with preferences do as many as in the paper end elsewhere. "
            f"Criteria are judged at an initial deviation of {number(DECIDED, 0)}, by the means.",
            "Explained: shares of the sum of squares of payoffs, two ways without interaction. "
            "Worse than both ends: cells of a seed and a weight between 0 and 1 that pay less than "
            "the seed's ends do.",
            "The paper's sentence counts (b), seed 5, from 0.4 to 0.8; its table has 0.9 as well.",
            "Intervals: 95 %, a bootstrap over seeds. Policies are tables.",
        ),
    )


def _job(mixer: Mixer, scale: Scale) -> Learn:
    worlds = tuple(matrix.Config(game=game) for game, _ in GAMES)
    return Learn(worlds, mixer, WEIGHTS, scale.seeds, scale.iterations["maipg"])


def _paid(game: str, mixer: Mixer, spread: float, scale: Scale, found: "Found") -> "Array":
    """Payoffs, [seed, nu]."""
    place = [name for name, _ in GAMES].index(game)
    return pays(found, _job(mixer, scale), spread)[place]


def counted(paid: "Array", middle: float) -> Mapping[str, float]:
    """Shares of outcomes, and of the variance of payoffs [seed, nu] by what explains it."""
    inner, ends = paid[:, 1:-1], paid[:, [0, -1]].min(axis=1, keepdims=True)
    return {
        "optimal": float((paid == OPTIMUM).mean()),
        "middle": float((paid == middle).mean()),
        "by seed": _explained(paid, 1),
        "by nu": _explained(paid, 0),
        "worse": float((inner < ends).mean()),
    }


def _explained(paid: "Array", over: int) -> float:
    """The share of the variance that means over an axis have."""
    whole = float(paid.var())
    return float(paid.mean(axis=over).var()) / whole if whole else 0.0


def _measured(paid: "Array", middle: float) -> Mapping[str, Measured]:
    return resampled(paid, lambda some: counted(some, middle))


def _cases() -> list[tuple[str, str, Mixer, float]]:
    """Games by name and letter, with mixers and spreads."""
    return [
        (game, letter, mixer, spread)
        for game, letter in GAMES
        for spread in sorted(SPREADS, reverse=True)
        for mixer in MIXERS
    ]


def _shares(scale: Scale, found: "Found") -> Table:
    rows: list[tuple[Cell, ...]] = []
    for game, letter in GAMES:
        theirs = counted(printed(game), MIDDLE[game])
        shares = (100 * theirs[name] for name in NAMES)
        mean = float(printed(game).mean())
        rows.append((f"({letter}), the paper", "not said", mean, *shares))
        for other, _, mixer, spread in _cases():
            if other == game:
                paid = _paid(game, mixer, spread, scale, found)
                ours = _measured(paid, MIDDLE[game])
                shares = (_hundred(ours[name]) for name in NAMES)
                mean = over(paid.mean(axis=1))
                rows.append((f"({letter}), {mixer}", f"{spread:g}", mean, *shares))
    return Table(
        "table",
        "Outcomes over all weights",
        ("game", "spread", "mean payoff", *(f"{name}, %" for name in NAMES.values())),
        tuple(rows),
        "Spread: deviation of initial logits.",
        decimals=2,
        words=2,
    )


def _label(mixer: Mixer, spread: float) -> str:
    return f"{mixer}, spread {spread:g}"


def _hundred(share: Measured) -> Measured:
    low, high = share.ends
    return Measured(100 * share.mean, 100 * low, 100 * high)


def _by_weight(scale: Scale, found: "Found") -> Table:
    rows: list[tuple[Cell, ...]] = []
    for game, letter in GAMES:
        theirs = printed(game)
        ours = [_paid(game, mixer, DECIDED, scale, found) for mixer in MIXERS]
        for i, weight in enumerate(WEIGHTS):
            rows.append(
                (
                    *(letter, number(weight, 1), float(theirs[:, i].mean())),
                    *(over(paid[:, i]) for paid in ours),
                    100 * float((theirs[:, i] == OPTIMUM).mean()),
                    *(100 * float((paid[:, i] == OPTIMUM).mean()) for paid in ours),
                )
            )
    return Table(
        "by-weight",
        f"By weight, at a spread of {number(DECIDED, 0)}",
        (
            *("game", "nu", "mean payoff, the paper", *(f"payoff, {mixer}" for mixer in MIXERS)),
            *("(A, A) %, the paper", *(f"(A, A) %, {mixer}" for mixer in MIXERS)),
        ),
        tuple(rows),
        decimals=2,
        words=2,
    )


def _figure(scale: Scale, found: "Found"):
    import numpy as np

    weights = 100 * np.array(WEIGHTS)
    panels = []
    for game, letter in GAMES:
        theirs = printed(game).T.mean(axis=1, keepdims=True)
        lines = [Curve("the paper, 10 seeds", weights, theirs, "soft")]
        for other, _, mixer, spread in _cases():
            if other == game:
                values = _paid(game, mixer, spread, scale, found).T
                lines.append(Curve(_label(mixer, spread), weights, values, COLOURS[mixer, spread]))
        panels.append(Panel(f"Game ({letter})", tuple(lines), (("(C, C)", 1.0),)))
    return curves(
        "figure",
        panels,
        "Mean payoff",
        "Line: mean over seeds; band: its 95 % interval, of ours alone. The optimum pays 2.",
        across="nu, %",
    )


class Check(NamedTuple):
    """A share, and whether it counts as reproduced."""

    letter: str
    mixer: str
    name: str
    ours: Measured
    theirs: float
    low: float
    high: float

    @property
    def kept(self) -> bool:
        """Whether ours is within bounds."""
        return self.low <= self.ours.mean <= self.high

    @property
    def sure(self) -> bool:
        """Whether all of its interval is."""
        return self.low <= self.ours.ends[0] and self.ours.ends[1] <= self.high

    def said(self) -> str:
        """A finding."""
        return (
            f"Game ({self.letter}), {self.mixer}, {NAMES[self.name]}: "
            f"{told(_hundred(self.ours), 1)} % (the paper: {percent(self.theirs, 0)}); "
            f"{percent(self.low, 0)} to {percent(self.high, 0)} counts as reproduced: "
            f"{met(self.kept)}."
        )


def _checks(scale: Scale, found: "Found") -> Iterator[Check]:
    for game, letter in GAMES:
        theirs = counted(printed(game), MIDDLE[game])
        for mixer in MIXERS:
            ours = _measured(_paid(game, mixer, DECIDED, scale, found), MIDDLE[game])
            for name in NAMES:
                bounds = BOUNDS[game, name]
                yield Check(letter, mixer, name, ours[name], theirs[name], *bounds)


def _findings(scale: Scale, found: "Found") -> Iterator[str]:
    checks = list(_checks(scale, found))
    kept = sum(check.kept for check in checks)
    sure = sum(check.sure for check in checks)
    yield (
        f"Agents that begin with preferences (spread {number(DECIDED, 0)}) end as the paper's do "
        f"in {kept} of {len(checks)} shares (game, mixer, quantity): {met(kept == len(checks))}. "
        f"The whole interval of {sure} of them counts as reproduced."
    )
    ours, theirs = zip(
        *((c.ours.mean, c.theirs) for c in checks if c.name == "by seed"), strict=True
    )
    yield (
        f"The seed explains {percent(min(ours), 0)} to {percent(max(ours), 0)} of the variance "
        f"here and {percent(min(theirs), 0)} to {percent(max(theirs), 0)} in the paper."
    )
    for check in checks:
        if check.mixer == MIXERS[0] or not check.kept:
            yield check.said()
    least = min(SPREADS)
    paid = {m: _paid("table5a", m, least, scale, found) for m in MIXERS}
    ends = {m: [float((p[:, i] == OPTIMUM).mean()) for i in (0, -1)] for m, p in paid.items()}
    said = ", ".join(
        f"{mixer} {percent(a, 0)} at nu = 0 and {percent(b, 0)} at nu = 1"
        for mixer, (a, b) in ends.items()
    )
    yield (
        f"Of agents that begin undecided (spread {least:g}), these reach the optimum of game (a): "
        f"{said}."
    )
