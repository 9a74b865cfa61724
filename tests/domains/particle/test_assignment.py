from itertools import permutations

import jax
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from descant.domains.particle.assignment import assign, levels


@pytest.mark.parametrize("agents", [1, 2, 5])
def test_no_permutation_costs_less(agents):
    costs = np.random.default_rng(agents).random((200, agents, agents)).astype(np.float32)
    targets = np.asarray(jax.jit(jax.vmap(assign))(costs))
    assert (np.sort(targets, axis=1) == np.arange(agents)).all()
    every = np.array(list(permutations(range(agents))))
    rows = np.arange(agents)
    least = costs[:, rows, every].sum(axis=-1).min(axis=-1)
    found = np.take_along_axis(costs, targets[..., None], axis=-1)[..., 0].sum(axis=-1)
    np.testing.assert_allclose(found, least, rtol=1e-6)


def test_many_agents_as_the_hungarian_method_has_it():
    costs = np.random.default_rng(0).random((20, 10, 10)).astype(np.float32)
    for cost, found in zip(costs, np.asarray(jax.jit(jax.vmap(assign))(costs)), strict=True):
        assert found.tolist() == linear_sum_assignment(cost)[1].tolist()


def test_equal_costs_still_give_everybody_a_target_of_its_own():
    assert sorted(np.asarray(jax.jit(assign)(np.ones((4, 4), np.float32)))) == [0, 1, 2, 3]


def test_levels_hold_all_sets():
    sizes = [level.target.shape for level in levels(4)]
    assert sizes == [(4, 1), (6, 2), (4, 3), (1, 4)]
