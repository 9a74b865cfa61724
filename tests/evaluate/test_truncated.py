"""Errors of estimates, at a size that takes a moment."""

import numpy as np
import pytest

from descant.domains import voter
from descant.domains.voter.exact import Exact
from descant.domains.voter.world import voters
from descant.evaluate.truncated import felt, noise, truth
from descant.ops import graphs

DOMAIN = voter.make(voter.Config(agents=24, horizon=30))
VALUES = {"discount": 0.8}


@pytest.fixture(scope="module")
def known():
    return truth(Exact(DOMAIN.network, 0.8), DOMAIN.objective, [0, 2, 4, 12], seed=0)


def test_what_a_radius_leaves_out_shrinks_to_nothing(known):
    bias = [known.bias(radius) for radius in (0, 2, 4, 12)]
    assert bias[0] > 4 * bias[1] > 8 * bias[2] and bias[3] < 1e-9
    np.testing.assert_allclose(known.near[12], known.full, atol=1e-9)


def test_light_cones_are_less_noisy_and_errors_are_bias_and_noise(known):
    """At kappa = 4 and 64 rollouts: at most 0.8 times the noise of all returns."""
    found = {
        critic: noise(DOMAIN, known, VALUES | {"critic": critic}, radius=4, rollouts=64, batches=8)
        for critic in ("cone", "mc")
    }
    assert found["cone"]["noise"] < 0.8 * found["mc"]["noise"]
    few = noise(DOMAIN, known, VALUES, radius=0, rollouts=64, batches=8)
    assert few["error"] ** 2 == pytest.approx(few["noise"] ** 2 + known.bias(0) ** 2, rel=0.3)


def test_what_is_felt_is_the_inverse_by_distance():
    """Against plain loops over a dense inverse."""
    exact = Exact(voters(graphs.tree(12, 2), alpha=0.7), 0.8)
    push = np.random.default_rng(1).uniform(size=(12, 2))
    found, inverse = felt(exact, push, 3), np.linalg.inv(exact.system(push).toarray())
    near = exact.network.graph.adjacency.toarray() + np.eye(12)
    hops = np.sum([np.linalg.matrix_power(near, k) == 0 for k in range(8)], axis=0)
    for i in range(12):
        for k in range(4):
            some = [j for j in range(12) if hops[i, j] == k]
            assert found.agents[i, k] == len(some)
            assert found.sum[i, k] == pytest.approx(sum(inverse[j, i] for j in some), abs=1e-12)


def test_what_is_felt_from_a_distance_on_has_a_bound_on_any_graph():
    """By policies that read nothing: what copies of copies carry so far, times the ratio of the
    most to the least neighbours; the middle of a star needs all of that ratio."""
    alpha, discount = 0.9, 0.9
    x = alpha * discount
    for graph in (graphs.tree(7, 6), graphs.small_world(40, rewire=1.0)):
        exact = Exact(voters(graph, alpha=alpha), discount)
        found = felt(exact, np.full((graph.agents, 2), 0.3), 5)
        ratio = graph.degree.max() / graph.degree.min()
        for d in range(6):
            assert found.sum[:, d:].sum(axis=1).max() <= ratio * x**d / (1 - x)
    star = felt(Exact(voters(graphs.tree(7, 6), alpha=alpha), discount), np.full((7, 2), 0.3), 1)
    assert star.sum[0, 1] == pytest.approx(6 * x / (1 - x * x), rel=1e-6)
