from dataclasses import replace

import pytest

from builders import TINY
from descant.algorithms import facmac, qmix, qplex
from descant.core.errors import UserError
from toys import balance

TOY = balance.make(balance.Config())


def test_actions_that_are_numbers_are_refused():
    spec = replace(TOY.env.spec, continuous=True)
    domain = replace(TOY, env=replace(TOY.env, spec=spec))
    with pytest.raises(UserError, match=r"'balance' are .*, and QMIX .* MAPPO, MAIPG and FACMAC"):
        qmix.make(qmix.Config(base=TINY), domain)


@pytest.mark.parametrize(
    ("module", "name"),
    [(qmix, "embed"), (qmix, "hyper"), (qplex, "heads"), (facmac, "actor_rate")],
)
def test_values_out_of_range_are_named(module, name):
    with pytest.raises(UserError, match=f"^algorithm.{name}: expected above 0"):
        module.make(module.Config(base=TINY, **{name: 0}), TOY)
