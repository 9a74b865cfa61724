from dataclasses import replace

import pytest

from builders import SMALL
from descant.algorithms import coma, mean_field
from descant.core.errors import UserError
from descant.domains import particle
from toys import balance

TOY = balance.make(balance.Config())


@pytest.mark.parametrize("module", [coma, mean_field])
def test_points_and_orders_are_refused(module):
    domain = particle.make(particle.Config(agents=2, push="force"))
    with pytest.raises(UserError, match=r"continuous, and .*; MAPPO, MAIPG and FACMAC take any"):
        module.make(module.Config(base=SMALL), domain)
    with pytest.raises(UserError, match=r"choose at the same time; use --algorithm.order together"):
        module.make(module.Config(base=replace(SMALL, order="in-turn")), TOY)
