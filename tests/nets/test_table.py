"""Tables say what the enumeration of a network says they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.core.network import codes
from descant.domains.tables.world import tables
from descant.nets.table import Table, Tabular, Window, check_size
from descant.ops import graphs
from descant.ops.networked import State, world

GRAPH = graphs.small_world(6, seed=1)
NETWORK = tables(GRAPH, coupling=0.5, states=3, seed=1)
STATE = np.random.default_rng(0).integers(0, 3, (5, 6))


def policy(view, shared=False):
    window = Window(GRAPH, 3, view)
    count = 1 if shared else GRAPH.agents
    logits = np.random.default_rng(1).normal(size=(count, window.rows, 2))
    return Tabular(net=Table(logits=jnp.asarray(logits, jnp.float32), window=window))


@pytest.mark.parametrize("view", [0, 1])
def test_rows_are_numbered_as_enumeration_does(view):
    window = Window(GRAPH, 3, view)
    truth = codes(STATE, GRAPH.balls(view).member, 3)
    np.testing.assert_array_equal(window.row(jnp.asarray(STATE, jnp.int8)), truth)
    assert truth.max() < window.rows
    np.testing.assert_array_equal(truth % 3, STATE)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("view", [0, 1])
def test_agents_act_by_the_row_that_they_see(view, shared):
    env, told = world(NETWORK, 5), policy(view, shared)
    table = np.asarray(told.net.logits)
    for state in STATE:
        seen = env.observe(State(jnp.asarray(state, jnp.int8), jnp.int32(0)))
        row = codes(state, GRAPH.balls(view).member, 3)
        truth = np.asarray(jax.nn.softmax(table[np.arange(6) % len(table), row]))
        said = told.assess(seen, jnp.ones(6, jnp.int32))
        np.testing.assert_allclose(said.probabilities, truth, atol=1e-6)
        np.testing.assert_array_equal(told.best(seen), truth.argmax(axis=1))


def test_chances_by_own_state_are_told_where_nothing_else_is_read():
    own = policy(0, shared=True)
    chances = own.by_state()
    assert chances is not None and chances.shape == (6, 3, 2)
    np.testing.assert_allclose(chances, np.asarray(jax.nn.softmax(own.net.logits))[[0] * 6])
    assert policy(1).by_state() is None


def test_tables_that_do_not_fit_are_refused():
    check_size(Window(graphs.torus(30, 30), 2, 1), 2)
    with pytest.raises(UserError, match=r"algorithm.view: at 3 hops an agent sees 25 states"):
        check_size(Window(graphs.torus(30, 30), 2, 3), 2)
