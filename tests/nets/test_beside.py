import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import observations
from descant.nets import beside
from descant.nets.mixing import Sum
from toys import balance

CONFIG = balance.Config(idle=0.0)
SPEC = balance.make(CONFIG).env.spec
TICK = jax.tree.map(lambda x: x[0], observations(CONFIG, jax.random.key(0), 1))
KEY = jax.random.key(1)
ALL = 1 - jnp.eye(SPEC.agents)


def rows(*choice):
    return jax.nn.one_hot(jnp.array(choice), SPEC.actions)


@pytest.mark.parametrize("by_name", [True, False])
def test_what_an_agent_does_is_not_in_its_own_row(by_name):
    net = beside.beside(KEY, SPEC, whole=True, by_name=by_name, hidden=8, depth=1)
    before, after = (net(TICK, rows(0, first, 2), ALL) for first in (1, 3))
    np.testing.assert_allclose(before[1], after[1], rtol=1e-5, atol=1e-6)
    assert float(jnp.min(jnp.max(jnp.abs(before - after)[jnp.array([0, 2])], axis=-1))) > 1e-4


def test_by_name_it_matters_who_did_it():
    for by_name in (True, False):
        net = beside.beside(KEY, SPEC, whole=True, by_name=by_name, hidden=8, depth=1)
        one, other = net(TICK, rows(0, 1, 2), ALL)[0], net(TICK, rows(0, 2, 1), ALL)[0]
        assert bool(jnp.allclose(one, other, atol=1e-6)) is not by_name


def test_a_joint_point_is_worth_what_its_parts_are():
    """By a sum, what one agent's point changes does not hang on the others'."""
    net = beside.points(KEY, SPEC, Sum(), hidden=8, depth=1)
    point = jax.random.normal(KEY, (SPEC.agents, SPEC.actions))

    def change(other):
        joint = point.at[1].set(other)
        moved = joint.at[0].add(1.0)
        return net(TICK, moved) - net(TICK, joint)

    first, second = change(0.0), change(2.0)
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)
    assert abs(float(first[0])) > 1e-4
