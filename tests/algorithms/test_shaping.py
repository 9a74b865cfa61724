from dataclasses import replace

import pytest

from builders import SMALL
from descant.algorithms import shaping
from descant.core.errors import UserError
from toys import balance

TOY = balance.make(balance.Config())


@pytest.mark.parametrize(
    ("changes", "domain", "sentence"),
    [
        ({}, replace(TOY, model=None), "'balance' has no analytic model, .* MAPPO runs without"),
        ({"weight": -1.0}, TOY, "algorithm.weight: expected at least 0, got -1.0"),
    ],
)
def test_what_cannot_be_is_refused(changes, domain, sentence):
    with pytest.raises(UserError, match=sentence):
        shaping.make(shaping.Config(base=SMALL, **changes), domain)
