import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.domains.particle import physics


def loops(position, velocity, actions, radius):
    """One tick with plain loops over pairs of agents, in double precision."""
    count = len(position)
    force = np.zeros((count, 2))
    push = {0: (0, 0), 1: (-1, 0), 2: (1, 0), 3: (0, -1), 4: (0, 1)}
    for i in range(count):
        force[i] += 5.0 * np.array(push[int(actions[i])])
        for j in range(count):
            if j != i:
                gap = position[i] - position[j]
                distance = np.hypot(*gap)
                overlap = np.logaddexp(0, (2 * radius - distance) / 0.001) * 0.001
                force[i] += 100 * overlap * gap / distance
    return position + 0.1 * velocity, 0.75 * velocity + 0.1 * force


@pytest.mark.parametrize("radius", [0.03, 0.15])
def test_an_episode_in_a_crowd_is_that_of_plain_loops(radius):
    rng = np.random.default_rng(3)
    position = rng.uniform(-0.2, 0.2, (5, 2))
    velocity = np.zeros((5, 2))
    actions = rng.integers(0, 5, (25, 5))
    tick = jax.jit(lambda p, v, a: physics.advance(p, v, physics.pushes(a), radius))
    for action in actions:
        # Contact is stiff: from the same place every tick, lest rounding grows.
        place, speed = np.float32(position), np.float32(velocity)
        ours = tick(place, speed, action)
        position, velocity = loops(np.float64(place), np.float64(speed), action, radius)
        np.testing.assert_allclose(ours[0], position, atol=1e-6)
        np.testing.assert_allclose(ours[1], velocity, atol=2e-4)


def test_a_push_shows_in_the_place_a_tick_later():
    place, speed = jnp.zeros((1, 2)), jnp.zeros((1, 2))
    right, seen = jnp.array([2]), []
    for _ in range(3):
        place, speed = physics.advance(place, speed, physics.pushes(right), 0.1)
        seen.append((float(place[0, 0]), float(speed[0, 0])))
    np.testing.assert_allclose(seen, [(0, 0.5), (0.05, 0.875), (0.1375, 1.15625)], rtol=1e-6)


def test_each_move_has_its_direction():
    place = jnp.arange(10.0).reshape(5, 2)
    _, speed = physics.advance(place, jnp.zeros((5, 2)), physics.pushes(jnp.arange(5)), 0.1)
    wanted = [(0, 0), (-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5)]
    np.testing.assert_allclose(speed, wanted, atol=1e-6)


def test_a_force_is_a_push_of_any_direction_within_the_square():
    force = jnp.array([[0.5, -0.25], [3.0, -2.0]])
    np.testing.assert_array_equal(physics.pushes(force), [[0.5, -0.25], [1.0, -1.0]])


def test_the_highest_speed_is_where_damping_takes_what_a_push_gives():
    place, speed = jnp.zeros((1, 2)), jnp.zeros((1, 2))
    for _ in range(60):
        place, speed = physics.advance(place, speed, physics.pushes(jnp.array([4])), 0.1)
    assert float(speed[0, 1]) == pytest.approx(0.1 * 5 / 0.25, rel=1e-4)


def test_contact_pushes_nobody_as_a_whole_and_only_who_is_near():
    position = jnp.array([[0.0, 0.0], [0.1, 0.05], [0.15, -0.1], [3.0, 3.0]])
    force = physics.contact(position, 0.15)
    np.testing.assert_allclose(jnp.sum(force, axis=0), 0, atol=1e-4)
    assert float(jnp.abs(force[3]).max()) == 0
    assert bool((jnp.abs(force[:3]).max(axis=1) > 1).all())


def test_two_in_the_same_place_stay_finite():
    force = physics.contact(jnp.zeros((2, 2)), 0.15)
    assert bool(jnp.isfinite(force).all())


def test_touching_is_mutual_and_nobody_touches_itself():
    position = jnp.array([[0.0, 0.0], [0.25, 0.0], [0.6, 0.0]])
    wanted = [[False, True, False], [True, False, False], [False, False, False]]
    assert physics.touching(position, 0.15).tolist() == wanted
