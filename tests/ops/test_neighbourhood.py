import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.graph import Graph
from descant.core.network import Reach, codes
from descant.ops import graphs
from descant.ops.neighbourhood import (
    gathered,
    heard,
    near_codes,
    near_escape,
    near_sum,
    pair_sum,
    ring_of,
    ring_sum,
)

GRAPHS = {"grid": graphs.grid(3, 3), "apart": Graph(5, np.array([[0, 1], [1, 2]]))}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_sums_over_balls(graph, radius):
    x = np.random.default_rng(0).normal(size=(3, 2, graph.agents)).astype(np.float32)
    pairs = graph.pairs(radius)
    within = np.zeros((graph.agents, graph.agents))
    within[pairs.centre, pairs.member] = 1
    truth = x @ within.T
    near = near_sum(jnp.asarray(x), jnp.asarray(graph.balls(radius).member))
    np.testing.assert_allclose(near, truth, atol=1e-5)
    weight = np.random.default_rng(1).random(graph.balls(radius).member.shape)
    weighed = np.zeros((graph.agents, graph.agents + 1))
    np.put_along_axis(weighed, graph.balls(radius).member, weight, axis=1)
    near = near_sum(
        jnp.asarray(x), jnp.asarray(graph.balls(radius).member), jnp.asarray(weight, jnp.float32)
    )
    np.testing.assert_allclose(near, x @ weighed[:, :-1].T, atol=1e-5)
    chance = np.random.default_rng(2).random((3, 2, graph.agents)).astype(np.float32)
    escaped = near_escape(
        jnp.asarray(chance),
        jnp.asarray(graph.balls(radius).member),
        jnp.asarray(weight, jnp.float32),
    )
    expected = np.prod(1 - weighed[:, :-1] * chance[..., None, :], axis=-1)
    np.testing.assert_allclose(escaped, expected, atol=1e-6)
    listed = pair_sum(jnp.asarray(x), jnp.asarray(pairs.centre), jnp.asarray(pairs.member))
    np.testing.assert_allclose(listed, truth, atol=1e-5)


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_codes_are_those_of_enumeration(graph, radius):
    state = np.random.default_rng(0).integers(0, 3, (3, 2, graph.agents))
    member = graph.balls(radius).member
    found = near_codes(jnp.asarray(state, jnp.int8), jnp.asarray(member), 3)
    np.testing.assert_array_equal(found, codes(state, member, 3))


def test_who_is_not_there_is_never_read():
    """The last agent is what an index of -1 would read: its NaN stays with its neighbours."""
    graph = graphs.line(6)
    x = jnp.zeros(6).at[5].set(jnp.nan)
    spoiled = np.isnan(near_sum(x, jnp.asarray(graph.balls(2).member)))
    assert spoiled.tolist() == [False, False, False, True, True, True]


def test_rings_are_read_later_the_farther_they_are():
    graph, discount, ticks = graphs.line(4), 0.9, 5
    reward = np.random.default_rng(1).normal(size=(ticks, 4)).astype(np.float32)
    weighed = discount ** np.arange(ticks)[:, None] * reward
    ahead = np.cumsum(weighed[::-1], axis=0)[::-1].astype(np.float32)
    lags = [Reach().lag(d) for d in range(3)]
    assert lags == [0, 2, 3]
    rings = [jnp.asarray(ring) for ring in graph.rings(2)]
    found = ring_sum(jnp.asarray(ahead), rings, lags)
    for i in range(4):
        for t in range(ticks):
            near = [j for j in range(4) if abs(i - j) <= 2]
            truth = sum(weighed[int(t + lags[abs(i - j)]) :, j].sum() for j in near)
            assert float(found[t, i]) == pytest.approx(truth, abs=1e-5)


def test_hubs_are_summed_over_pairs():
    """A star: lists as wide as its centre's would be padding."""
    graph = Graph(40, np.stack([np.zeros(39, int), np.arange(1, 40)], axis=1))
    member = [ring.astype(np.int32) for ring in graph.rings(2)]
    rings = [ring_of(ring) for ring in member]
    assert [isinstance(ring, tuple) for ring in rings] == [False, True, False]
    assert [heard(ring) for ring in rings] == [40, 2 * 39, 39 * 38]
    x = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2, 40)), jnp.float32)
    listed = ring_sum(x, [jnp.asarray(ring) for ring in member], [0, 1, 2])
    np.testing.assert_allclose(ring_sum(x, rings, [0, 1, 2]), listed, atol=1e-5)


def test_a_ring_that_is_never_felt_counts_nothing():
    graph, x = graphs.line(3), jnp.ones((4, 3))
    rings = [jnp.asarray(ring) for ring in graph.rings(1)]
    alone = ring_sum(x, rings, [Reach(states=0).lag(d) for d in range(2)])
    np.testing.assert_array_equal(alone, x)


def test_what_is_around_stands_side_by_side_with_who_is_there():
    x = jnp.array([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    index = np.array([[0, 1], [1, 3], [2, 1]])
    found = gathered(x, index)
    wanted = [[[1, 2, 1, 3, 4, 1], [3, 4, 1, 0, 0, 0], [5, 6, 1, 3, 4, 1]]]
    np.testing.assert_array_equal(found, wanted)
