"""Which of two is ahead: who violates less, then who has more."""

import jax.numpy as jnp
import pytest

from descant.train.verdict import Verdict, ahead


@pytest.mark.parametrize(
    ("one", "other", "leads"),
    [
        ((1.0, None), (0.5, None), True),
        ((1.0, None), (1.0, None), False),
        ((0.0, 0.1), (9.0, 0.2), True),
        ((9.0, 0.2), (0.0, 0.1), False),
        ((1.0, 0.1), (0.5, 0.1), True),
        ((0.5, 0.1), (1.0, 0.1), False),
        ((float("nan"), 0.1), (1.0, 0.1), False),
    ],
)
def test_less_violation_then_more(one, other, leads):
    """Of numbers as in a sweep, and of arrays as in training."""
    assert ahead(Verdict(*one), Verdict(*other)) is leads
    pair = [
        Verdict(jnp.float32(value), None if short is None else jnp.float32(short))
        for value, short in (one, other)
    ]
    assert bool(ahead(*pair)) is leads
