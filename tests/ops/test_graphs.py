import numpy as np
import pytest

from descant.core.errors import UserError
from descant.ops import graphs


def sizes(graph, radius):
    return np.bincount(graph.pairs(radius).centre)


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_sizes_of_balls_inside(radius):
    k = radius
    assert sizes(graphs.line(30), k).max() == 2 * k + 1
    assert (sizes(graphs.ring(30), k) == 2 * k + 1).all()
    assert (sizes(graphs.torus(9, 11), k) == 2 * k * k + 2 * k + 1).all()
    assert sizes(graphs.grid(9, 11), k).max() == 2 * k * k + 2 * k + 1
    assert sizes(graphs.king(9, 11), k).max() == (2 * k + 1) ** 2
    assert sizes(graphs.tree(300), k).max() == 3 * 2**k - 2


def test_small_world_keeps_its_edges_and_some_of_its_ring():
    ring = graphs.small_world(200, 6, 0.0)
    assert (ring.degree == 6).all()
    some = graphs.small_world(200, 6, 0.2, seed=1)
    assert len(some.edges) == len(ring.edges) == 600
    kept = {tuple(e) for e in ring.edges.tolist()} & {tuple(e) for e in some.edges.tolist()}
    assert 0.7 < len(kept) / 600 < 0.9
    assert (
        some == graphs.small_world(200, 6, 0.2, seed=1) != graphs.small_world(200, 6, 0.2, seed=2)
    )
    # Everybody knows everybody: there is nowhere to lead an edge.
    assert len(graphs.small_world(5, 4, 1.0).edges) == 10


def test_points_have_about_as_many_neighbours_as_wanted():
    graph = graphs.geometric(2000, 8, seed=3)
    assert 6.5 < graph.degree.mean() < 8
    assert graph == graphs.geometric(2000, 8, seed=3)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: graphs.ring(2), "ring: expected at least 3 agents, got 2"),
        (lambda: graphs.torus(2, 5), "sides of at least 3, got 2 x 5"),
        (lambda: graphs.tree(5, 0), "tree: expected at least 1 below"),
        (lambda: graphs.small_world(10, 3), "even degree from 2 to below 10 agents, got 3"),
        (lambda: graphs.small_world(10, 4, 1.5), "from 0 to 1, got 1.5"),
        (lambda: graphs.geometric(10, 0), "degree above 0"),
        (lambda: graphs.sides(97, 2), "97 agents make no rectangle.* at least 2; 96 would"),
        (lambda: graphs.sides(10, 3), "10 agents make no rectangle.* at least 3; 9 would"),
    ],
)
def test_what_cannot_be_made_is_told(make, sentence):
    with pytest.raises(UserError, match=sentence):
        make()


def test_rectangles_are_nearest_to_squares():
    assert graphs.sides(100, 2) == (10, 10)
    assert graphs.sides(12, 3) == (3, 4)
    assert graphs.sides(7, 1) == (1, 7)
