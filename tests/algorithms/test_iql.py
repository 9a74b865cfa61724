from dataclasses import replace

import pytest

from builders import TINY
from descant.algorithms import iql
from descant.core.errors import UserError
from toys import balance

TOY = balance.make(balance.Config())


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"hidden": 0}, "hidden"),
        ({"depth": -1}, "depth"),
        ({"span": 0}, "span"),
        ({"chunk": -1}, "chunk"),
        ({"burn": -1}, "burn"),
        ({"rate": float("nan")}, "rate"),
        ({"target_rate": 1.5}, "target_rate"),
        ({"target_rate": 0.0}, "target_rate"),
        ({"epsilon": -0.1}, "epsilon"),
        ({"trace": 2.0}, "trace"),
    ],
)
def test_values_out_of_range_are_named(changes, name):
    with pytest.raises(UserError, match=f"^algorithm.{name}: expected"):
        iql.make(replace(TINY, **changes), TOY)
