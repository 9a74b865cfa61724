"""What a learner is worth on validation scenarios, and which of two is ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jaxtyping import Array, Bool

    from descant.core.types import Scalar


class Verdict(NamedTuple):
    """What a learner is worth on validation scenarios."""

    value: Scalar | float
    """Its reward, or what it has of the objective that it climbs instead."""
    violation: Scalar | float | None = None
    """Of constraints, in all; the less, the better, whatever the value. None where there are
    none."""


def ahead(one: Verdict, other: Verdict) -> Bool[Array, ""] | bool:
    """Whether one violates less than the other, or as much and has more."""
    more = one.value > other.value
    if one.violation is None or other.violation is None:
        return more
    less = one.violation < other.violation
    return less | ((one.violation == other.violation) & more)
