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


def test_shares_of_points_sum_to_one_and_tell_lines_exactly(rng):
    x = rng.uniform(size=(2, 7)).astype(np.float32)
    share = np.asarray(occupancy.hats(jnp.asarray(x), 5))
    np.testing.assert_allclose(share.sum(axis=-1), 1, atol=1e-6)
    np.testing.assert_allclose(share @ (3 - 2 * np.linspace(0, 1, 5)), 3 - 2 * x, atol=1e-5)
    beyond = np.asarray(occupancy.hats(jnp.array([-1.0, 2.0, 0.5]), 5))
    np.testing.assert_array_equal(beyond, np.eye(5)[[0, 4, 2]])


def test_polynomial_laws_have_the_means_of_what_was_counted(rng):
    share = rng.dirichlet(np.full(9, 5.0), size=3).astype(np.float32)
    law = np.asarray(occupancy.polynomial(jnp.asarray(share), 3))
    np.testing.assert_allclose(law.sum(axis=-1), 1, atol=1e-5)
    place = np.linspace(-1, 1, 9)[:, None] ** np.arange(1, 4)
    np.testing.assert_allclose(law @ place, share @ place, atol=5e-3)
    two = np.array([[0.3, 0.7]], np.float32)
    np.testing.assert_allclose(occupancy.polynomial(jnp.asarray(two), 3), two, atol=2e-3)
    sure = np.asarray(occupancy.polynomial(jnp.eye(9)[:1], 3))
    assert np.isfinite(sure).all() and sure[0, 0] > 0.9


def test_models_of_few_numbers_need_fewer_samples(rng):
    """Of a smooth law, 30 samples at a time: both are nearer than counting."""
    place = np.linspace(-1, 1, 15)
    truth = np.exp(place - 2 * place**2)
    truth /= truth.sum()
    share = jnp.asarray(rng.multinomial(30, truth, size=200) / 30, jnp.float32)
    errors = [
        float(np.abs(np.asarray(law) - truth).sum(axis=-1).mean())
        for law in (share, occupancy.polynomial(share, 2), occupancy.kernel(share, 0.08))
    ]
    assert errors[1] < 0.5 * errors[0] and errors[2] < 0.7 * errors[0], errors


def test_bells_lose_nothing_and_narrow_ones_change_nothing(rng):
    share = jnp.asarray(rng.dirichlet(np.ones(6), size=2), jnp.float32)
    wide = occupancy.kernel(share, 0.3)
    np.testing.assert_allclose(wide.sum(axis=-1), 1, atol=1e-6)
    assert np.abs(np.asarray(wide) - 1 / 6).max() < np.abs(np.asarray(share) - 1 / 6).max()
    np.testing.assert_allclose(occupancy.kernel(share, 1e-3), share, atol=1e-6)


def test_another_law_of_states_leaves_what_is_done_in_them():
    here = jnp.array([[[0.1, 0.3], [0.6, 0.0], [0.0, 0.0]]])
    law = jnp.array([[0.5, 0.25, 0.25]])
    found = np.asarray(occupancy.resorted(here, law))
    wanted = [[[0.125, 0.375], [0.25, 0.0], [0.175, 0.075]]]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_numbers_in_units_of_the_first_tick():
    found = occupancy.in_first_units(jnp.ones((3, 1, 2)), 0.5)
    np.testing.assert_allclose(found[:, 0, 0], [1, 0.5, 0.25])
