"""Values that networks learn, against exact Q of networks that are enumerated."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.core.types import Signal
from descant.credit import neural
from descant.credit.neural import Foresight, Learning, Neural
from descant.domains.tables.world import tables
from descant.nets.around import worth
from descant.nets.table import Window
from descant.ops import graphs
from walks import AGENTS, DISCOUNT, REWARD, explained, rolled, undiscounted, walked

ZERO = jnp.float32(0)


@pytest.fixture(scope="module")
def mixing():
    return walked(tables(graphs.line(AGENTS), coupling=1.0, sharp=2.0, seed=1))


def link(radius, **options):
    window = Window(graphs.line(AGENTS), 2, radius)
    make = partial(worth, window=window, told=3, hidden=32, depth=1)
    return Neural(Learning(make, width=1, discount=DISCOUNT, rate=1e-2, **options), actions=2)


def judged(walk, radius, **options):
    """What is said of a part of a walk, and the link's state after it."""
    judging = link(radius, **options)
    part = jax.tree.map(lambda x: x[:, :500], replace(rolled(walk), context=()))
    signal = Signal(part.reward, walk.reward[:, :500], part.value)
    after, state = jax.jit(lambda s: judging(signal, part, jnp.float32(0), s))(
        judging.init(jax.random.key(0))
    )
    return undiscounted(after.advantage), state


@pytest.mark.parametrize("radius", [0, 2])
def test_values_tend_to_the_mean_of_q_given_what_is_nearby(mixing, radius):
    """With all in sight, Q itself; one network tells agents apart that want different things."""
    whole, joint = mixing.whole, mixing.joint
    values = whole.action_values(joint, REWARD)
    truth = whole._known(joint, REWARD, values, radius, "conditional")
    truth = truth[:, *mixing.places].transpose(1, 2, 0)[:, :500]
    found, _ = judged(mixing, radius, trace=1.0, steps=400)
    # The last ticks hardly know what follows.
    fit = explained(found[:10], truth[:10])
    assert np.all(fit > 0.95), fit
    if radius == 0:
        exact = mixing.values[:, :500]
        assert np.mean(explained(found[:10], exact[:10])) < np.mean(fit), "and not Q itself"


def test_targets_of_one_step_and_of_all(mixing):
    """By hand on three ticks; the last one is left as it is judged."""
    reward = jnp.array([1.0, 2.0, 4.0]).reshape(3, 1, 1)
    value = jnp.array([10.0, 20.0, 30.0]).reshape(3, 1, 1)
    one = link(0, trace=0.0, steps=1)._targets(value, reward)
    whole = link(0, trace=1.0, steps=1)._targets(value, reward)
    np.testing.assert_allclose(one.ravel(), [1 + 0.6 * 20, 2 + 0.6 * 30], rtol=1e-5)
    np.testing.assert_allclose(whole.ravel(), [1 + 0.6 * (2 + 0.6 * 30), 2 + 0.6 * 30], rtol=1e-5)


def foresight(radius, **options):
    window = Window(graphs.line(AGENTS), 2, radius)
    make = partial(worth, window=window, told=1, hidden=32, depth=1)
    return Foresight(Learning(make, width=1, discount=DISCOUNT, rate=1e-2, **options))


def test_values_of_states_tend_to_the_mean_of_what_follows(mixing):
    """With all in sight that is known exactly; what is left of returns knows no state."""
    whole, joint = mixing.whole, mixing.joint
    exact = np.einsum("xu,nxu->nx", joint.policy, whole.action_values(joint, REWARD))
    truth = exact[:, mixing.places[0]].transpose(1, 2, 0)[:, :500]
    link = foresight(2, trace=1.0, steps=1800)
    part = jax.tree.map(lambda x: x[:, :500], replace(rolled(mixing), context=()))
    signal = Signal(part.reward, mixing.reward[:, :500], part.value)
    start = link.init(jax.random.key(0))
    first, state = jax.jit(lambda s: link(signal, part, jnp.float32(0), s))(start)
    second, _ = jax.jit(lambda s: link(signal, part, jnp.float32(0), s))(state)
    unit = np.sqrt(np.mean(np.square(signal.advantage))) / (1 - DISCOUNT)
    values = unit * neural.judged(state.net, part.observation.local[..., :1])
    assert np.all(explained(values[:10], truth[:10]) > 0.95)
    before, after = (undiscounted(x.advantage)[:10] for x in (first, second))
    assert np.all(after.var(axis=(0, 1)) < 0.9 * before.var(axis=(0, 1)))
    assert abs(after.mean()) < 0.05 * after.std() < abs(before.mean())


def test_advantages_of_one_step_and_of_all():
    """By hand on three ticks; of the last one nothing is known."""
    reward = jnp.array([1.0, 2.0, 4.0]).reshape(3, 1, 1)
    value = jnp.array([10.0, 20.0, 30.0]).reshape(3, 1, 1)
    one = foresight(0, trace=0.0, steps=1)._advantages(value, reward)
    whole = foresight(0, trace=1.0, steps=1)._advantages(value, reward)
    np.testing.assert_allclose(one.ravel(), [1 + 0.6 * 20 - 10, 2 + 0.6 * 30 - 20], rtol=1e-5)
    np.testing.assert_allclose(
        whole.ravel(), [1 + 0.6 * (2 + 0.6 * 30) - 10, 2 + 0.6 * 30 - 20], rtol=1e-5
    )


@pytest.mark.parametrize("last", [8, 14])
def test_no_tick_is_left_out_of_what_values_learn_from(mixing, last):
    """Of 15 ticks with targets, in 8 shares; the pay of one turns, and nothing else does."""
    part = jax.tree.map(lambda x: x[:16, :4], replace(rolled(mixing), context=()))
    link = foresight(0, trace=0.0, steps=8)
    learn = jax.jit(lambda pay, s: link(Signal(part.reward, pay, part.value), part, ZERO, s)[1].net)
    pay = jnp.ones((16, 4, AGENTS))
    start = link.init(jax.random.key(0))
    one, other = (jax.tree.leaves(learn(x, start)) for x in (pay, pay.at[last].set(-1.0)))
    assert any(np.abs(a - b).max() > 1e-6 for a, b in zip(one, other, strict=True))


def test_values_of_states_want_two_ticks(mixing):
    part = jax.tree.map(lambda x: x[:1, :4], replace(rolled(mixing), context=()))
    link = foresight(0, trace=0.0, steps=1)
    with pytest.raises(UserError, match="at least two"):
        start = link.init(jax.random.key(0))
        link(Signal(part.reward, jnp.ones((1, 4, AGENTS)), part.value), part, ZERO, start)


def test_who_is_not_there_or_far_away_is_never_read():
    window = Window(graphs.line(AGENTS), 2, 1)
    net = worth(jax.random.key(0), window, 3, hidden=8, depth=1)
    told = jnp.ones((1, AGENTS, 3))
    slope = jax.jacobian(lambda x: net(x)[0])(told)
    felt = np.abs(np.asarray(slope)[:, 0]).sum(axis=-1) > 0
    assert felt.tolist() == [[True, True, False], [True, True, True], [False, True, True]]
