from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.domains import pistonball
from descant.domains.pistonball.world import FASTEST, LEVELS, PATIENCE, WIDTH
from descant.domains.pistonball.world import pistonball as made
from descant.evaluate.episodes import score_rules

CONFIG = pistonball.Config(agents=7, noise=0.8)


def by_hand(config, height, x, v, push):
    """Where a ball on a profile of heights is after a tick, as a whole."""
    profile = 1.6 * height
    for kick in push:
        k = min(max(int(np.floor(x)), 0), len(height) - 2)
        slope = profile[k + 1] - profile[k] if 0 <= x < len(height) - 1 else 0.0
        v = np.clip(v + 0.05 * (-config.gravity * slope - config.friction * v + kick), -2, 2)
        x = x + 0.05 * v
        if x > len(height) - 1:
            x, v = 2 * (len(height) - 1) - x, -v
    return x, v


@pytest.fixture(scope="module")
def walk():
    """Of a random policy: states, actions, what followed, keys."""
    network = made(CONFIG)

    def tick(state, key):
        act_key, key = jax.random.split(key)
        action = jax.random.randint(act_key, (7,), 0, 3)
        after = network.move(key, state, action)
        paid = network.reward(state, action, after)
        return after, (state, action, after, paid, jax.random.key_data(key))

    start = network.first(jax.random.key(1))
    seen = jax.jit(lambda s, k: jax.lax.scan(tick, s, k)[1])(
        start, jax.random.split(jax.random.key(2), 60)
    )
    return [np.asarray(x) for x in seen]


def ball(state):
    """Place and speed of the ball, as all say that are near; None when it is gone."""
    over = state[:, 1] == 0
    if not over.any():
        return None
    places = np.arange(7)[over] + state[over, 2]
    np.testing.assert_allclose(places, places[0], atol=1e-5)
    np.testing.assert_allclose(state[over, 3], state[over, 3][0], atol=1e-6)
    return places[0], state[over, 3][0]


def test_what_pistons_know_each_for_itself_is_one_ball_on_one_profile(walk):
    looked = 0
    for state, action, after, _, key in zip(*walk, strict=True):
        height = np.clip(state[:, 0] + (action - 1) / 16, 0, 1)
        np.testing.assert_allclose(after[:, 0], height, atol=1e-6)
        now, then = ball(state), ball(after)
        if now is None:
            assert then is None
            continue
        push = 0.8 * np.asarray(jax.random.normal(jax.random.wrap_key_data(key), (10,)))
        x, v = by_hand(CONFIG, height, *now, push)
        if x <= 0:
            assert then is None and np.all(after[:, 1] == -1)
            continue
        assert then is not None
        np.testing.assert_allclose(then, (x, v), atol=1e-3)
        side = np.where(abs(x - np.arange(7)) <= 1, 0, np.sign(x - np.arange(7)))
        np.testing.assert_array_equal(after[:, 1], side)
        looked += 1
    assert looked > 10


def test_those_near_are_paid_for_the_way_to_the_left(walk):
    for state, _, after, paid, _ in zip(*walk, strict=True):
        if (now := ball(state)) is None or (then := ball(after)) is None:
            continue
        moved = now[0] - then[0]
        near = (abs(now[0] - np.arange(7)) <= 1) | (abs(then[0] - np.arange(7)) <= 1)
        pay = WIDTH * (0.5 * moved if moved > 0 else moved) * near - (after[:, 5] >= PATIENCE)
        np.testing.assert_allclose(paid, pay, atol=1e-3)
        assert abs(moved) <= 1 + 1e-5 and np.all(np.abs(after[:, 3]) <= FASTEST)


def test_a_ball_that_stays_costs_and_one_that_is_gone_costs_nothing():
    network = made(replace(CONFIG, noise=0.0))
    still = jnp.ones(7, jnp.int32)
    state = network.first(jax.random.key(0)).at[:, 0].set(0.5)
    pays = []
    move = jax.jit(lambda s: network.move(jax.random.key(0), s, still))
    for _ in range(4):
        after = move(state)
        pays.append(float(network.reward(state, still, after).sum()))
        state = after
    over = int((np.asarray(state)[:, 1] == 0).sum())
    assert pays == [0, 0, -over, -over]
    gone = state.at[:, 1].set(-1.0).at[:, 2:].set(0.0)
    after = move(gone)
    np.testing.assert_array_equal(after, gone)
    assert float(jnp.abs(network.reward(gone, still, after)).sum()) == 0


def test_the_wave_brings_the_ball_home_and_chance_does_not():
    domain = pistonball.make(pistonball.Config(horizon=60))
    keys = jax.random.split(jax.random.key(0), 8)
    scores = jax.jit(lambda keys: score_rules(domain, keys))(keys)
    pay = dict(zip(domain.rules, 60 * np.asarray(scores.reward).mean(axis=1), strict=True))
    # Nearly nine pistons' way, half of it paid to two or three that are near, to ten in the mean.
    assert 0.9 * 9 * 20 * 2 / 10 < pay["wave"] < 9 * 20 * 3.5 / 10
    assert pay["wave"] > pay["random"] and pay["wave"] > pay["still"]


def test_least_entropy_of_heights_is_a_constraint_where_it_is_asked_for():
    assert pistonball.make(CONFIG).constraint is None
    domain = pistonball.make(replace(CONFIG, entropy=2.0))
    assert domain.constraint is not None and domain.network is not None
    domain.constraint.check(7, LEVELS, 3)
    even = jnp.full((7, LEVELS, 3), 1 / (3 * LEVELS))
    one = domain.network.cells(jnp.zeros((7, 6)).at[:, 0].set(0.25))
    np.testing.assert_array_equal(one, jnp.zeros((7, LEVELS)).at[:, 4].set(1.0))
    assert domain.constraint.local(even).min() > 0.5
    assert domain.constraint.local(one[..., None].repeat(3, -1) / 3).max() < -1


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"agents": 2}, "domain.agents: expected at least 3"),
        ({"noise": -1.0}, "domain.noise: expected at least 0"),
        ({"start": 2.0}, "domain.start: expected 0 to 1"),
    ],
)
def test_values_out_of_range_are_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        pistonball.make(pistonball.Config(**changes))
