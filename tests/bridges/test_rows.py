import jax.numpy as jnp
import numpy as np

from descant.bridges.rows import kinds, legal, views, world_row
from descant.core.types import Observation, Spec, World

SPEC = Spec(agents=2, actions=3, horizon=1, local=1, entities=2, features=1, globals=1)


def seen(present=None):
    return Observation(
        local=jnp.array([[1.0], [2.0]]),
        world=World(jnp.array([[3.0], [4.0]]), jnp.array([5.0]), present),
        mask=jnp.array([[False, True, True]]),
        active=jnp.array([True, False]),
    )


def test_a_world_is_one_row():
    np.testing.assert_array_equal(world_row(seen().world), [3, 4, 5])
    present = jnp.array([True, False])
    np.testing.assert_array_equal(world_row(seen(present).world), [3, 4, 5, 1, 0])


def test_agents_see_the_world_only_where_it_is_shared():
    np.testing.assert_array_equal(views(seen(), SPEC), [[1, 3, 4, 5], [2, 3, 4, 5]])
    alone = Spec(**(vars(SPEC) | {"shared": False}))
    np.testing.assert_array_equal(views(seen(), alone), [[1], [2]])


def test_who_rests_may_choose_the_first_action():
    np.testing.assert_array_equal(legal(seen(), SPEC), [[0, 1, 1], [1, 0, 0]])


def test_kinds_are_counted_only_where_agents_differ():
    assert kinds([(3, 5), (3, 5)]) == ()
    assert kinds([(3, 5), (11, 5), (3, 5)]) == (0, 1, 0)
