from dataclasses import replace

import pytest

from builders import SMALL
from descant.algorithms import difference
from descant.core.errors import UserError
from descant.domains import particle
from toys import balance

TOY = balance.make(balance.Config())


@pytest.mark.parametrize("domain", [replace(TOY, default=None), particle.make(particle.Config())])
def test_without_a_default_there_is_no_difference(domain):
    """Where particles are when they are paid was decided a tick before, so they have none."""
    wanted = rf"'{domain.name}' has no default action .* MAPPO does without"
    with pytest.raises(UserError, match=wanted):
        difference.make(difference.Config(base=SMALL), domain)
