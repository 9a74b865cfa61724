from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.domains import traffic
from descant.domains.traffic.world import traffic as made
from descant.evaluate.episodes import score_rules
from descant.ops.networked import State

CONFIG = traffic.Config(rows=3, columns=2, capacity=4.0, turning=0.4, demand=0.9)
WAYS = {"south": (1, 0), "west": (0, -1), "north": (-1, 0), "east": (0, 1)}
"""In the order of approaches."""
SIDES = {"south": ("west", "east"), "west": ("south", "north"),
         "north": ("west", "east"), "east": ("south", "north")}  # fmt: skip


@pytest.fixture(scope="module")
def network():
    return made(CONFIG)


def by_hand(state, action, came):
    """Next queues and vehicles turned away, vehicle stream by vehicle stream."""
    where = {(i // 2, i % 2): i for i in range(6)}
    names = list(WAYS)
    after, leaves = state[:, :4].copy(), 0.0
    for (row, column), i in where.items():
        green = 1 - CONFIG.lost * (action[i] != state[i, 4])
        for approach, name in enumerate(names):
            if (name in ("south", "north")) != (action[i] == 0):
                continue
            flow = min(state[i, approach], CONFIG.saturation * green)
            after[i, approach] -= flow
            shares = {name: 0.6, SIDES[name][0]: 0.2, SIDES[name][1]: 0.2}
            for heading, share in shares.items():
                place = row + WAYS[heading][0], column + WAYS[heading][1]
                if place in where:
                    after[where[place], names.index(heading)] += share * flow
                else:
                    leaves += share * flow
    after += came
    away = np.maximum(after - CONFIG.capacity, 0).sum(axis=1)
    return np.minimum(after, CONFIG.capacity), away, leaves


def test_a_tick_is_that_of_a_plain_loop_and_no_vehicle_is_lost(network):
    move = jax.jit(lambda *given: network.move(*given))
    rng = np.random.default_rng(0)
    for seed in range(20):
        key = jax.random.key(seed)
        queues = rng.uniform(0, 4, (6, 4))
        phase, action = rng.integers(0, 2, (2, 6))
        state = np.concatenate([queues, phase[:, None], np.zeros((6, 1))], axis=1)
        came = np.asarray(jax.random.uniform(key, (6, 4)) < network.rate)
        found = np.asarray(move(key, jnp.asarray(state, jnp.float32), jnp.asarray(action)))
        after, away, leaves = by_hand(state, action, came)
        np.testing.assert_allclose(found[:, :4], after, atol=1e-5)
        np.testing.assert_array_equal(found[:, 4], action)
        np.testing.assert_allclose(found[:, 5], away, atol=1e-5)
        balance = queues.sum() + came.sum() - leaves - found[:, 5].sum()
        assert found[:, :4].sum() == pytest.approx(balance, abs=1e-4)


def test_vehicles_come_where_streets_enter_the_grid(network):
    rate = np.asarray(network.rate).reshape(3, 2, 4)
    enters = np.zeros((3, 2, 4), bool)
    enters[0, :, 0] = enters[:, -1, 1] = enters[-1, :, 2] = enters[:, 0, 3] = True
    assert np.array_equal(rate > 0, enters)
    spread = CONFIG.uneven * CONFIG.demand
    assert np.all(rate[enters] >= CONFIG.demand - spread - 1e-6) and np.all(rate <= 1)


def test_rules_by_hand():
    """One junction of three in a row has five vehicles from the east, whom the next would keep."""
    config = replace(CONFIG, rows=1, columns=3, turning=0.0, capacity=10.0)
    domain = traffic.make(config)
    seen = domain.env.reset(jax.random.key(0))[1]
    local = jnp.zeros((3, 6)).at[1, 1].set(5.0).at[1, 0].set(2.0).at[0, 1].set(4.0)
    state = State(local, jnp.int32(7))
    action = {
        name: np.asarray(rule(state, seen, jax.random.key(0)))
        for name, rule in domain.rules.items()
        if name != "random"
    }
    assert action["north-south"].tolist() == [0, 0, 0]
    assert action["fixed-time"].tolist() == [1, 1, 1]
    assert action["longest-queue"].tolist() == [1, 1, 0]
    # 5 less the 4 that wait ahead is not more than the 2 who would leave the grid.
    assert action["max-pressure"].tolist() == [1, 0, 0]


def test_signals_that_look_beat_those_that_do_not():
    domain = traffic.make(traffic.Config(horizon=150))
    keys = jax.random.split(jax.random.key(0), 4)
    scores = jax.jit(lambda keys: score_rules(domain, keys))(keys)
    pay = dict(zip(domain.rules, np.asarray(scores.reward).mean(axis=1), strict=True))
    assert pay["north-south"] < pay["random"] < pay["fixed-time"]
    assert pay["fixed-time"] < min(pay["longest-queue"], pay["max-pressure"])


@pytest.mark.parametrize("utility", ["fair", "spill"])
def test_utilities_read_how_full_junctions_are(utility):
    """Half empty, half full for a quarter of the time."""
    domain = traffic.make(replace(CONFIG, utility=utility))
    objective, network = domain.objective, domain.network
    assert objective is not None and network is not None
    objective.check(6, 9, 2)
    seen = jnp.zeros((2, 6)).at[0, :4].set(0.25).at[1, :4].set(0.75)
    share = network.cells(seen)
    here = jnp.broadcast_to((0.75 * share[0] + 0.25 * share[1])[:, None] / 2, (6, 9, 2))
    room = 0.75 * 0.75 + 0.25 * 0.25
    if utility == "fair":
        expected = np.log(room + 1e-2)
    else:
        # A quarter of the time is beyond the tenth that is allowed.
        left = (0.1 - 0.25) / 0.01
        expected = room - 0.01 * (0.5 * ((left - 2) ** 2 - 1) - np.log(0.01))
    assert float(objective.value(here)) == pytest.approx(expected, rel=1e-3)


def test_the_reward_counts_who_waits_and_who_is_turned_away(network):
    after = jnp.zeros((6, 6)).at[0, :4].set(1.5).at[1, 5].set(0.5)
    paid = network.reward(after, jnp.zeros(6, jnp.int32), after)
    assert paid.tolist() == [-6, -5, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rows": 0}, "domain.rows: expected at least 1"),
        ({"turning": 1.5}, "domain.turning: expected 0 to 1"),
        ({"capacity": 0.0}, "domain.capacity: expected above 0"),
        ({"budget": 1.0}, "domain.budget: expected above 0 and below 1"),
        ({"cells": 1}, "domain.cells: expected at least 2"),
        ({"margin": -1.0}, "domain.margin: expected at least 0"),
        ({"loss": -1.0}, "domain.loss: expected at least 0"),
        ({"demand_seed": -1}, "domain.demand_seed: expected at least 0"),
    ],
)
def test_values_out_of_range_are_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        traffic.make(traffic.Config(**changes))
