import dataclasses
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import observations
from descant.nets import set as sets
from toys import balance

KEY = jax.random.key(0)
ask = jax.jit(lambda net, *given: net(*given))


def given(seed=0, **config):
    config = balance.Config(**config)
    observation = observations(config, jax.random.key(seed), 1)
    return balance.make(config).env.spec, jax.tree.map(lambda x: x[0], observation)


@pytest.fixture(scope="module")
def net():
    """Weights as training may leave them: nothing is zero, the word on a pair is loud."""
    spec, _ = given()
    start = sets.pointer(KEY, spec, hidden=8)
    leaves, structure = jax.tree.flatten(start)
    keys = jax.random.split(KEY, len(leaves))
    moved = [x + 0.3 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
    return partial(ask, jax.tree.unflatten(structure, moved))


def reorder(observation, *, agents=None, entities=None):
    if agents is not None:
        observation = eqx.tree_at(
            lambda o: (o.local, o.mask, o.active),
            observation,
            (observation.local[agents], observation.mask[agents], observation.active[agents]),
        )
    if entities is not None:
        world = observation.world.entities[entities]
        observation = eqx.tree_at(lambda o: o.world.entities, observation, world)
    return observation


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_permuting_agents_permutes_logits(net, seed):
    _, observation = given(seed, agents=5)
    order = jax.random.permutation(jax.random.key(seed), 5)
    close(net(reorder(observation, agents=order)), net(observation)[order])


@pytest.mark.parametrize("seed", range(2))
def test_permuting_entities_permutes_actions(net, seed):
    _, observation = given(seed, bins=6)
    order = jax.random.permutation(jax.random.key(seed), 6)
    close(net(reorder(observation, entities=order)), net(observation)[:, order])


def test_permuting_entities_permutes_what_is_made_of_the_models_grades():
    spec, observation = given(bins=6)
    net = sets.pointer(KEY, spec, hidden=8, heed=0.0)
    net = eqx.tree_at(lambda n: n.heed, net, jnp.float32(0.7))
    grade, order = jax.random.uniform(KEY, (6,)), jax.random.permutation(KEY, 6)

    def score(observation, grade):
        table = net.table(observation)
        return net.score(table, jnp.int32(1), table.left, 6, grade)

    plain = score(observation, grade)
    close(score(reorder(observation, entities=order), grade[order]), plain[order])
    assert float(jnp.abs(score(observation, grade[order]) - plain).max()) > 1e-3


def test_entities_of_one_action_may_change_places(net):
    _, observation = given(bins=3, per_bin=2)
    drift = jax.random.normal(KEY, observation.world.entities.shape)
    observation = eqx.tree_at(lambda o: o.world.entities, observation, drift)
    swapped = jnp.array([1, 0, 3, 2, 5, 4])
    close(net(reorder(observation, entities=swapped)), net(observation))
    blocks = jnp.array([2, 3, 4, 5, 0, 1])
    close(net(reorder(observation, entities=blocks)), net(observation)[:, jnp.array([1, 2, 0])])
    mixed = jnp.array([0, 2, 1, 3, 4, 5])
    assert float(jnp.abs(net(reorder(observation, entities=mixed)) - net(observation)).max()) > 1e-3


@pytest.mark.parametrize(("agents", "bins"), [(1, 2), (7, 12), (2, 1)])
def test_the_same_weights_work_at_any_size(net, agents, bins):
    _, observation = given(agents=agents, bins=bins)
    logits = net(observation)
    assert logits.shape == (agents, bins)
    assert bool(jnp.all(jnp.isfinite(logits)))


def test_an_agent_is_blind_to_the_views_of_others(net):
    _, observation = given()
    changed = eqx.tree_at(lambda o: o.local, observation, observation.local.at[0].add(1.0))
    np.testing.assert_array_equal(net(changed)[1:], net(observation)[1:])
    assert float(jnp.abs(net(changed)[0] - net(observation)[0]).max()) > 1e-4


def test_it_can_see_whether_supply_is_enough(net):
    """At the moment when the demand exceeds what is left, the word on the pair jumps."""
    spec, observation = given(agents=1)
    demand = spec.supplies[0][0]

    def logits(size):
        return net(
            eqx.tree_at(lambda o: o.local, observation, observation.local.at[0, demand].set(size))
        )

    edge = float(observation.world.entities[0, spec.supplies[0][1]])
    jump = jnp.abs(logits(edge + 1e-4) - logits(edge - 1e-4))
    smooth = jnp.abs(logits(edge + 3e-4) - logits(edge + 1e-4))
    assert float(jump[0, 0]) > 10 * float(smooth[0, 0])


def test_a_domain_without_supplies_is_fine():
    spec, observation = given()
    bare = eqx.tree_at(lambda o: o.world.entities, observation, observation.world.entities[:, :2])
    spec = spec.__class__(**{**vars(spec), "supplies": (), "features": 2})
    assert ask(sets.pointer(KEY, spec, hidden=4), bare).shape == (3, 4)


def test_the_first_policy_is_close_to_uniform_among_what_fits():
    spec, observation = given(agents=6, bins=8)
    demand, left, _ = sets.supplies(observation, spec)
    fits = np.asarray(left[None, :, 0] >= demand[:, None, 0])
    assert fits.any()
    assert not fits.all()
    chances = np.asarray(jax.nn.softmax(ask(sets.pointer(KEY, spec), observation)))
    for row, there in zip(chances, fits, strict=True):
        assert row[there].max(initial=0) < 2 * row[there].min(initial=1)
        assert row[~there].max(initial=0) < 2 * row[~there].min(initial=1)
        if there.any() and not there.all():
            assert row[there].min() > 10 * row[~there].max()


class TestTake:
    """Who of the entities behind an action gives."""

    whole = jnp.array([[4.0, 4], [4, 4], [8, 8], [8, 8]])
    left = jnp.array([[3.0, 2], [1, 4], [2, 5], [8, 8]])

    def given_by(self, demand, action):
        after = sets.take(self.left, 1 / self.whole, jnp.array(demand), jnp.int32(action), 2)
        gave = np.asarray(self.left - after)
        who = np.flatnonzero(gave.any(axis=-1))
        assert (gave[who] == np.array(demand)).all()
        return who.tolist()

    def test_the_tightest_that_has_enough(self):
        assert self.given_by([1.0, 1.0], 0) == [1]
        assert self.given_by([2.0, 2.0], 0) == [0]
        assert self.given_by([1.0, 1.0], 1) == [2]

    def test_what_nobody_has_waits(self):
        assert self.given_by([4.0, 1.0], 0) == []
        assert self.given_by([9.0, 9.0], 1) == []

    def test_one_entity_per_action(self):
        for demand, left in (([1.0, 5.0], [1.0, 0.0]), ([9.0, 0.0], [2.0, 5.0])):
            after = sets.take(self.left, 1 / self.whole, jnp.array(demand), jnp.int32(2), 4)
            np.testing.assert_allclose(after, self.left.at[2].set(jnp.array(left)))


def test_pooled_critic_is_blind_to_order_and_size():
    spec, observation = given(bins=5)
    net = partial(ask, sets.pooled(KEY, spec, hidden=8))
    view = observation.local[0]
    order = jax.random.permutation(KEY, 5)
    close(net(reorder(observation, entities=order), view), net(observation, view))
    _, larger = given(bins=9)
    assert net(larger, view).shape == ()
    twice = jnp.concatenate([observation.world.entities] * 2)
    doubled = eqx.tree_at(lambda o: o.world.entities, observation, twice)
    close(net(doubled, view), net(observation, view))


def test_pooled_critic_of_a_world_without_entities():
    spec, observation = given(world=False)
    assert ask(sets.pooled(KEY, spec, hidden=4), observation, observation.local[0]).shape == ()


def test_who_is_absent_has_no_say():
    """Numbers of absent entities change neither the logits of those present nor the critic."""
    spec, observation = given(bins=6)
    present = jnp.array([True, True, True, True, False, False])
    wild = observation.world.entities.at[4:].set(50.0)
    net, critic = sets.pointer(KEY, spec, hidden=8), sets.pooled(KEY, spec, hidden=8)

    def say(entities):
        seen = eqx.tree_at(
            lambda o: (o.world.entities, o.world.present),
            observation,
            (entities, present),
            is_leaf=lambda x: x is None,
        )
        return ask(net, seen)[:, :4], ask(critic, seen, seen.local[0])

    for one, other in zip(say(observation.world.entities), say(wild), strict=True):
        close(one, other)
    fewer = eqx.tree_at(lambda o: o.world.entities, observation, wild[:4])
    fewer = eqx.tree_at(lambda o: o.mask, fewer, fewer.mask[:, :4])
    close(ask(net, fewer), say(wild)[0])
    close(ask(critic, fewer, fewer.local[0]), say(wild)[1])


def test_where_nothing_is_shared_the_whole_stays_out_of_sight():
    spec, observation = given()
    spec = dataclasses.replace(spec, shared=False)
    net = sets.pointer(KEY, spec, hidden=8)
    told = observation.world.globals + 1.0
    other = eqx.tree_at(lambda o: o.world.globals, observation, told)
    np.testing.assert_array_equal(ask(net, other), ask(net, observation))
