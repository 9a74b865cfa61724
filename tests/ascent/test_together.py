import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from builders import Tabular, rollout
from descant.ascent.together import (
    Together,
    adam,
    chunks,
    crowds,
    flatten,
    fresh,
    minibatches,
)
from descant.core.errors import UserError
from descant.credit.schedules import Constant, Ramp
from descant.nets.policy import Independent

AGENTS, BINS = 3, 4
LOGITS = jax.random.normal(jax.random.key(0), (AGENTS, BINS))


@pytest.fixture(scope="module")
def given():
    return rollout(agents=AGENTS, bins=BINS)


@pytest.fixture(scope="module")
def advantage(given):
    return jax.random.normal(jax.random.key(1), given.log_prob.shape)


def ascent(**changes):
    knobs = {
        "epochs": 1,
        "minibatch": 4,
        "minibatches": 0,
        "clip": 0.2,
        "norm": 1e9,
        "rate": Constant(level=0.1),
        "entropy": Constant(level=0.03),
    }
    return Together(**knobs | changes)


def naive_loss(logits, batch, advantage, clip, bonus):
    """One agent of one tick after another."""
    total, count = 0.0, 0
    for b in range(batch.action.shape[0]):
        for n in range(AGENTS):
            if not batch.observation.active[b, n]:
                continue
            legal = batch.observation.mask[b, n]
            chances = jax.nn.softmax(jnp.where(legal, logits[n], -1e9))
            ratio = chances[batch.action[b, n]] / jnp.exp(batch.log_prob[b, n])
            worth = jnp.minimum(
                ratio * advantage[b, n], jnp.clip(ratio, 1 - clip, 1 + clip) * advantage[b, n]
            )
            spread = -jnp.sum(jnp.where(legal, chances * jnp.log(jnp.maximum(chances, 1e-30)), 0))
            total, count = total - worth - bonus * spread, count + 1
    return total / count


def test_loss_is_the_clipped_surrogate_agent_by_agent(given, advantage):
    batch, advantage = flatten(given), advantage.reshape(-1, AGENTS)
    batch = jax.tree.map(lambda x: x[:4], batch)

    def loss(logits):
        policy = Independent(net=Tabular(logits))
        return ascent()._loss(policy, batch, advantage[:4], None, jnp.float32(0))[0]

    value, gradient = jax.value_and_grad(loss)(LOGITS)
    wanted, direction = jax.value_and_grad(naive_loss)(LOGITS, batch, advantage[:4], 0.2, 0.03)
    assert float(value) == pytest.approx(float(wanted), rel=1e-4)
    np.testing.assert_allclose(gradient, direction, rtol=1e-3, atol=1e-6)


def test_one_step_is_adam_on_the_shortened_gradient(given, advantage):
    """One minibatch of everything: the new weights can be worked out."""
    together = ascent(minibatch=10, norm=0.01)
    policy = Independent(net=Tabular(LOGITS))
    moved, _, metrics = jax.jit(
        lambda key: together(policy, together.init(policy), given, advantage, jnp.float32(0), key)
    )(jax.random.key(0))

    def loss(logits):
        policy = Independent(net=Tabular(logits))
        return together._loss(
            policy, flatten(given), advantage.reshape(-1, AGENTS), None, jnp.float32(0)
        )[0]

    gradient = jax.grad(loss)(LOGITS)
    length = float(optax.tree.norm(gradient))
    assert length > 0.01
    assert float(metrics["gradient_norm"]) == pytest.approx(length, rel=1e-4)
    short = gradient * 0.01 / length
    wanted = LOGITS - 0.1 * short / (jnp.abs(short) + 1e-5)
    np.testing.assert_allclose(moved.net.logits, wanted, rtol=1e-4, atol=1e-5)


def test_who_rests_changes_nothing(given, advantage):
    together = ascent(epochs=2)
    policy = Independent(net=Tabular(LOGITS))
    run = jax.jit(
        lambda given, advantage: (
            together(
                policy, together.init(policy), given, advantage, jnp.float32(0), jax.random.key(0)
            )[0].net.logits
        )
    )
    rests = ~given.observation.active
    assert bool(rests.any())
    wild = eqx.tree_at(
        lambda r: (r.log_prob, r.action),
        given,
        (jnp.where(rests, -50.0, given.log_prob), jnp.where(rests, 0, given.action)),
    )
    np.testing.assert_array_equal(
        run(given, advantage), run(wild, jnp.where(rests, 1e6, advantage))
    )


def test_rate_follows_progress(given, advantage):
    together = ascent(rate=Ramp(start=0.1, stop=0.0))
    policy = Independent(net=Tabular(LOGITS))
    run = jax.jit(
        lambda progress: (
            together(policy, together.init(policy), given, advantage, progress, jax.random.key(0))[
                0
            ].net.logits
        )
    )
    assert float(jnp.abs(run(jnp.float32(0)) - LOGITS).max()) > 0.05
    np.testing.assert_array_equal(run(jnp.float32(1)), LOGITS)


def test_terms_add_to_the_loss(given, advantage):
    def term(said, batch, progress):
        return 2 * jnp.sum(said.log_prob[:, 0]) * progress, {"extra": progress}

    policy = Independent(net=Tabular(LOGITS))
    batch, rows = flatten(given), advantage.reshape(-1, AGENTS)
    plain, _ = ascent()._loss(policy, batch, rows, None, jnp.float32(0.5))
    loss, metrics = ascent(terms=(term,))._loss(policy, batch, rows, None, jnp.float32(0.5))
    log_prob = jax.vmap(policy.assess)(batch.observation, batch.action).log_prob
    assert float(loss - plain) == pytest.approx(float(jnp.sum(log_prob[:, 0])), rel=1e-4)
    assert float(metrics["extra"]) == 0.5


