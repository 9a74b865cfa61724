"""Which values to try: lists make a grid, ranges are drawn from at random."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any, get_args, get_origin

from descant.core.errors import UserError, nearest
from descant.core.schema import Setting, expected, find, parse, show

COMMON = {
    "seed": "ranks would be luck; --seeds trains several learners of each trial",
    **dict.fromkeys(
        ("seeds", "train.validation", "train.scenarios"),
        "is the same for all trials, so that they compare; give it as a flag",
    ),
}
"""Settings that are not varied, and why."""

MAGNITUDES = 10
"""How many times the low end the high one is, from which on a range is drawn from by its
logarithm."""


@dataclass(frozen=True)
class Choices:
    """A list of values."""

    name: str
    """Dotted name of the setting."""
    texts: tuple[str, ...]
    """Values as one would type them."""


@dataclass(frozen=True)
class Range:
    """All numbers from one to another."""

    name: str
    """Dotted name of the setting."""
    low: float
    high: float
    whole: bool
    """Whether only whole numbers are meant; both ends are among them."""

    @property
    def logarithmic(self) -> bool:
        """Whether every order of magnitude is as likely as any other."""
        return self.low > 0 and self.high >= MAGNITUDES * self.low

    def at(self, share: float) -> str:
        """The number that this share, from 0 to 1, of all draws stays below; four digits are
        enough for a setting."""
        # A whole number stands for all up to the next one.
        low, high = self.low, self.high + self.whole
        if self.logarithmic:
            size = number = math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        else:
            size, number = high - low, low + share * (high - low)
        digits = 3 - math.floor(math.log10(size))
        rounded = math.floor(number) if self.whole else round(number, digits)
        return str(min(max(rounded, self.low), self.high))


Varied = Choices | Range


def read(text: str, known: Mapping[str, Setting]) -> Varied:
    """What `SETTING=VALUES` asks for: `algorithm.rate=1e-3,3e-3`, `algorithm.entropy=1e-4..1e-1`.

    A value that has commas of its own stands in brackets: `train.servers=[10,20],[10,100]`.

    Raises:
        UserError: there is no such setting, or a value does not fit it; all are told.
    """
    given, _, values = (part.strip() for part in text.partition("="))
    if not given or not values:
        raise UserError(
            f"--vary: expected SETTING=VALUES as in algorithm.rate=1e-3,3e-3, got {show(text)}."
        )
    name = _name(given, known)
    kind = known[name].kind
    numbers = _numbers(kind)
    items = [item.strip() for item in re.split(r",(?![^\[]*\])", values)]
    if ".." not in values or not numbers:
        return _choices(name, kind, items)
    if len(items) > 1:
        raise UserError(f"--vary {name}: expected a list or one range, got {show(values)}.")
    return _range(name, numbers[0], values)


def points(space: Sequence[Varied], trials: int, seed: int) -> list[dict[str, str]]:
    """Values of each trial by dotted name, no two trials alike.

    Lists alone make a grid, and `trials` says nothing. With a range there are `trials` draws, which
    a larger number continues; combinations of lists are dealt out, so that none comes up twice more
    often than another. Draws that were there before are left out.
    """
    names = [varied.name for varied in space if isinstance(varied, Choices)]
    lists = [varied.texts for varied in space if isinstance(varied, Choices)]
    grid = [dict(zip(names, texts, strict=True)) for texts in product(*lists)]
    ranges = [varied for varied in space if isinstance(varied, Range)]
    if ranges:
        grid = [_dealt(grid, i, seed) | _drawn(ranges, i, seed) for i in range(trials)]
    ordered = [tuple((varied.name, point[varied.name]) for varied in space) for point in grid]
    return [dict(point) for point in dict.fromkeys(ordered)]


def _name(given: str, known: Mapping[str, Setting]) -> str:
    matches = find(given.removeprefix("--").replace("-", "_"), known)
    if not matches:
        raise UserError(f"--vary {given}: there is no such setting.{nearest(given, known)}")
    if len(matches) > 1:
        raise UserError(f"--vary {given}: say which: {' or '.join(matches)}.")
    (name,) = matches
    if name in COMMON:
        raise UserError(f"--vary {name}: {COMMON[name]}.")
    return name


def _numbers(kind: Any) -> list[type]:
    """The kinds of numbers that a setting takes; none for a tuple of numbers."""
    kinds = [kind, *(get_args(kind) if get_origin(kind) is not tuple else ())]
    return [kind for kind in (int, float) if kind in kinds]


def _choices(name: str, kind: Any, items: Sequence[str]) -> Choices:
    problems, values = [], []
    for item in items:
        try:
            values.append(parse(kind, item))
        except ValueError:
            problems.append(f"--vary {name}: expected {expected(kind)}, got {show(item)}.")
    twice = [item for i, item in enumerate(items) if not problems and values[i] in values[:i]]
    problems += [f"--vary {name}: {show(item)} is given twice." for item in twice]
    if problems:
        raise UserError(*problems)
    return Choices(name, tuple(items))


def _range(name: str, kind: type, text: str) -> Range:
    ends = text.partition("..")[::2]
    try:
        low, high = (parse(kind, end.strip()) for end in ends)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError
    except ValueError:
        raise UserError(
            f"--vary {name}: expected low..high, each {expected(kind)} and low below high, got "
            f"{show(text)}."
        ) from None
    return Range(name, low, high, whole=kind is int)


def _dealt(grid: Sequence[dict[str, str]], i: int, seed: int) -> dict[str, str]:
    """Where draw `i` stands in the grid; each round through it has an order of its own."""
    turn, place = divmod(i, len(grid))
    return Random(f"{seed} {turn}").sample(grid, len(grid))[place]


def _drawn(ranges: Sequence[Range], i: int, seed: int) -> dict[str, str]:
    """Draw `i` of every range; each has chances of its own, whatever stands beside it."""
    return {found.name: found.at(Random(f"{seed} {found.name} {i}").random()) for found in ranges}
