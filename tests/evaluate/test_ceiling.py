import itertools

import numpy as np
import pytest
from scipy import optimize

from descant.core.errors import UserError
from descant.domains import epidemic
from descant.domains.epidemic.world import epidemic as infection
from descant.domains.tables.world import tables
from descant.domains.voter.exact import Exact
from descant.domains.voter.world import rewards, voters
from descant.evaluate.ceiling import ceiling, climbed, widened
from descant.evaluate.enumerated import enumerate_network
from descant.ops import graphs
from descant.ops.utility import Imitation, Linear, MeanVariance, dealt, everybody

REWARD = np.array([[0.0, -0.2], [-1.0, -1.2]])


def polytope(whole, reward):
    """The same by linear programming over joint occupancies."""
    x, u = len(whole.states), len(whole.actions)
    out = np.kron(np.eye(x), np.ones(u))
    into = whole.move.reshape(x * u, x).T
    team = whole.everywhere(np.broadcast_to(reward, (len(whole.states[0]), 2, 2))).mean(axis=0)
    found = optimize.linprog(
        -team.ravel(), A_eq=out - whole.discount * into, b_eq=(1 - whole.discount) * whole.start
    )
    return -found.fun


def test_linear_objectives_reach_the_linear_program():
    whole = enumerate_network(infection(graphs.line(3), epidemic.Config()), 0.9)
    found = ceiling(whole, everybody(Linear(reward=REWARD), 3), tolerance=1e-9)
    assert found.reached == pytest.approx(polytope(whole, REWARD), abs=1e-7)
    assert found.reached <= found.bound <= found.reached + 1e-9


def test_the_optimum_of_voters_lies_in_the_bracket():
    """Of all joint policies, found without the box, for imitation and cost in turn."""
    network = voters(graphs.ring(3), alpha=0.5)
    whole, exact = enumerate_network(network, 0.9), Exact(network, 0.9)
    target = Imitation(target=np.array([0.25, 0.75]))
    objective = dealt(3, {"kl": target, "linear": Linear(reward=rewards(0.3))})
    best = exact.optimum(objective)
    found = ceiling(whole, objective, rounds=200, tolerance=2e-4)
    assert found.reached - 1e-9 <= best.bound
    assert best.value <= found.bound + 1e-9
    assert found.bound - found.reached < 1e-3


def test_no_product_policy_exceeds_it():
    whole = enumerate_network(infection(graphs.line(3), epidemic.Config()), 0.9)
    objective = everybody(Imitation(target=np.array([0.95, 0.05])), 3)
    bound = ceiling(whole, objective, rounds=100).bound
    for seed in range(5):
        assert whole.value(objective, whole.logits(1, seed=seed, scale=3.0), 1) <= bound


def test_only_for_concave_objectives():
    whole = enumerate_network(voters(graphs.ring(3), alpha=0.5), 0.9)
    with pytest.raises(UserError, match="only known for concave"):
        ceiling(whole, everybody(MeanVariance(reward=REWARD), 3))


def test_climbing_ends_no_lower_than_any_certain_local_choice():
    """All 64 policies of three agents that are sure of what to do in each own state."""
    network = tables(graphs.line(3), coupling=1.0, sharp=2.0, seed=2)
    whole = enumerate_network(network, 0.9)
    objective = everybody(Linear(reward=network.table), 3, each=True)
    sure = [
        whole.value(objective, 50.0 * np.eye(2)[np.array(choice).reshape(3, 2)])
        for choice in itertools.product((0, 1), repeat=6)
    ]
    found = [climbed(whole, objective, whole.logits(0, seed=s)).value for s in range(3)]
    assert max(found) >= max(sure) - 1e-6
    assert max(found) > np.median(sure) + 0.01
    assert max(found) <= ceiling(whole, objective, tolerance=1e-9).bound


def test_who_sees_everybody_needs_no_agreement_for_a_linear_objective():
    whole = enumerate_network(infection(graphs.line(3), epidemic.Config(contagion=0.8)), 0.9)
    objective = everybody(Linear(reward=REWARD), 3)
    best = ceiling(whole, objective, tolerance=1e-9)
    near, far = (climbed(whole, objective, whole.logits(view, seed=0), view) for view in (0, 2))
    assert far.value == pytest.approx(best.reached, abs=1e-4)
    assert near.value < far.value - 1e-3


def test_a_wider_table_is_the_same_policy():
    whole = enumerate_network(infection(graphs.line(4), epidemic.Config()), 0.9)
    logits = whole.logits(1, seed=3)
    wide = widened(whole, logits, 1, 2)
    np.testing.assert_array_equal(whole.joint(wide, 2).policy, whole.joint(logits, 1).policy)
