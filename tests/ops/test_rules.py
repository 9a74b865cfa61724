import equinox as eqx
import jax
import jax.numpy as jnp

from descant.core.domain import AbstractStateRule
from descant.core.types import Observation, World
from descant.ops.networked import State, where
from descant.ops.rules import always, anything, anything_legal, anywhere

SEEN = Observation(
    local=jnp.zeros((3, 1)),
    world=World(entities=jnp.zeros((0, 0)), globals=jnp.zeros((0,))),
    mask=jnp.ones((1, 4), bool),
    active=jnp.ones((3,), bool),
)


def test_anything_is_every_action_equally_often():
    keys = jax.random.split(jax.random.key(0), 4000)
    actions = jax.vmap(lambda key: anything(4)(None, SEEN, key))(keys)
    shares = jnp.mean(jax.nn.one_hot(actions, 4), axis=0)
    assert jnp.allclose(shares, 0.25, atol=0.03)


def test_anything_legal_is_every_legal_action_equally_often():
    mask = jnp.array([[True] * 4, [False, True, False, True], [True, False, False, False]])
    seen = eqx.tree_at(lambda o: o.mask, SEEN, mask)
    keys = jax.random.split(jax.random.key(0), 4000)
    actions = jax.vmap(lambda key: anything_legal(None, seen, key))(keys)
    shares = jnp.mean(jax.nn.one_hot(actions, 4), axis=0)
    assert jnp.allclose(shares, mask / mask.sum(axis=1, keepdims=True), atol=0.03)


def test_anywhere_is_all_over_the_cube():
    points = anywhere(4)(None, SEEN, jax.random.key(0))
    assert points.shape == (3, 4)
    assert float(jnp.min(points)) < -0.5 < 0.5 < float(jnp.max(points))
    assert float(jnp.max(jnp.abs(points))) <= 1


def test_always_is_one_for_all_or_one_for_each():
    assert always(2)(None, SEEN, jax.random.key(0)).tolist() == [2, 2, 2]
    assert always((0, 3, 1))(None, SEEN, jax.random.key(0)).tolist() == [0, 3, 1]


def test_rules_of_the_own_state_say_what_they_do():
    """What is drawn in each state comes as often as they say."""
    keys = jax.random.split(jax.random.key(0), 4000)
    local = jnp.array([0, 1, 1])
    for rule in (anything(4), always(2), always((0, 3, 1)), where([True, False])):
        assert isinstance(rule, AbstractStateRule)
        actions = jax.vmap(lambda key, rule=rule: rule(State(local, 0), SEEN, key))(keys)
        shares = jnp.mean(jax.nn.one_hot(actions, 4), axis=0)
        chances = rule.by_state(3, 2, 4)
        assert chances.shape == (3, 2, 4)
        assert jnp.allclose(shares, chances[jnp.arange(3), local], atol=0.03)
    assert not isinstance(anything_legal, AbstractStateRule)
