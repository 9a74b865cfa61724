"""What a target shows: sentences from the numbers, figures, tables, and what was chosen."""

from dataclasses import dataclass

from descant.report.numbers import digits, number, percent
from descant.reproduce._common.figures import Figure
from descant.reproduce._common.tables import Measured, Table


@dataclass(frozen=True)
class Shown:
    """The content of a target's page."""

    title: str
    claim: str
    """What the paper reports, in our words."""
    findings: tuple[str, ...]
    """What we measured, the most important first; made from the numbers."""
    tables: tuple[Table, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = ()
    """What the paper leaves open and what we chose."""

    def markdown(self) -> str:
        """Findings, tables and notes."""
        parts = [f"# {self.title}", f"Published: {self.claim}"]
        parts += ["\n".join(f"* {finding}" for finding in self.findings)]
        parts += [table.markdown() for table in self.tables]
        parts += ["\n".join(f"* {note}" for note in self.notes)] if self.notes else []
        return "\n\n".join(parts) + "\n"


def against(ours: Measured, published: float, name: str = "published") -> str:
    """Our number beside a published one, in words: `-37.2 [-38, -36], better than published -41`.

    The published number counts as exact, so `no clear difference` means that it lies in our
    interval.
    """
    low, high = ours.ends
    said = told(ours)
    if low <= published <= high and low < high:
        return f"{said}, no clear difference to {name} {number(published, 1)}"
    gap = ours.mean - published
    side = "better" if gap > 0 else "worse"
    share = percent(abs(gap / published)) if published else number(abs(gap))
    return f"{said}, {share} {side} than {name} {number(published, 1)}"


def verdict(difference: Measured) -> str:
    """What the interval of a difference says: better, worse, or no clear difference."""
    low, high = difference.ends
    if difference.low is None or low <= 0 <= high:
        return "no clear difference"
    return "better" if low > 0 else "worse"


def told(measured: Measured, decimals: int | None = None) -> str:
    """A number with its interval."""
    if measured.low is None or measured.high is None:
        return number(measured.mean, 1 if decimals is None else decimals)
    half = (measured.high - measured.low) / 2
    places = max(1, digits(half, 1)) if decimals is None else decimals
    mean, low, high = (
        number(round(x, places), places) for x in (measured.mean, measured.low, measured.high)
    )
    return f"{mean} [{low}, {high}]"


def overlap(a: Measured, b: Measured) -> bool:
    """Whether the intervals of two numbers meet, so that they are not told apart."""
    (low, high), (least, most) = a.ends, b.ends
    return low <= most and least <= high


def relative(difference: Measured, reference: Measured) -> str:
    """A difference as a share of what it is to: `2.1 % worse than`; `level with` where its interval
    holds 0."""
    unclear = difference.low is not None and verdict(difference) == "no clear difference"
    if unclear or difference.mean == 0 or reference.mean == 0:
        return "level with"
    side = "better" if difference.mean > 0 else "worse"
    return f"{percent(abs(difference.mean / reference.mean))} {side} than"