class TestMinibatches:
    key = jax.random.key(3)

    def rows(self, first, **knobs):
        return np.asarray(minibatches(self.key, jnp.asarray(first), **knobs))

    def test_every_epoch_sees_every_tick_once_in_another_order(self):
        rows = self.rows(np.ones(12, bool), epochs=3, size=4, count=0)
        assert rows.shape == (9, 4)
        epochs = rows.reshape(3, 12)
        for epoch in epochs:
            assert sorted(epoch) == list(range(12))
        assert not (epochs[0] == epochs[1]).all()

    def test_ticks_in_which_somebody_acts_come_first(self):
        first = np.arange(20) % 3 == 0
        rows = self.rows(first, epochs=2, size=3, count=2)
        assert first[rows].sum() == 12
        rows = self.rows(first, epochs=1, size=2, count=5)
        assert first[rows].sum() == 7
        assert first[rows].sum(axis=1).min() >= 1, "a minibatch without anybody who acts"

    def test_never_more_than_there_is(self):
        assert self.rows(np.ones(5, bool), epochs=1, size=99, count=99).shape == (1, 5)
        assert self.rows(np.ones(10, bool), epochs=2, size=4, count=9).shape == (4, 4)

    def test_all_ticks_are_as_likely(self):
        keys = jax.random.split(jax.random.key(0), 400)
        rows = jax.vmap(lambda k: minibatches(k, jnp.ones(10, bool), 1, 2, 1))(keys)
        count = np.bincount(np.asarray(rows).ravel(), minlength=10)
        assert abs(count - 80).max() < 5 * np.sqrt(80)


def test_flatten_keeps_ticks_together(given):
    flat = flatten(given)
    assert flat.action.shape == (10, AGENTS)
    np.testing.assert_array_equal(flat.action[2 * 3 + 1], given.action[3, 1])
    empty = flatten(rollout(world=False))
    assert empty.observation.world.entities.shape == (10, 0, 0)


def test_adam_starts_with_the_sign():
    move, _ = adam(1e9).update(jnp.array([3.0, -0.2]), adam(1e9).init(jnp.zeros(2)))
    np.testing.assert_allclose(move, [1, -1], rtol=1e-3)


def test_a_crowd_is_spread_evenly_and_takes_everybody_as_often():
    some = np.asarray(crowds(jax.random.key(0), 4000, 7, 3))
    assert some.shape == (4000, 2)
    assert (np.diff(some, axis=1) > 0).all()
    assert set(np.unique(np.diff(some, axis=1))) == {3, 4}
    share = np.bincount(some.ravel(), minlength=7) / 4000
    np.testing.assert_allclose(share, 2 / 7, atol=0.03)


def test_a_crowd_is_judged_as_in_the_whole(given, advantage):
    """The loss over all agents is the mean of the losses over crowds that together are all."""
    policy, batch = Independent(net=Tabular(LOGITS)), flatten(given)
    everybody = eqx.tree_at(
        lambda b: b.observation.active, batch, jnp.ones_like(batch.observation.active)
    )
    rows = advantage.reshape(-1, AGENTS)
    together = ascent()

    def loss(some):
        return float(together._loss(policy, everybody, rows, some, jnp.float32(0))[0])

    each = [loss(jnp.array([agent])) for agent in range(AGENTS)]
    assert np.mean(each) == pytest.approx(loss(None), rel=1e-4)


def test_an_actor_that_is_too_far_from_what_collected_rests(given, advantage):
    """The policy differs from the one that collected, so a tight bound lets nothing move."""
    policy = Independent(net=Tabular(LOGITS))

    def run(**bound):
        together = ascent(epochs=2, **bound)
        zero, key = jnp.float32(0), jax.random.key(0)
        moved, _, metrics = together(policy, together.init(policy), given, advantage, zero, key)
        return np.asarray(moved.net.logits), float(metrics["rested"])

    held, rested = run(trust=1e-9)
    np.testing.assert_array_equal(held, LOGITS)
    assert rested == 1
    free, never = run()
    assert never == 0
    assert np.abs(free - LOGITS).max() > 0.01
    np.testing.assert_array_equal(run(trust=1e9)[0], free)


class TestChunks:
    """Ticks in a row, for agents that remember."""

    def test_a_chunk_is_ticks_of_one_scenario_in_order(self):
        ticks, scenarios = 6, 2
        tree = jnp.arange(ticks)[:, None] + 100 * jnp.arange(scenarios)[None]
        ends = jnp.zeros((ticks, scenarios), bool).at[4, 1].set(True)
        pieces = chunks(tree, ends, 3)
        wanted = [[0, 1, 2], [100, 101, 102], [3, 4, 5], [103, 104, 105]]
        assert pieces.of.tolist() == wanted
        assert pieces.fresh.tolist() == [[True, False, False]] * 3 + [[True, True, False]]
        assert chunks(tree, ends, 0).of.shape == (scenarios, ticks)

    def test_chunks_come_out_even(self):
        lengths = {(25, 16): 5, (30, 16): 15, (128, 16): 16, (6, 40): 6, (7, 3): 1}
        for (ticks, most), length in lengths.items():
            pieces = chunks(jnp.zeros((ticks, 2)), jnp.zeros((ticks, 2), bool), most)
            assert pieces.of.shape == (2 * ticks // length, length)
        with pytest.raises(UserError, match="31 ticks cannot be cut into equal chunks of about 16"):
            chunks(jnp.zeros((31, 2)), jnp.zeros((31, 2), bool), 16)

    def test_an_episode_is_fresh_after_the_end_of_another(self, given):
        found = fresh(given)
        assert found[:, 0].tolist() == [True, False, False, True, False]
