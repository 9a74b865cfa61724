"""Estimates against plain loops."""

import jax.numpy as jnp
import numpy as np
import pytest

from descant.ops import occupancy

TICKS, SCENARIOS, AGENTS = 6, 3, 4


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99])
def test_weights_of_ticks_sum_to_one_wherever_the_episode_ends(discount):
    for ticks in (1, 7, 50):
        weight = np.asarray(occupancy.tick_weights(discount, ticks))
        assert weight.sum() == pytest.approx(1, abs=1e-6)
        np.testing.assert_allclose(weight[1:], discount * weight[:-1], rtol=1e-5)


@pytest.mark.parametrize("shape", [(TICKS, SCENARIOS, AGENTS), (TICKS, 1, 1)])
def test_sums_by_cell_are_those_of_a_loop(rng, shape):
    cells = 5
    cell = rng.integers(0, cells, (TICKS, SCENARIOS, AGENTS))
    x = rng.normal(size=shape).astype(np.float32)
    truth = np.zeros((AGENTS, cells))
    for t, e, i in np.ndindex(cell.shape):
        truth[i, cell[t, e, i]] += np.broadcast_to(x, cell.shape)[t, e, i]
    found = occupancy.by_cell(jnp.asarray(x), jnp.asarray(cell), cells)
    np.testing.assert_allclose(found, truth, atol=1e-5)


def test_entries_are_read_by_cell(rng):
    cell = rng.integers(0, 5, (TICKS, SCENARIOS, AGENTS))
    table = rng.normal(size=(AGENTS, 5)).astype(np.float32)
    found = np.asarray(occupancy.at_cells(jnp.asarray(table), jnp.asarray(cell)))
    for t, e, i in np.ndindex(cell.shape):
        assert found[t, e, i] == table[i, cell[t, e, i]]


@pytest.mark.parametrize("tables", [1, AGENTS])
def test_occupancies_sum_over_what_is_seen_beside_the_own_state(rng, tables):
    """Two digits to base 3: the own state is the last."""
    visits = rng.dirichlet(np.ones(9), size=AGENTS).astype(np.float32)
    chances = rng.dirichlet(np.ones(2), size=(tables, 9)).astype(np.float32)
    truth = np.zeros((AGENTS, 3, 2))
    for i in range(AGENTS):
        for row in range(9):
            truth[i, row % 3] += visits[i, row] * chances[i % tables, row]
    found = occupancy.occupancy(jnp.asarray(visits), jnp.asarray(chances), 3)
    np.testing.assert_allclose(found, truth, atol=1e-6)
    np.testing.assert_allclose(np.sum(found, axis=(1, 2)), 1, atol=1e-6)


def test_what_follows_is_discounted_from_the_first_tick(rng):
    reward = rng.normal(size=(TICKS, SCENARIOS, AGENTS)).astype(np.float32)
    weighed = 0.7 ** np.arange(TICKS)[:, None, None] * reward
    truth = np.stack([weighed[t:].sum(axis=0) for t in range(TICKS)])
    np.testing.assert_allclose(occupancy.ahead(jnp.asarray(reward), 0.7), truth, atol=1e-5)


def test_others_are_all_but_the_own_scenario(rng):
    x = rng.normal(size=(TICKS, SCENARIOS, AGENTS)).astype(np.float32)
    found = np.asarray(occupancy.against_others(jnp.asarray(x)))
    for e in range(SCENARIOS):
        others = np.delete(x, e, axis=1).mean(axis=1)
        np.testing.assert_allclose(found[:, e], x[:, e] - others, atol=1e-5)
    alone = jnp.asarray(x[:, :1])
    np.testing.assert_array_equal(occupancy.against_others(alone), alone)
