"""Exact answers at any size, against enumeration, differences and closed forms."""

import numpy as np
import pytest

from descant.core.errors import UserError
from descant.domains import voter
from descant.domains.voter.exact import Exact, rate
from descant.domains.voter.world import objective, rewards, voters
from descant.evaluate.decay import fitted_factor
from descant.evaluate.enumerated import enumerate_network
from descant.ops import graphs
from descant.ops.utility import Determinism, Imitation, Linear, Own, Weighted, everybody

DISCOUNT = 0.9
THIRDS = voter.Config()


def random_push(agents, seed=0):
    return np.random.default_rng(seed).uniform(0.05, 0.95, (agents, 2))


def logits_of(push):
    return np.stack([np.zeros_like(push), np.log(push / (1 - push))], axis=-1)


def weights(graph, seed=1):
    """Uneven weights, and some on oneself."""
    near = graph.adjacency.toarray() + np.eye(graph.agents)
    weight = np.random.default_rng(seed).random(near.shape) * near
    return weight / weight.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module", params=[graphs.line(3), graphs.ring(5), graphs.small_world(6)])
def pair(request):
    graph = request.param
    network = voters(graph, alpha=0.75, low=0.2, start=0.3, weight=weights(graph))
    return Exact(network, DISCOUNT), enumerate_network(network, DISCOUNT)


def test_occupancies_are_those_of_enumeration(pair):
    exact, whole = pair
    push = random_push(exact.agents)
    truth = whole.local(whole.joint(logits_of(push)).occupancy)
    np.testing.assert_allclose(exact.occupied(push).occupancy, truth, atol=2e-8)


def test_gradients_are_those_of_enumeration_full_and_truncated(pair):
    exact, whole = pair
    push, team = random_push(exact.agents, 1), objective(THIRDS, exact.agents)
    chain = push * (1 - push)
    full = whole.gradient(team, logits_of(push))[..., 1]
    np.testing.assert_allclose(chain * exact.gradient(team, push), full, atol=1e-8)
    near = exact.truncated(team, push, range(4))
    for radius in range(4):
        truth = whole.truncated(team, logits_of(push), credit=radius)[..., 1]
        np.testing.assert_allclose(chain * near[radius], truth, atol=1e-8)


def test_rounding_is_all_that_differs_where_weights_are_halves():
    network = voters(graphs.ring(5), alpha=0.8)
    exact, whole = Exact(network, DISCOUNT), enumerate_network(network, DISCOUNT)
    push = random_push(5)
    truth = whole.local(whole.joint(logits_of(push)).occupancy)
    np.testing.assert_allclose(exact.occupied(push).occupancy, truth, atol=5e-15)


def test_gradient_is_the_slope_at_a_size_nobody_enumerates():
    agents = 300
    exact = Exact(voters(graphs.small_world(agents, seed=2), alpha=0.8), DISCOUNT)
    push, team = random_push(agents), objective(THIRDS, agents)
    way = np.random.default_rng(3).normal(size=(agents, 2))
    ends = [exact.value(team, push + s * 1e-5 * way) for s in (1, -1)]
    slope = (ends[0] - ends[1]) / 2e-5
    assert np.sum(exact.gradient(team, push) * way) == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("alpha", [0.5, 0.8, 0.95])
def test_measured_decay_on_a_ring_is_the_closed_form(alpha):
    """Policies that read no state: the entries of the inverse; random ones of the own state: the
    error of truncated gradients, within 10 %."""
    agents = 101
    exact = Exact(voters(graphs.ring(agents), alpha=alpha), DISCOUNT)
    even = np.full((agents, 2), 0.5)
    felt = exact.influence(even, np.array([50]))[50:60, 0]
    np.testing.assert_allclose(felt[1:] / felt[:-1], rate(alpha, DISCOUNT), rtol=1e-6)
    push, team = random_push(agents, 4), everybody(Linear(reward=rewards(0.0)), agents)
    full = exact.gradient(team, push)
    near = exact.truncated(team, push, range(7))
    error = np.array([np.linalg.norm(near[k] - full) for k in range(7)])
    assert fitted_factor(error) == pytest.approx(rate(alpha, DISCOUNT), rel=0.1)


