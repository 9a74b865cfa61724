"""Matrix games: what the paper prints of them, and a job that learns many at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from descant.domains import matrix
from descant.reproduce._common import costs
from descant.reproduce._common.jobs import Job, digest
from descant.reproduce._common.tables import Measured

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray
    from rich.console import Console

    from descant.reproduce._common.found import Found

    Array = NDArray[float64]

Mixer = Literal["sum", "monotone"]
MIXERS: tuple[Mixer, ...] = ("monotone", "sum")
SPREADS = (0.01, 1.0)
"""Deviations of initial logits: agents that begin undecided, and agents that do not."""
RESAMPLES = 2000
SURE = 0.9
"""Chance of the greedy joint action from which on training counts as converged."""
COMPILE = {"sum": 12.0, "monotone": 18.0}
EACH = {"sum": 6e-5, "monotone": 8e-5}
"""Seconds of a learner's update, on two quiet cores."""

PRINTED = {
    "table5a": """
        2 1 1 1 1 1 2 1 2 2
        2 2 1 1 1 1 2 1 2 2
        2 2 1 1 1 1 2 1 1 2
        2 2 1 1 1 1 2 1 1 2
        2 2 1 1 1 1 2 1 1 2
        1 2 1 1 0 1 2 1 1 2
        1 2 2 1 0 1 2 1 1 2
        1 2 1 1 1 1 2 1 1 2
        1 2 1 1 1 1 1 2 1 2
        1 2 1 1 1 1 2 2 1 2
        1 2 1 1 1 1 2 2 0 2
    """,
    "table5b": """
        2 1 1 0.5 1 1 1 1 2 0.5
        2 1 1 0.5 1 1 2 1 2 0.5
        2 1 1 0.5 1 1 2 0.5 1 0.5
        2 2 1 0.5 1 1 2 0.5 1 0.5
        2 2 1 0.5 0.5 1 2 0.5 1 0.5
        1 2 1 0.5 0.5 1 2 0.5 1 0.5
        1 2 1 0.5 0.5 1 2 0.5 1 0.5
        1 2 1 0.5 0.5 1 2 0.5 1 2
        1 2 1 0.5 0.5 1 2 0.5 1 2
        1 2 1 0.5 0.5 1 2 0.5 0.5 2
        1 2 1 0.5 1 1 2 0.5 0.5 2
    """,
}
"""Table 5, (c) and (d): payoffs by nu, 0 to 1 in steps of 0.1, and by seed."""


def printed(game: str) -> "Array":
    """The payoffs of the paper, [seed, nu]."""
    import numpy as np

    return np.array(PRINTED[game].split(), np.float64).reshape(11, 10).T


@dataclass(frozen=True)
class Learn(Job):
    """Games of one size, learnt at all spreads and weights."""

    worlds: tuple[matrix.Config, ...]
    mixer: Mixer
    weights: tuple[float, ...]
    seeds: int
    updates: int
    spreads: tuple[float, ...] = SPREADS

    @property
    def name(self) -> str:
        return f"games-{self._size}-{self.mixer}-{digest(repr(asdict(self)))}"

    @property
    def title(self) -> str:
        return (
            f"{len(self.worlds)} games of {self._size} (agents x actions), {self.mixer}, "
            f"{len(self.weights)} weights, {self.learners} learners: {self.updates} updates"
        )

    @property
    def learners(self) -> int:
        """Trained side by side."""
        return len(self.worlds) * len(self.weights) * len(self.spreads) * self.seeds

    @property
    def _size(self) -> str:
        return f"{self.worlds[0].agents}x{self.worlds[0].actions}"

    def seconds(self) -> float:
        each = EACH[self.mixer] * self.worlds[0].agents / 3
        return costs.START + COMPILE[self.mixer] + each * self.learners * self.updates

    def do(self, place: Path, console: "Console") -> dict[str, Any]:
        import time

        from descant.reproduce.maipg._learning import learn
        from descant.train.cache import enable_compile_cache
        from descant.train.progress import phase
        from descant.train.signals import graceful

        enable_compile_cache()
        start = time.perf_counter()
        with graceful(idle=True), phase(console, "Compiling, then learning all of them at once"):
            record = learn(
                worlds=self.worlds,
                mixer=self.mixer,
                spreads=self.spreads,
                weights=self.weights,
                seeds=self.seeds,
                updates=self.updates,
            )
        seconds = time.perf_counter() - start
        return {"kind": "games", "seconds": seconds, "record": record}


def pays(found: "Found", job: Learn, spread: float) -> "Array":
    """Payoffs of greedy joint actions, [game, seed, nu]."""
    import numpy as np

    return np.array(found.of(job)["record"]["pays"][job.spreads.index(spread)], np.float64)


def sure(found: "Found", jobs: Sequence[Learn]) -> float:
    """Share of learners that have converged."""
    import numpy as np

    chances = [np.ravel(found.of(job)["record"]["chance"]) for job in jobs]
    return float((np.concatenate(chances) >= SURE).mean())


def resampled(
    values: "Array", count: Callable[["Array"], Mapping[str, float]]
) -> dict[str, Measured]:
    """What is counted of seeds, the first axis, with 95 % percentile bootstraps over them."""
    import numpy as np

    rng, told = np.random.default_rng(0), count(values)
    draws = rng.integers(len(values), size=(RESAMPLES, len(values)))
    every = [count(values[draw]) for draw in draws]
    found = {}
    for name, mean in told.items():
        low, high = np.quantile([counted[name] for counted in every], [0.025, 0.975])
        found[name] = Measured(mean, float(low), float(high))
    return found


def met(kept: bool) -> str:
    """A verdict."""
    return "met" if kept else "not met"
