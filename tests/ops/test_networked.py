import jax
import jax.numpy as jnp
import numpy as np

from descant.core.graph import Graph
from descant.domains.tables.world import tables
from descant.ops import graphs
from descant.ops.networked import State, states_of, world


def test_agents_see_themselves_and_shares_of_their_neighbours():
    """Of states 1 and 2: own, then the neighbours' shares; nothing around who is alone."""
    graph = Graph(4, np.array([[0, 1], [1, 2]]))
    env = world(tables(graph, coupling=0.5, states=3), horizon=10)
    seen = env.observe(State(jnp.array([1, 0, 2, 2], jnp.int8), jnp.int32(4)))
    np.testing.assert_array_equal(
        seen.local, [[1, 0, 0, 0], [0, 0, 0.5, 0.5], [0, 1, 0, 0], [0, 1, 0, 0]]
    )
    np.testing.assert_allclose(seen.world.globals, [0.25, 0.5, 0.4])


def test_states_are_read_back_from_observations():
    env = world(tables(graphs.ring(4), coupling=0.5, states=3), horizon=10)
    state = np.array([[1, 0, 2, 2], [0, 0, 1, 2]])
    seen = jax.vmap(lambda s: env.observe(State(s, jnp.int32(4))))(jnp.asarray(state, jnp.int8))
    np.testing.assert_array_equal(states_of(seen, 3), state)
