import math

import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.network import Reach, codes, drawn, listed
from descant.domains import epidemic
from descant.domains.epidemic.world import epidemic as infection
from descant.domains.voter.world import voters
from descant.evaluate.enumerated import enumerate_network
from descant.ops import graphs


@pytest.fixture(scope="module")
def chains():
    line = graphs.line(5)
    networks = (voters(line, alpha=0.7), infection(line, epidemic.Config()))
    return [enumerate_network(network, 0.9) for network in networks]


@pytest.mark.parametrize("view", [0, 1, 2])
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("acts", [True, False])
def test_lags_are_the_first_at_which_an_action_is_felt(chains, which, view, acts):
    whole = chains[which]
    reward = np.random.default_rng(0).normal(size=(5, 2, 2))
    if not acts:
        reward[:, :, 1] = reward[:, :, 0]
    felt = whole.felt(whole.logits(view, seed=1), reward, 7, view)
    reach = whole.network.reach
    reach = Reach(states=reach.states, actions=reach.actions, acts=acts)
    for i in range(5):
        for j in range(5):
            lag = reach.lag(abs(i - j), view)
            assert np.all(felt[: int(min(lag, 7)), i, j] < 1e-15), (i, j, lag)
            assert lag >= 7 or felt[int(lag), i, j] > 1e-9, (i, j, lag)


def test_lags_and_delays_by_hand():
    voter, wireless, alone = Reach(), Reach(states=1, actions=1), Reach(states=0)
    assert [voter.lag(d) for d in range(4)] == [0, 2, 3, 4]
    assert [voter.delay(k) for k in range(3)] == [1, 2, 3]
    # A policy that sees a neighbour's state is one tick earlier, once.
    assert [voter.delay(k, view=1) for k in range(1, 4)] == [1, 2, 3]
    assert [wireless.delay(k, view=1) for k in range(5)] == [1, 1, 2, 2, 3]
    # Policies that see as far as the radius leave nothing to prove.
    assert all(wireless.delay(k, view=k) == voter.delay(k, view=k) == 1 for k in range(1, 5))
    assert alone.lag(1) == alone.delay(0) == math.inf
    assert Reach(reward=1).lag(1) == 0
    assert Reach(reward=1).delay(0) == 0


def test_lists_read_zero_where_there_is_nobody():
    near = jnp.asarray(graphs.line(3).balls(1).member)
    state = jnp.array([[1, 1, 1], [0, 1, 0]], jnp.int8)
    assert listed(state, near).tolist() == [
        [[1, 1, 0], [1, 1, 1], [1, 1, 0]],
        [[0, 1, 0], [1, 0, 0], [0, 1, 0]],
    ]
    assert codes(np.asarray(state), np.asarray(near), 2).tolist() == [[3, 7, 3], [2, 1, 2]]


def test_states_are_drawn_by_level():
    chances = jnp.array([[0.2, 0.3, 0.5]] * 4 + [[0.0, 1.0, 0.0]])
    level = jnp.array([0.0, 0.21, 0.49, 0.51, 0.999])
    assert drawn(chances, level).tolist() == [0, 1, 1, 2, 1]
