import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.domains.tables.world import tables
from descant.nets.around import sighted
from descant.nets.table import Window
from descant.ops import graphs
from descant.ops.networked import State, world


def seen(state):
    env = world(tables(graphs.line(4), coupling=0.5, states=3), horizon=5)
    return env.observe(State(jnp.asarray(state, jnp.int8), jnp.int32(0)))


@pytest.mark.parametrize("shared", [True, False])
def test_agents_choose_by_the_states_that_they_see(shared):
    window = Window(graphs.line(4), 3, 1)
    net = sighted(jax.random.key(0), window, 2, 5, hidden=8, depth=1, shared=shared)
    base = net(seen([0, 1, 2, 0]))
    assert base.shape == (4, 5)
    moved = np.any(np.asarray(net(seen([0, 1, 1, 0]))) != np.asarray(base), axis=1)
    assert moved.tolist() == [False, True, True, True]
    # Who has nobody on the left is told from who has somebody in state 0 there.
    ends = np.asarray(net(seen([0, 0, 0, 0])))
    assert np.abs(ends[0] - ends[1]).max() > 1e-5
    alike = np.array_equal(ends[1], ends[2])
    assert alike == shared
