"""Games learnt side by side, at sizes that take moments."""

import json

import numpy as np
import pytest

from descant.domains import matrix
from descant.domains.matrix.payoffs import payoffs
from descant.reproduce.maipg._learning import learn

WORLDS = tuple(matrix.Config(game="monotone", actions=2, draw=draw) for draw in range(2))


@pytest.fixture(scope="module")
def found():
    return learn(
        worlds=WORLDS,
        mixer="sum",
        spreads=(0.01, 3.0),
        weights=(0.0, 0.5, 1.0),
        seeds=2,
        updates=60,
    )


def test_every_spread_game_seed_and_weight_has_an_outcome(found):
    json.dumps(found)
    pays, chance = np.array(found["pays"]), np.array(found["chance"])
    assert pays.shape == chance.shape == (2, 2, 2, 3)
    assert ((chance > 0) & (chance <= 1)).all()
    tables = [payoffs(world) for world in WORLDS]
    assert found["best"] == pytest.approx([table.max() for table in tables])
    for i, table in enumerate(tables):
        assert np.isin(pays[:, i].astype(np.float32), table).all()


def test_undecided_agents_find_what_all_ways_lead_to(found):
    """At every weight; and they become sure of it."""
    pays, chance = np.array(found["pays"])[0], np.array(found["chance"])[0]
    np.testing.assert_allclose(pays, np.array(found["best"])[:, None, None] + 0 * pays, rtol=1e-6)
    assert (chance > 0.5).all()
