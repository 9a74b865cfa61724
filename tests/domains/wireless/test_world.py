import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.algorithms import localised
from descant.core.errors import UserError
from descant.domains import wireless
from descant.domains.wireless.world import CORNERS, lucks, sized
from descant.domains.wireless.world import wireless as made
from descant.evaluate.episodes import score_rules
from descant.testing.contracts import check_domain
from descant.testing.networks import check_network

SMALL = {
    "a": sized(wireless.Config(variant="a", rows=2, columns=3, luck_seed=3)),
    "b": sized(wireless.Config(rows=3, columns=4, arrival=0.3)),
}


def by_hand(config, state, action):
    """Chance of success and law of the next state of every user, user by user."""
    luck, users = lucks(config), config.rows * config.columns * config.users
    goal, packet = [], []
    for user in range(users):
        row, column = divmod(user // config.users, config.columns)
        bits = [state[user] >> m & 1 for m in range(config.deadline)]
        first = bits.index(1) if any(bits) else None
        if action[user] == 0:
            goal.append(None)
            packet.append(None)
            continue
        slot, corner = divmod(action[user] - 1, 4)
        down, right = row + CORNERS[corner][0], column + CORNERS[corner][1]
        there = 0 <= down < config.rows - 1 and 0 <= right < config.columns - 1
        goal.append((down, right) if there else None)
        slot = slot if config.variant == "a" else first
        packet.append(slot if slot is not None and bits[slot] else None)
    chance, law = np.zeros(users), np.zeros((users, 2**config.deadline))
    for user in range(users):
        if goal[user] is not None and packet[user] is not None and goal.count(goal[user]) == 1:
            down, right = goal[user]
            chance[user] = luck[1 + down * (config.columns - 1) + right]
        for passed, new in itertools.product((0, 1), (0, 1)):
            left = state[user] - (passed and packet[user] is not None and 2 ** packet[user])
            after = left // 2 + new * 2 ** (config.deadline - 1)
            law[user, after] += (chance[user] if passed else 1 - chance[user]) * (
                config.arrival if new else 1 - config.arrival
            )
    return chance, law


@pytest.mark.parametrize("variant", ["a", "b"])
def test_laws_and_pay_are_those_of_a_plain_loop(variant):
    config = SMALL[variant]
    network = made(config)
    step = jax.jit(lambda s, a: (network.reward(s, a, s), network.chances(s, a)))
    rng = np.random.default_rng(0)
    for _ in range(50):
        state = rng.integers(0, network.states, network.graph.agents)
        action = rng.integers(0, network.actions, network.graph.agents)
        pay, law = step(jnp.asarray(state), jnp.asarray(action))
        chance, expected = by_hand(config, state.tolist(), action.tolist())
        np.testing.assert_allclose(pay, chance, atol=1e-6)
        np.testing.assert_allclose(law, expected, atol=1e-6)


@pytest.mark.parametrize("variant", ["a", "b"])
def test_laws_read_no_more_than_they_say(variant):
    check_network(made(SMALL[variant]))


def test_variant_a_is_a_domain_like_all_others():
    check_domain(wireless.make(SMALL["a"]))


def test_neighbours_are_those_who_share_a_point():
    for config in SMALL.values():
        network = made(config)
        first = np.asarray(network.traits.point)[:, 0, 1:]
        shared = [
            (i, j)
            for i, j in itertools.combinations(range(len(first)), 2)
            if set(first[i]) & set(first[j]) - {0}
        ]
        assert shared == [tuple(edge) for edge in network.graph.edges.tolist()]


def test_sizes_of_the_publications():
    first, second = (made(sized(wireless.Config(variant=v))) for v in ("a", "b"))
    assert (first.graph.agents, first.states, first.actions) == (24, 4, 9)
    assert (second.graph.agents, second.states, second.actions) == (25, 4, 5)
    points = np.asarray(second.traits.point)
    assert points.max() == 16
    assert second.graph.degree.max() == 8


def test_those_who_take_turns_beat_those_who_do_not():
    """An assigned user loses what fails twice: the pay of a tick solves its chain of packets."""
    domain = wireless.make(wireless.Config(horizon=200))
    keys = jax.random.split(jax.random.key(0), 4)
    scores = jax.jit(lambda keys: score_rules(domain, keys))(keys)
    pay = dict(zip(domain.rules, np.asarray(scores.reward).mean(axis=1), strict=True))
    assert pay["silent"] == 0
    assert pay["random"] < pay["aloha"] < pay["assigned"]
    assert pay["always-send"] < pay["assigned"]
    # States 00, 01, 10, 11 of an owner, as (late packet, early packet).
    fails = 0.2
    move = np.zeros((4, 4))
    for state, new in itertools.product(range(4), (0, 1)):
        stays = {0: 0.0, 1: 0.0, 2: fails, 3: 1.0}[state]
        move[state, 2 * new] += 0.5 * (1 - stays)
        move[state, 2 * new + 1] += 0.5 * stays
    share = np.linalg.matrix_power(move, 100)[0]
    assert pay["assigned"] == pytest.approx(16 / 25 * 0.8 * (1 - share[0]), rel=0.02)


def test_determinism_is_a_constraint_where_it_is_asked_for():
    assert wireless.make(SMALL["b"]).constraint is None
    domain = wireless.make(replace(SMALL["b"], determinism=0.3))
    assert domain.constraint is not None
    domain.constraint.check(12, 4, 5)
    rests, sends = (jnp.zeros((12, 4, 5)).at[:, 1, a].set(1.0) for a in (0, 3))
    np.testing.assert_allclose(domain.constraint.local(rests), -0.3, atol=1e-6)
    np.testing.assert_allclose(domain.constraint.local(sends), 0.2, atol=1e-6)


def test_localised_takes_it():
    algorithm = localised.make(localised.Config(credit_radius=1), wireless.make(SMALL["b"]))
    assert algorithm.paid is not None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rows": 1}, "domain.rows: expected 0 or at least 2, got 1"),
        ({"users": -1}, "domain.users: expected 0 or at least 1"),
        ({"horizon": -2}, "domain.horizon: expected 0 or at least 1"),
        ({"arrival": 1.5}, "domain.arrival: expected 0 to 1, got 1.5"),
        ({"deadline": 9}, "domain.deadline: expected 1 to 8, got 9"),
        ({"determinism": 0.6}, "domain.determinism: expected 0 to 0.5"),
        ({"luck_seed": -1}, "domain.luck_seed: expected at least 0"),
    ],
)
def test_values_out_of_range_are_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        wireless.make(wireless.Config(**changes))
