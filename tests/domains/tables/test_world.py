import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.domains import tables
from descant.domains.tables.world import tables as made
from descant.evaluate.episodes import score_rules
from descant.ops import graphs


def test_the_law_by_hand():
    network = made(graphs.line(3), coupling=0.25, states=3, seed=1)
    state, action = jnp.array([2, 1, 0]), jnp.array([0, 1, 1])
    found = network.chances(state, action)
    own, around = network.traits.own, network.traits.around
    # Neighbours in ascending order after the agent itself: digits 1, 3, 9.
    row = 1 + 3 * 2 + 9 * 0
    np.testing.assert_allclose(found[1], 0.75 * own[1, 1, 1] + 0.25 * around[1, row, 1], rtol=1e-6)
    np.testing.assert_allclose(
        found[2], 0.75 * own[2, 0, 1] + 0.25 * around[2, 0 + 3 * 1, 1], rtol=1e-6
    )


def test_without_coupling_neighbours_count_nothing():
    network = made(graphs.ring(4), coupling=0.0)
    one = network.chances(jnp.array([0, 0, 0, 0]), jnp.zeros(4, int))
    other = network.chances(jnp.array([0, 1, 1, 1]), jnp.zeros(4, int))
    np.testing.assert_array_equal(one[0], other[0])
    assert network.reach.lag(1) == float("inf")


def test_what_pays_at_once_pays():
    domain = tables.make(tables.Config(agents=10))
    keys = jax.random.split(jax.random.key(0), 5)
    reward = np.asarray(jax.jit(lambda k: score_rules(domain, k))(keys).reward).mean(axis=1)
    assert reward[1] > reward[0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"states": 1}, "domain.states: expected at least 2"),
        ({"coupling": 2.0}, "domain.coupling: expected 0 to 1"),
        ({"sharp": -1.0}, "domain.sharp: expected at least 0"),
        (
            {"agents": 40, "graph": "tree", "degree": 39},
            "domain.graph: an agent has 39 neighbours",
        ),
    ],
)
def test_values_out_of_range_are_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        tables.make(tables.Config(**changes))
