import numpy as np
import pytest

from descant.domains.matrix import Config
from descant.domains.matrix.payoffs import payoffs

SIZE = {"agents": 3, "actions": 4}


def test_the_climbing_game_punishes_whoever_climbs_alone():
    table = payoffs(Config(game="climb"))
    assert table.max() == table[0, 0] == 11
    assert table.min() == table[0, 1] == table[1, 0] == -30
    assert table[2, 2] == 5


def test_the_penalty_game_has_two_optima_and_pays_k_for_mixing_them():
    table = payoffs(Config(game="penalty", penalty=-100.0))
    assert (table == table.max()).sum() == 2
    assert table[0, 0] == table[2, 2] == 10
    assert table[0, 2] == table[2, 0] == -100
    assert table[1, 1] == 2


def test_the_games_of_table_5_differ_in_one_entry():
    a, b = (payoffs(Config(game=game)) for game in ("table5a", "table5b"))
    assert a.max() == a[0, 0] == 2
    assert a[2, 2] == 1
    assert np.argwhere(a != b).tolist() == [[1, 1]]
    assert b[1, 1] == 0.5


@pytest.mark.parametrize("game", ["random", "monotone"])
def test_a_random_game_is_known_by_its_number(game):
    one, same, other = (payoffs(Config(game=game, draw=draw, **SIZE)) for draw in (1, 1, 2))
    assert one.shape == (4, 4, 4)
    assert (one == same).all()
    assert (one != other).any()
    assert ((one >= 0) & (one < 1)).all()


@pytest.mark.parametrize("draw", range(10))
def test_in_a_monotone_game_each_agent_can_rank_its_actions_alone(draw):
    table = payoffs(Config(game="monotone", draw=draw, **SIZE))
    for axis in range(table.ndim):
        others = tuple(i for i in range(table.ndim) if i != axis)
        ranked = np.take(table, np.argsort(table.mean(axis=others)), axis=axis)
        assert (np.diff(ranked, axis=axis) >= 0).all()


def test_sorting_keeps_the_entries_and_mixes_the_rankings():
    drawn, ranked = (payoffs(Config(game=game, **SIZE)) for game in ("random", "monotone"))
    assert (np.sort(drawn.ravel()) == np.sort(ranked.ravel())).all()
    best = {
        np.unravel_index(payoffs(Config(game="monotone", draw=draw)).argmax(), (3, 3))
        for draw in range(20)
    }
    assert len(best) > 4
