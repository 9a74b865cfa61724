import numpy as np
import pytest
from scipy.sparse import csgraph
from scipy.spatial.distance import cdist

from descant.core.graph import Graph
from descant.evaluate.layout import layout
from descant.ops import graphs

ALONE = Graph(1, np.zeros((0, 2), int))
APART = Graph(5, np.array([[0, 1], [2, 3]]))
MANY = {
    "ring": graphs.ring(24),
    "line": graphs.line(2),
    "tree": graphs.tree(15),
    "points": graphs.geometric(40),
    "torus": graphs.torus(3, 5),
    "alone": ALONE,
    "apart": APART,
}


@pytest.mark.parametrize("graph", MANY.values(), ids=MANY)
def test_everybody_has_a_place_of_its_own_in_the_frame(graph):
    place, edges = layout(graph)
    assert place.shape == (graph.agents, 2) and np.isfinite(place).all()
    np.testing.assert_allclose(place.min(axis=0), 0, atol=1e-12)
    assert place.max() == pytest.approx(0 if graph is ALONE else 1)
    apart = cdist(place, place) + np.eye(graph.agents)
    assert apart.min() > 1e-3
    known = set(map(tuple, graph.edges.tolist()))
    assert set(map(tuple, edges.tolist())) <= known


def test_lattices_stand_in_rows_and_columns():
    for maker in (graphs.grid, graphs.king, graphs.torus):
        graph = maker(4, 7)
        place, edges = layout(graph)
        steps = np.rint(6 * place).astype(int)
        np.testing.assert_allclose(6 * place, steps, atol=1e-9)
        assert (steps[:, 1] * 7 + steps[:, 0] == np.arange(28)).all()
        assert np.abs(steps[edges[:, 0]] - steps[edges[:, 1]]).max() == 1
        assert (len(edges) < len(graph.edges)) == (maker is graphs.torus)


def test_lines_run_from_left_to_right():
    place, edges = layout(graphs.line(5))
    assert place.tolist() == [[0, 0], [0.25, 0], [0.5, 0], [0.75, 0], [1, 0]] and len(edges) == 4


def test_rings_are_round_and_trees_keep_distances():
    place, _ = layout(graphs.ring(24))
    radius = np.linalg.norm(place - place.mean(axis=0), axis=1)
    assert radius.std() < 1e-3 * radius.mean()
    tree = graphs.tree(15)
    hops = csgraph.shortest_path(tree.adjacency.astype(float), unweighted=True)
    place, _ = layout(tree)
    assert np.corrcoef(cdist(place, place).ravel(), hops.ravel())[0, 1] > 0.9