@pytest.mark.parametrize("below", [2, 3])
def test_decay_on_a_tree_is_the_closed_form(below):
    """Down from the root, whatever it has for neighbours, as far as the ends are not felt."""
    agents = (below**9 - 1) // (below - 1)
    exact = Exact(voters(graphs.tree(agents, below), alpha=0.5), DISCOUNT)
    felt = exact.influence(np.full((agents, 2), 0.5), np.array([0]))[:, 0]
    first = [(below**depth - 1) // (below - 1) for depth in range(4)]
    ratio = felt[first[1:]] / felt[first[:-1]]
    np.testing.assert_allclose(ratio, rate(0.5, DISCOUNT, below + 1), rtol=1e-4)


def test_a_chain_in_one_direction_decays_by_discount_times_alpha():
    agents, alpha = 12, 0.7
    weight = np.eye(agents, k=-1)
    weight[0, 0] = 1
    exact = Exact(voters(graphs.line(agents), alpha=alpha, weight=weight), DISCOUNT)
    felt = exact.influence(np.full((agents, 2), 0.5), np.array([2]))[2:, 0]
    np.testing.assert_allclose(felt[1:] / felt[:-1], DISCOUNT * alpha, rtol=1e-10)


def test_relative_truncation_error_does_not_depend_on_the_number_of_agents():
    """At kappa = 4, for n = 50, 200, 800 and 10,000 (the last by a tenth of its agents)."""
    errors = []
    for agents in (50, 200, 800, 10_000):
        exact = Exact(voters(graphs.ring(agents), alpha=0.8), DISCOUNT)
        push = random_push(agents, 5)
        team = everybody(Linear(reward=rewards(0.0)), agents)
        asked = np.arange(0, agents, 1 if agents < 5000 else 10)
        full = exact.gradient(team, push)[asked]
        near = exact.truncated(team, push, [4], asked)[4]
        errors.append(np.linalg.norm(near - full) / np.linalg.norm(full))
    assert max(errors) / min(errors) < 1.1, errors


@pytest.mark.parametrize("kind", ["thirds", "kl", "entropy", "linear", "coverage"])
def test_the_optimum_is_certified_and_nobody_exceeds_it(kind):
    agents = 60
    exact = Exact(voters(graphs.torus(6, 10), alpha=0.8), DISCOUNT)
    team = objective(voter.Config(utility=kind), agents)
    best = exact.optimum(team)
    assert 0 <= best.gap < 1e-6
    assert exact.value(team, np.stack([best.push] * 2, axis=1)) == pytest.approx(best.value)
    for seed in range(5):
        assert exact.value(team, random_push(agents, seed)) <= best.bound


def test_ascent_on_exact_gradients_reaches_the_optimum():
    """Within 1e-4, from an even policy, with steps on logits of own-state tables."""
    agents = 30
    exact = Exact(voters(graphs.ring(agents), alpha=0.8), DISCOUNT)
    team = objective(THIRDS, agents)
    best = exact.optimum(team)
    logits = np.zeros((agents, 2))
    for _ in range(200):
        push = 1 / (1 + np.exp(-logits))
        logits = logits + 100 * agents * exact.gradient(team, push) * push * (1 - push)
    assert best.bound - exact.value(team, 1 / (1 + np.exp(-logits))) < 1e-4


def test_what_the_optimum_is_not_known_for():
    exact = Exact(voters(graphs.ring(5), alpha=0.8), DISCOUNT)
    with pytest.raises(UserError, match="only known for concave"):
        exact.optimum(everybody(Determinism(weight=np.ones(2)), 5))
    together = Linear(reward=np.array([[0.0, 1.0], [1.0, 0.0]]))
    with pytest.raises(UserError, match="one of these reads them together"):
        exact.optimum(everybody(together, 5))
    with pytest.raises(UserError, match="discount"):
        Exact(exact.network, 1.0)


def test_an_own_utility_has_an_optimum_too():
    exact = Exact(voters(graphs.ring(5), alpha=0.5), DISCOUNT)
    shape = Own(function=lambda x: -((x[1].sum() - 0.6) ** 2), is_concave=True)
    cost = Linear(reward=rewards(0.0) * 0 + np.array([[0.0, -0.05]]))
    team = everybody(Weighted(parts=(shape, cost), weights=(1.0, 1.0)), 5)
    best = exact.optimum(team)
    assert best.gap < 1e-6
    assert best.push.std() < 1e-3
    assert 0 < best.push[0] < 1


def test_targets_that_can_be_met_are_met():
    exact = Exact(voters(graphs.ring(20), alpha=0.8), DISCOUNT)
    team = everybody(Imitation(target=np.array([0.4, 0.6])), 20)
    best = exact.optimum(team)
    assert best.value == pytest.approx(0, abs=1e-6)
    ones = exact.occupied(np.stack([best.push] * 2, axis=1)).ones
    np.testing.assert_allclose(ones, 0.6, atol=1e-3)
