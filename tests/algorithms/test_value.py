"""The learner that IQL, VDN, QMIX, QPLEX and FACMAC share."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import TINY
from descant.algorithms import facmac, iql, qmix
from descant.algorithms._value import Brain, _loss, _remember
from descant.core.errors import UserError
from descant.train.collect import collect, open_worlds
from toys import balance

TOY = balance.make(balance.Config(horizon=4, stop=0.2))
STEPS, SCENARIOS = 7, 3


@pytest.fixture(scope="module")
def seen():
    """An algorithm, its first learner, and a rollout in which episodes end in both ways."""
    algorithm = iql.make(replace(TINY, span=2, trace=0.5), TOY)

    @jax.jit
    def roll(key):
        learner, worlds = algorithm.init(key), open_worlds(TOY.env, key, SCENARIOS)
        learner = eqx.tree_at(lambda x: x.values.weight, learner, jnp.float32(1))
        learner = eqx.tree_at(lambda x: x.values.square, learner, jnp.float32(4))
        given = algorithm, learner, TOY.env, worlds, key, STEPS
        return learner, collect(*given, renew=True)[1]

    learner, rollout = roll(jax.random.key(3))
    assert bool(rollout.terminated.any()) and bool(rollout.truncated.any())
    return algorithm, learner, rollout


def test_the_last_tick_counts_only_if_an_episode_ends_there(seen):
    _, learner, rollout = seen
    ticks = jax.jit(_remember)(learner.ring, rollout).ticks
    first = lambda x: np.asarray(x)[: STEPS * SCENARIOS].reshape(SCENARIOS, STEPS).T  # noqa: E731
    ended = np.asarray(rollout.terminated | rollout.truncated)
    counts, cut = first(ticks.counts), first(ticks.cut)
    assert counts[:-1].all()
    np.testing.assert_array_equal(counts[-1], ended[-1])
    np.testing.assert_array_equal(cut[:-1], rollout.truncated[:-1])
    assert cut[-1].all()
    np.testing.assert_array_equal(first(ticks.reward), rollout.reward)


def test_targets_are_those_of_a_plain_loop(seen):
    """Forecasts from the next tick, the stored value where it is of another episode."""
    algorithm, learner, rollout = seen
    ring = _remember(learner.ring, rollout)
    starts = np.arange(STEPS * SCENARIOS - 2)
    windows = jax.tree.map(lambda x: x[starts[:, None] + np.arange(3)], ring.ticks)
    found = jax.jit(algorithm._targets)(learner, windows).reshape(len(starts), 2, -1)
    value = jax.jit(jax.vmap(lambda o: algorithm.value(learner, o)))
    ticks = ring.ticks
    for start, row in zip(starts, np.asarray(found), strict=True):
        later = None
        for t in (start + 1, start):
            after = value(jax.tree.map(lambda x, t=t: x[t + 1 : t + 2], ticks.observation))[0]
            follows = ticks.bootstrap[t] if ticks.cut[t] else after
            if later is not None and not ticks.cut[t]:
                follows = 0.5 * follows + 0.5 * later
            later = ticks.reward[t] + 0.99 * (1 - ticks.terminated[t]) * follows
            np.testing.assert_allclose(row[t - start], later, rtol=1e-4, atol=1e-4)


def test_values_are_in_units_of_reward(seen):
    algorithm, learner, rollout = seen
    observation = jax.tree.map(lambda x: x[0, 0], rollout.observation)
    raw = learner.target.joint(observation, learner.brain.choice(observation))
    np.testing.assert_allclose(algorithm.value(learner, observation), 2 * raw, rtol=1e-4)


def test_neither_the_actor_nor_the_value_moves_the_other(seen):
    _, learner, rollout = seen
    ticks = jax.tree.map(lambda x: x[:8], _remember(learner.ring, rollout).ticks)
    algorithm = facmac.make(facmac.Config(base=TINY), TOY)

    @jax.jit
    def slopes(key):
        brain = algorithm.make_brain(key)
        given = ticks, jnp.ones((8, 1)), jnp.ones((8, 1)), key
        alone = jax.grad(lambda b: _loss(b, *given)[0])(Brain(brain.joint))
        return jax.grad(lambda b: _loss(b, *given)[0])(brain), alone

    both, alone = slopes(jax.random.key(0))
    for x, y in zip(*map(jax.tree.leaves, (both.joint, alone.joint)), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)
    assert all(float(jnp.abs(x).max()) > 0 for x in jax.tree.leaves(both.actor))


def test_exploration_falls_while_learning(seen):
    algorithm, learner, rollout = seen
    learn = jax.jit(
        lambda progress: algorithm.update(learner, rollout, progress, jax.random.key(0))
    )
    found = [float(learn(jnp.float32(p))[0].epsilon) for p in (0, 0.25, 0.5, 1)]
    np.testing.assert_allclose(found, [1, 0.525, 0.05, 0.05], rtol=1e-5)


def test_a_replay_that_holds_less_than_a_rollout_is_refused(seen):
    _, _, rollout = seen
    algorithm = qmix.make(qmix.Config(base=replace(TINY, replay=20)), TOY)
    with pytest.raises(UserError, match=r"^algorithm.replay: an iteration collects 21 ticks"):
        jax.eval_shape(
            lambda key: algorithm.update(algorithm.init(key), rollout, jnp.float32(0), key),
            jax.random.key(0),
        )


def test_there_is_no_gradient_to_take_apart(seen):
    algorithm, learner, rollout = seen
    assert algorithm.frozen(learner, rollout) is algorithm
    one = jax.tree.map(lambda x: x[0, 0], (rollout.observation, rollout.action))
    said = algorithm.policy(learner).assess(*one)
    with pytest.raises(UserError, match=r"^IQL does not climb .* MAPPO"):
        algorithm.parts(learner, said, rollout)
