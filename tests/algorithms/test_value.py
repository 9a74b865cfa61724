"""The learner that IQL, VDN, QMIX, QPLEX and FACMAC share."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import TINY
from descant.algorithms import facmac, iql, qmix, qplex
from descant.algorithms._value import Brain, Span, _loss, _recalled, _remember
from descant.core.errors import UserError
from descant.nets.joint import Apart
from descant.nets.mlp import whole_view
from descant.testing.contracts import check_algorithm
from descant.train.collect import collect, open_worlds
from toys import balance

TOY = balance.make(balance.Config(horizon=4, stop=0.2))
STEPS, SCENARIOS = 7, 3
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def seen():
    """An algorithm, its first learner, and a rollout in which episodes end in both ways."""
    return rolled(iql.make(replace(TINY, span=2, trace=0.5), TOY))


@pytest.fixture(scope="module")
def remembered():
    """The same with agents that remember, and whole rollouts from the replay."""
    config = replace(TINY, net="gru", chunk=0, trace=0.5, minibatch=2 * STEPS)
    algorithm, learner, rollout = rolled(iql.make(config, TOY))
    learner = replace(learner, ring=jax.jit(_remember)(learner.ring, rollout))
    return algorithm, learner, algorithm._drawn(learner, STEPS, KEY)


def rolled(algorithm):
    @jax.jit
    def roll(key):
        learner = algorithm.init(key)
        # The copy must be another network, or nobody could tell them apart.
        learner = replace(learner, target=jax.tree.map(lambda x: 0.9 * x, learner.target))
        worlds = open_worlds(TOY.env, key, SCENARIOS, memory=algorithm.begin(learner))
        learner = eqx.tree_at(lambda x: x.values.weight, learner, jnp.float32(1))
        learner = eqx.tree_at(lambda x: x.values.square, learner, jnp.float32(4))
        learner = replace(learner, paid=Span(jnp.float32(-1), jnp.float32(0.5)))
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
    value = jax.vmap(jax.vmap(lambda o: algorithm.value(learner, o)))
    after = jax.jit(value)(windows.observation)
    found = jax.jit(algorithm._targets)(learner, windows)
    np.testing.assert_allclose(found, by_hand(windows, after), rtol=1e-4, atol=1e-4)


def by_hand(windows, value):
    """Targets of sequences whose ticks have these values, [M V]."""
    windows, value = jax.tree.map(np.asarray, (windows, value))
    found = []
    for i, reward in enumerate(windows.reward):
        later, row = None, []
        for t in reversed(range(len(reward) - 1)):
            follows = windows.bootstrap[i, t] if windows.cut[i, t] else value[i, t + 1]
            if later is not None and not windows.cut[i, t]:
                follows = 0.5 * follows + 0.5 * later
            later = reward[t] + 0.99 * (1 - windows.terminated[i, t]) * follows
            row.insert(0, later)
        found += row
    return np.stack(found)


@pytest.mark.parametrize(("module", "sharing"), [(facmac, "separate"), (qplex, "shared")])
def test_the_contract_holds_for_agents_that_remember(module, sharing):
    base = replace(TINY, net="gru", sharing=sharing, chunk=2, burn=1)
    check_algorithm(lambda d: module.make(module.Config(base=base), d), TOY, steps=4)


def test_both_networks_are_unrolled_and_no_memory_crosses_an_end(remembered):
    """Tick after tick from what was kept at the first, and at every tick that follows an end."""
    algorithm, learner, drawn = remembered
    assert drawn.reward.shape == (2, STEPS + 1)
    value = jax.jit(lambda o: algorithm.value(learner, o))
    listen = jax.jit(lambda o: algorithm.listen(learner, o))
    values = []
    for i in range(2):
        memory, row = None, []
        for t in range(STEPS + 1):
            now = jax.tree.map(lambda x, at=(i, t): x[at], drawn)
            observation = now.observation
            if memory is not None:
                observation = replace(observation, memory=memory)
            heard = listen(observation)
            ended = now.terminated | now.cut
            memory = None if ended else heard.memory
            row.append(value(heard))
        values.append(row)
    assert (drawn.terminated | drawn.cut)[:, :-2].any()
    found = jax.jit(algorithm._targets)(learner, drawn)
    np.testing.assert_allclose(found, by_hand(drawn, jnp.array(values)), rtol=1e-4, atol=1e-4)


def test_what_came_before_an_end_changes_nothing_after_it(remembered):
    algorithm, learner, drawn = remembered
    end = int(jnp.argmax((drawn.terminated | drawn.cut)[0]))
    assert end < STEPS - 1

    @jax.jit
    def learnt(drawn):
        """From the last ticks alone."""
        late = jnp.arange(STEPS + 1) > end
        sequences = replace(drawn, counts=drawn.counts & late[None])
        target = algorithm._targets(learner, drawn)
        now = jax.tree.map(lambda x: x[:1, :-1], sequences)
        weight = now.counts[0, :, None] * jnp.ones((1, 3))
        slope = jax.grad(lambda b: _loss(b, now, target[:STEPS], weight, KEY)[0])(learner.brain)
        return target[end + 1 : STEPS], slope

    def other(x):
        return x.at[:, : end + 1].add(1.0) if x.dtype == jnp.float32 and x.ndim > 2 else x

    wild = replace(drawn, observation=jax.tree.map(other, drawn.observation))
    for x, y in zip(*map(jax.tree.leaves, (learnt(drawn), learnt(wild))), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7)


class Now(eqx.Module):
    """What a gated recurrent unit with shut gates is: a perceptron on the present."""

    listener: dict

    def __call__(self, observation):
        net = self.listener
        own = jnp.concatenate([observation.local, jnp.eye(3)], axis=-1)
        seen = jnp.tile(whole_view(observation)[None], (3, 1))
        x = jnp.concatenate([seen, own], axis=-1)
        x = jax.nn.relu(x @ net["embed"])
        return net["head"](jnp.tanh((x @ net["seen"])[:, -8:]))


def test_a_unit_with_shut_gates_is_a_network_without_memory(remembered):
    algorithm, learner, drawn = remembered
    net = learner.brain.joint.utilities
    ear = replace(
        net.ear,
        remembered=jnp.zeros_like(net.ear.remembered),
        bias=net.ear.bias.at[8:16].set(-1e4),
    )
    shut = Brain(Apart(replace(net, ear=ear)))
    parts = {"embed": ear.embed.weights[0], "seen": ear.seen, "head": net.head}
    plain = Brain(Apart(Now(parts)))

    @jax.jit
    def found(brain):
        target = algorithm._targets(replace(learner, brain=brain, target=brain), drawn)
        now = jax.tree.map(lambda x: x[:, :-1], drawn)
        slope = jax.grad(lambda b: _loss(b, now, target, jnp.ones_like(target), KEY)[0])(brain)
        return target, slope.joint.utilities

    target, slope = found(shut)
    wanted, same = found(plain)
    np.testing.assert_allclose(target, wanted, rtol=1e-5, atol=1e-5)
    pairs = (slope.ear.embed.weights[0], slope.ear.seen[:, -8:], slope.head)
    others = (same.listener["embed"], same.listener["seen"][:, -8:], same.listener["head"])
    for x, y in zip(*map(jax.tree.leaves, (pairs, others)), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)
        assert float(jnp.abs(x).max()) > 0


def test_burning_in_is_listening_again(remembered):
    """Ticks that come before bring any memory up to date, from the start of an episode on."""
    _, learner, drawn = remembered
    nets = learner.brain, learner.lagging
    ended = np.asarray(drawn.terminated | drawn.cut)[0]
    burn = int(np.flatnonzero(ended)[0]) + 3
    assert not ended[burn - 1]
    memory = jax.tree.map(lambda x: x.at[:, burn:].add(1.0), drawn.observation.memory)
    stale = replace(drawn, observation=replace(drawn.observation, memory=memory))
    fresh = _recalled(nets, stale, burn).observation.memory
    assert set(fresh) == {"actor", "copy of actor"}
    for name, kept in drawn.observation.memory.items():
        np.testing.assert_allclose(fresh[name][0, 0], kept[0, burn], rtol=1e-4, atol=1e-5)
    assert _recalled(nets, drawn, 0) is drawn


def test_values_are_in_units_of_reward(seen):
    algorithm, learner, rollout = seen
    observation = jax.tree.map(lambda x: x[0, 0], rollout.observation)
    raw = learner.target.joint(observation, learner.brain.choice(observation))
    np.testing.assert_allclose(algorithm.value(learner, observation), 2 * raw, rtol=1e-4)


@pytest.mark.parametrize(("mean", "bound"), [(1e4, 50), (-1e4, -100)])
def test_no_value_is_beyond_what_rewards_can_add_up_to(seen, mean, bound):
    """At a discount of 0.99, a hundred times the most and the least that a tick has brought."""
    algorithm, learner, rollout = seen
    observation = jax.tree.map(lambda x: x[0, 0], rollout.observation)
    learner = eqx.tree_at(lambda x: x.values.mean, learner, jnp.float32(mean))
    np.testing.assert_allclose(algorithm.value(learner, observation), bound, rtol=1e-4)


def test_least_and_most_rewards_are_kept_and_none_is_among_them(seen):
    algorithm, learner, rollout = seen
    better = replace(rollout, reward=1 + jnp.abs(rollout.reward))
    update = jax.jit(lambda r, x: algorithm.update(x, r, jnp.float32(0), KEY)[0])
    start = replace(learner, paid=Span(jnp.float32(0), jnp.float32(0)))
    paid = update(better, start).paid
    assert (float(paid.least), float(paid.most)) == (0, float(better.reward.max()))
    worse = replace(rollout, reward=-better.reward)
    assert float(update(worse, replace(start, paid=paid)).paid.least) == -float(paid.most)


def test_neither_the_actor_nor_the_value_moves_the_other(seen):
    _, learner, rollout = seen
    ticks = jax.tree.map(lambda x: x[:8, None], _remember(learner.ring, rollout).ticks)
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


def test_logits_are_held_by_those_that_count(seen):
    """By a plain loop: squares of legal ones, their mean for an agent, the sum of all who act."""
    _, learner, rollout = seen
    observation = jax.tree.map(lambda x: x[0, 0], rollout.observation)
    agents, actions = TOY.env.spec.agents, TOY.env.spec.actions
    mask = np.ones((agents, actions), bool)
    mask[0, 1:] = False
    active = np.arange(agents) != 1
    observation = replace(observation, mask=jnp.asarray(mask), active=jnp.asarray(active))
    logits = np.arange(agents * actions, dtype=np.float32).reshape(agents, actions) - 2
    brain = Brain(joint=learner.brain.joint, actor=lambda _: jnp.asarray(logits))
    wanted = sum(np.mean(logits[i][mask[i]] ** 2) for i in range(agents) if active[i])
    np.testing.assert_allclose(brain.strain(observation), wanted, rtol=1e-5)


def test_what_holds_logits_moves_the_actor_alone_and_towards_even_chances(seen):
    _, learner, rollout = seen
    ticks = jax.tree.map(lambda x: x[:8, None], _remember(learner.ring, rollout).ticks)
    brain = facmac.make(facmac.Config(base=TINY), TOY).make_brain(jax.random.key(0))
    given = ticks, jnp.ones((8, 1)), jnp.ones((8, 1)), jax.random.key(1)
    slope = jax.jit(jax.grad(lambda b, pull: _loss(b, *given, pull)[0]))
    free, held = slope(brain, 0.0), slope(brain, 1.0)
    for x, y in zip(*map(jax.tree.leaves, (free.joint, held.joint)), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
    last = jax.tree.map(jnp.subtract, held.actor, free.actor).rest.weights[-1]
    assert float(jnp.vdot(last, brain.actor.rest.weights[-1])) > 0


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
