"""What these targets are made of: measurements on noisy voters."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descant.reproduce._common.jobs import Job, digest
from descant.reproduce._common.tables import Measured

if TYPE_CHECKING:
    from rich.console import Console

    from descant.reproduce._common.found import Found

DISCOUNT = 0.9
SHARE = 0.05
"""Of the optimum, that training is to come within."""
PAPER = (
    "Ying, Ding, Koppel and Lavaei (2023) bound what a radius leaves out by a rate to the power of "
    "the radius; the text with their figures was not available, so no number of theirs stands here."
)


@dataclass(frozen=True)
class Measure(Job):
    """A call of a function in `_work`."""

    what: str
    values: tuple[tuple[str, Any], ...]
    cost: float

    @property
    def name(self) -> str:
        return f"utilities-{self.what}-{digest(repr((self.what, self.values)))}"

    @property
    def title(self) -> str:
        return f"{self.what}: " + ", ".join(f"{name} {value}" for name, value in self.values)

    def seconds(self) -> float:
        return self.cost

    def do(self, place: Path, console: "Console") -> dict[str, Any]:
        import time

        from descant.reproduce.utilities import _work
        from descant.train.cache import enable_compile_cache
        from descant.train.progress import phase
        from descant.train.signals import graceful

        enable_compile_cache()
        start = time.perf_counter()
        with graceful(idle=True), phase(console, "Measuring"):
            record = getattr(_work, self.what)(**dict(self.values))
        seconds = time.perf_counter() - start
        return {"kind": "utilities", "what": self.what, "seconds": seconds, "record": record}


def measure(what: str, cost: float, **values: Any) -> Measure:
    """A measurement and about how many seconds it takes."""
    return Measure(what, tuple(values.items()), cost)


def over(values: Sequence[float]) -> Measured:
    """Mean of independent values with its 95 % interval."""
    from descant.reproduce._common import found

    return found.over(values)


def records(jobs: list[Job], found: "Found") -> Iterator[tuple[Mapping[str, Any], Any]]:
    """Each job's values and what was measured."""
    for job in jobs:
        if isinstance(job, Measure):
            yield dict(job.values), found.of(job)["record"]
