from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from builders import SMALL
from descant.algorithms import difference
from descant.core.errors import UserError
from descant.domains import particle
from toys import balance

TOY = balance.make(balance.Config())


def test_who_rests_anyway_makes_no_difference():
    """Points have a default, too: no push."""
    domain = particle.make(particle.Config(agents=2, horizon=4, push="force"))
    algorithm = difference.make(difference.Config(base=replace(SMALL, net="mlp")), domain)
    state, _ = domain.env.reset(jax.random.key(0))
    action = jnp.array([[0.0, 0.0], [0.5, -1.0]])
    gained = algorithm.probes["difference"](state, action, jax.random.key(1))
    assert float(gained[0]) == 0.0
    assert abs(float(gained[1])) > 1e-6


def test_without_a_default_there_is_no_difference():
    with pytest.raises(UserError, match=r"'balance' has no default action .* MAPPO does without"):
        difference.make(difference.Config(base=SMALL), replace(TOY, default=None))
