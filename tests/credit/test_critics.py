"""Fits against exact Q of networks that are enumerated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.credit.critics import Additive, Advantages, Tables, fixed_point
from descant.domains import epidemic
from descant.domains.tables.world import tables
from descant.domains.voter.world import voters
from descant.ops import graphs
from walks import AGENTS, DISCOUNT, REWARD, explained, rolled, undiscounted, walked


@pytest.fixture(scope="module")
def voting():
    return walked(voters(graphs.line(AGENTS), alpha=0.8))


@pytest.fixture(scope="module")
def mixing():
    return walked(tables(graphs.line(AGENTS), coupling=1.0, sharp=2.0, seed=1))


@pytest.mark.parametrize("radius", [0, 1])
def test_tables_are_the_fixed_point_of_temporal_differences(mixing, radius):
    whole, joint = mixing.whole, mixing.joint
    truth = whole._known(joint, REWARD, whole.action_values(joint, REWARD), radius, "td")
    truth = truth[:, *mixing.places].transpose(1, 2, 0)
    found = judged(mixing, radius, Tables, sweeps=40)
    assert np.abs(found - truth).mean() < 0.02 * truth.std()
    if radius == 0:
        exact = np.abs(mixing.values - truth).mean()
        assert np.abs(found - truth).mean() < 0.5 * exact, "and not Q itself"


def judged(walk, radius, kind, **options):
    """What a link makes of the rewards, with the discount taken out."""
    member = jnp.asarray(graphs.line(AGENTS).balls(radius).member)
    link, rollout = kind(member, 2, 2, DISCOUNT, **options), rolled(walk)
    return undiscounted(jax.jit(lambda x: link.changed(x, rollout))(walk.reward))


def test_advantages_with_a_full_view_and_no_trace_are_exact(mixing):
    """Q less V, in the mean over what follows: their mean given state and action."""
    found = judged(mixing, 2, Advantages, sweeps=40, trace=0.0)[:-1]
    joint, values = mixing.joint, mixing.whole.action_values(mixing.joint, REWARD)
    truth = values - np.einsum("nxu,xu->nx", values, joint.policy)[..., None]
    x, u = (z[:-1].ravel() for z in mixing.places)
    cell = 8 * x + u
    count = np.bincount(cell, minlength=64)
    for i in range(AGENTS):
        mean = np.bincount(cell, found[..., i].ravel(), 64) / np.maximum(count, 1)
        often = count > 200
        np.testing.assert_allclose(mean[often], truth[i].ravel()[often], atol=0.12)


@pytest.mark.parametrize("pairwise", [False, True])
def test_sums_of_tables_are_exact_for_voters(voting, pairwise):
    found = judged(voting, 2, Additive, pairwise=pairwise, ridge=1e-2)
    assert np.all(explained(found, voting.values) > 0.99)


def test_pairs_explain_more_of_an_epidemic():
    config = epidemic.Config(agents=AGENTS, graph="line", contagion=0.8, recovery=0.1, start=0.4)
    walk = walked(epidemic.make(config).network)
    single, pairs = (
        explained(judged(walk, 2, Additive, pairwise=pairwise, ridge=1e-2), walk.values)
        for pairwise in (False, True)
    )
    assert np.all(pairs > single) and np.all(pairs > 0.98)


def test_cells_that_nobody_visits_have_nothing():
    cell = jnp.zeros((4, 2, 1), jnp.int32)
    table = fixed_point(cell, jnp.ones((4, 2, 1)), 0.5, 3, 60)
    np.testing.assert_allclose(table, [[2, 0, 0]], atol=1e-6)
