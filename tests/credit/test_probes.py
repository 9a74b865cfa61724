from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from descant.credit.probes import Difference, Gain, Luck, Slope
from descant.domains import balance as shares
from descant.domains import matrix
from descant.ops.guidance import slope, slope_before
from toys import balance

TOY = balance.make(balance.Config(agents=4))


def test_moments_of_the_slope():
    state, observation = TOY.env.reset(jax.random.key(3))
    action = jnp.array([1, 1, 3, 1])
    context = TOY.model.context(state)

    def measure(moment):
        return Slope(model=TOY.model, actions=4, moment=moment)(state, action, jax.random.key(0))

    after, before, sequential = map(measure, ("after", "before", "sequential"))
    np.testing.assert_array_equal(after, slope(TOY.model, context, action, 4))
    np.testing.assert_array_equal(before, slope_before(TOY.model, context, action, 4))
    chosen = jax.nn.one_hot(action, 4) * observation.active[:, None]
    rise = TOY.model.potential(context, chosen) - TOY.model.potential(context, 0 * chosen)
    np.testing.assert_allclose(jnp.sum(sequential), rise, rtol=1e-5)
    # The potential is convex: what one adds in turn lies between its slopes before and after.
    assert bool(jnp.all((before <= sequential + 1e-6) & (sequential <= after + 1e-6)))


@pytest.mark.parametrize("game", [{"game": "climb"}, {"game": "random", "agents": 3, "draw": 4}])
def test_a_difference_is_the_exact_counterfactual(game):
    """Of every joint action of a game, against the table itself."""
    domain = matrix.make(matrix.Config(**game))
    table, (state, _) = np.array(domain.env.payoff), domain.env.reset(jax.random.key(0))
    joint = np.array(list(product(range(3), repeat=table.ndim)))
    probe = Difference(env=domain.env, default=domain.default)
    ask = jax.jit(jax.vmap(lambda action: probe(state, action, jax.random.key(0))))
    got = ask(jnp.asarray(joint, jnp.int32))
    for action, gained in zip(joint, np.array(got), strict=True):
        for agent in range(table.ndim):
            without = [0 if j == agent else a for j, a in enumerate(action)]
            wanted = table[tuple(action)] - table[tuple(without)]
            np.testing.assert_allclose(gained[agent], wanted, rtol=1e-5, atol=1e-6)


def test_a_difference_is_free_of_the_chance_that_both_worlds_share():
    """Whatever is added to the reward by luck, the same luck is taken away again."""
    found = []
    for noise in (0.0, 10.0):
        domain = shares.make(shares.Config(agents=4, noise=noise))
        state, _ = domain.env.reset(jax.random.key(0))
        probe = Difference(env=domain.env, default=domain.default)
        found.append(jax.jit(probe.__call__)(state, jnp.array([1, 0, 2, 3]), jax.random.key(1)))
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-5)
    assert float(found[0][1]) == 0
    assert abs(float(found[0][0])) > 1e-3


DISCOUNT = 0.9


@pytest.fixture(scope="module")
def every_plan():
    """Returns of all fixed plans in a small world, plain and shaped, and potentials at the end."""
    toy = balance.make(balance.Config(agents=2, bins=2, horizon=3, idle=0.0, closed=0.0))
    env, gain = toy.env, Gain(env=toy.env, model=toy.model, discount=DISCOUNT, weight=2.0)
    start, _ = env.reset(jax.random.key(5))
    keys = jax.random.split(jax.random.key(6), 3)

    def play(actions):
        def tick(carry, now):
            state, factor = carry
            key, action = now
            paid = gain(state, action, key)[0]
            state, step = env.step(key, state, action)
            return (state, DISCOUNT * factor), factor * jnp.stack([step.reward, paid])

        (state, _), sums = jax.lax.scan(tick, (start, jnp.float32(1)), (keys, actions))
        return jnp.sum(sums, axis=0), gain._potential(state)

    plans = jnp.array(list(product(range(2), repeat=6)), jnp.int32).reshape(-1, 3, 2)
    sums, last = jax.jit(jax.vmap(play))(plans)
    return np.array(sums), np.array(last), float(gain._potential(start))


def test_shaping_telescopes(every_plan):
    sums, last, first = every_plan
    np.testing.assert_allclose(sums[:, 1], DISCOUNT**3 * last - first, rtol=1e-4, atol=1e-4)
    assert np.ptp(sums[:, 1]) > 0.1


def test_shaping_changes_no_order_of_plans(every_plan):
    """What follows the end is worth so much less to the shaped team; then all is as before."""
    sums, last, first = every_plan
    shaped = sums.sum(axis=1) - DISCOUNT**3 * last
    np.testing.assert_allclose(shaped - sums[:, 0], -first, rtol=1e-3, atol=1e-3)
    assert shaped.argmax() == sums[:, 0].argmax()


def test_after_an_end_nothing_has_a_potential():
    """A game ends with its first tick, so all that is left is what the start is worth."""
    toy = balance.make(balance.Config(agents=2, stop=1.0))
    gain = Gain(env=toy.env, model=toy.model, discount=DISCOUNT, weight=1.0)
    state, _ = toy.env.reset(jax.random.key(0))
    got = gain(state, jnp.array([0, 1]), jax.random.key(1))
    np.testing.assert_allclose(got, jnp.full(2, -gain._potential(state)), rtol=1e-6)


def test_luck_is_uniform_and_no_key_that_a_world_would_use():
    keys = jax.random.split(jax.random.key(0), 4000)
    luck = Luck(agents=2)
    drawn = np.array(jax.jit(jax.vmap(lambda k: luck((), jnp.zeros(2, int), k)))(keys))
    assert stats.kstest(drawn[:, 0], "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.06
    plain = np.array(jax.vmap(lambda k: jax.random.uniform(k, (2,)))(keys))
    assert abs(np.corrcoef(drawn[:, 0], plain[:, 0])[0, 1]) < 0.06
