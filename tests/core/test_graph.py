import numpy as np
import pytest
from scipy.sparse import csgraph

from descant.core.errors import UserError
from descant.core.graph import Graph
from descant.ops import graphs

MANY = {
    "line": graphs.line(7),
    "grid": graphs.grid(3, 4),
    "tree": graphs.tree(9),
    "apart": Graph(6, np.array([[0, 1], [1, 2], [4, 5]])),
    "nobody": Graph(3, np.zeros((0, 2), int)),
}


def distances(graph):
    return csgraph.shortest_path(graph.adjacency.astype(float), unweighted=True)


@pytest.mark.parametrize("graph", MANY.values(), ids=MANY)
@pytest.mark.parametrize("radius", [0, 1, 2, 50])
def test_balls_rings_and_pairs_are_those_of_shortest_paths(graph, radius):
    truth = distances(graph)
    member, hops = graph.balls(radius)
    rings, pairs = graph.rings(radius), graph.pairs(radius)
    assert len(rings) == radius + 1
    for agent in range(graph.agents):
        near = np.flatnonzero(truth[agent] <= radius)
        real = member[agent] < graph.agents
        assert member[agent, 0] == agent
        assert sorted(member[agent][real]) == near.tolist()
        assert (hops[agent][real] == truth[agent, member[agent][real]]).all()
        assert (np.diff(hops[agent]) >= 0).all()
        assert (member[agent][~real] == graph.agents).all()
        assert (hops[agent][~real] == radius + 1).all()
        for distance, ring in enumerate(rings):
            mine = ring[agent][ring[agent] < graph.agents]
            assert mine.tolist() == np.flatnonzero(truth[agent] == distance).tolist()
        mine = pairs.member[pairs.centre == agent]
        assert sorted(mine) == near.tolist()
    assert (np.diff(pairs.centre) >= 0).all()
    within = [(truth <= hops).sum(axis=1) - 1 for hops in range(radius + 1)]
    assert (graph.others(radius) == np.stack(within, axis=1)).all()


def test_edges_count_once_however_they_are_given():
    graph = Graph(4, np.array([[2, 1], [1, 2], [0, 3], [1, 2]]))
    assert graph.edges.tolist() == [[0, 3], [1, 2]]
    assert graph == Graph(4, np.array([[3, 0], [1, 2]]))
    assert hash(graph) == hash(Graph(4, np.array([[3, 0], [1, 2]])))
    assert graph != Graph(5, graph.edges)
    with pytest.raises(ValueError, match="read-only"):
        graph.edges[0, 0] = 1


def test_parts_and_isolated_agents():
    graph = MANY["apart"]
    assert graph.component.tolist() == [0, 0, 0, 1, 2, 2]
    assert graph.degree.tolist() == [1, 2, 1, 0, 1, 1]


@pytest.mark.parametrize(
    ("agents", "edges", "sentence"),
    [
        (0, [], "at least one agent"),
        (3, [[0, 1], [1, 3]], r"edge \(1, 3\) names an agent that does not exist; there are 3"),
        (3, [[0, -1]], "names an agent that does not exist"),
        (3, [[2, 2]], r"edge \(2, 2\) joins an agent to itself"),
    ],
)
def test_what_is_no_graph_is_named(agents, edges, sentence):
    with pytest.raises(UserError, match=sentence):
        Graph(agents, np.array(edges, int).reshape(-1, 2))


def test_lists_that_cannot_be_held_are_refused():
    star = Graph(30_000, np.stack([np.zeros(29_999, int), np.arange(1, 30_000)], axis=1))
    with pytest.raises(UserError, match="radius: 2 hops on this graph give up to"):
        star.pairs(2)
    with pytest.raises(UserError, match="Use `pairs`, or a smaller radius"):
        star.balls(1)
    assert len(star.pairs(1).centre) == 30_000 + 2 * 29_999
    with pytest.raises(UserError, match="radius: expected at least 0"):
        star.pairs(-1)
