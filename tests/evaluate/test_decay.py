import math

import numpy as np
import pytest

from descant.core.errors import UserError
from descant.domains import epidemic
from descant.domains.epidemic.world import epidemic as infection
from descant.domains.tables.world import tables
from descant.domains.voter.world import voters
from descant.evaluate.decay import certificate, fitted_factor
from descant.evaluate.enumerated import enumerate_network
from descant.ops import graphs

ALPHA, DISCOUNT, SPREAD = 0.6, 0.9, 0.8


@pytest.fixture(scope="module")
def ring():
    return certificate(voters(graphs.ring(20), alpha=ALPHA), DISCOUNT)


def test_influence_of_voters_is_their_weights(ring):
    both, states, actions = (x.toarray() for x in ring.influence)
    weight = ALPHA * ring.network.graph.adjacency.toarray() / 2
    np.testing.assert_allclose(states, weight, atol=1e-7)
    np.testing.assert_allclose(actions, (1 - ALPHA) * SPREAD * np.eye(20), atol=1e-12)
    np.testing.assert_allclose(both, states + actions, atol=1e-7)
    assert ring.row_sum == pytest.approx(ALPHA + (1 - ALPHA) * SPREAD, abs=1e-7)


def test_the_best_rate_is_where_the_certificate_ends(ring):
    own = (1 - ALPHA) * SPREAD
    assert ring.growth(1.3) == pytest.approx(own + ALPHA * math.exp(1.3), abs=1e-6)
    assert ring.factor == pytest.approx(ALPHA / (1 / DISCOUNT - own), abs=1e-6)
    assert DISCOUNT * ring.growth(ring.rate) == pytest.approx(1, abs=1e-9)


def test_spectral_radius_of_voters(ring):
    even = np.full((20, 2, 2), 0.5)
    assert ring.spectral_radius(even) == pytest.approx(ALPHA, abs=1e-6)
    sure = np.tile(np.eye(2), (20, 1, 1))
    assert ring.spectral_radius(sure) == pytest.approx(ALPHA + (1 - ALPHA) * SPREAD, abs=1e-6)


def enumerated_influence(network, i, j):
    """By comparing laws at all joint states and actions that differ at one agent."""
    whole = enumerate_network(network, 0.5)
    law = whole.laws[:, :, i]
    most = np.zeros(3)
    for x, state in enumerate(whole.states):
        for u, action in enumerate(whole.actions):
            for s in range(network.states):
                for a in range(network.actions):
                    there, does = state.copy(), action.copy()
                    there[j], does[j] = s, a
                    y = np.flatnonzero((whole.states == there).all(axis=1))[0]
                    v = np.flatnonzero((whole.actions == does).all(axis=1))[0]
                    for k, other in enumerate((law[y, v], law[y, u], law[x, v])):
                        most[k] = max(most[k], 0.5 * np.abs(law[x, u] - other).sum())
    return most


@pytest.mark.parametrize(
    "network",
    [
        tables(graphs.line(3), coupling=0.7, seed=4),
        infection(graphs.line(3), epidemic.Config(contagion=0.7)),
    ],
    ids=["tables", "epidemic"],
)
def test_influence_is_the_most_that_enumeration_finds(network):
    found = certificate(network, 0.9).influence
    for i, j in ((0, 0), (0, 1), (1, 2), (0, 2)):
        np.testing.assert_allclose(
            [x.toarray()[i, j] for x in found], enumerated_influence(network, i, j), atol=1e-6
        )


def test_no_certificate_is_broken_by_what_is():
    """Measured decay of Q, of policies of the own state, against both bounds."""
    network = tables(graphs.line(5), coupling=0.3, sharp=0.5, seed=0)
    proof, whole = certificate(network, 0.8), enumerate_network(network, 0.8)
    assert 0 < proof.factor < 1
    reward = np.random.default_rng(0).random((5, 2, 2))
    for seed in range(3):
        joint = whole.joint(whole.logits(0, seed=seed, scale=3.0))
        decay = whole.decay(whole.action_values(joint, reward))
        spread = np.ptp(reward.reshape(5, -1), axis=1)
        for radius in range(decay.shape[1]):
            assert np.all(decay[:, radius] <= spread * proof.bound(radius))
            assert np.all(decay[:, radius] <= spread * proof.light_cone(radius))


def test_void_and_perfect_certificates():
    strong = certificate(tables(graphs.ring(6), coupling=1.0, sharp=3.0, seed=1), 0.95)
    assert strong.row_sum * 0.95 > 1
    assert strong.factor == 1.0
    assert strong.bound(3) == math.inf
    alone = certificate(tables(graphs.ring(6), coupling=0.0, seed=1), 0.9)
    assert alone.factor == 0.0
    assert alone.bound(0) == 0.0
    assert alone.light_cone(0) == 0.0


def test_a_fitted_factor_is_the_one_of_a_geometric_sequence():
    assert fitted_factor(3 * 0.4 ** np.arange(5)) == pytest.approx(0.4, rel=1e-12)


def test_what_cannot_be_certified_is_told():
    with pytest.raises(UserError, match="combinations of states and actions around an agent"):
        certificate(infection(graphs.tree(30, 29), epidemic.Config()), 0.9)
    with pytest.raises(UserError, match="discount: expected from 0 to below 1"):
        certificate(voters(graphs.ring(5), alpha=0.5), 1.0)
