import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import Tabular, rollout
from descant.ascent.terms import Guidance, regrets, unit
from descant.ascent.together import flatten
from descant.core.algorithm import OVER_TICKS
from descant.credit.schedules import Constant, Ramp
from descant.nets.policy import Independent
from toys import balance

MODEL = balance.Levels()
AGENTS, BINS = 3, 4
LOGITS = jax.random.normal(jax.random.key(0), (AGENTS, BINS))
NONE = jnp.float32(0)


@pytest.fixture(scope="module")
def batch():
    """Ticks of the toy in which agents rest; every bin is open."""
    return flatten(rollout(agents=AGENTS, bins=BINS, closed=0.0))


def term(kind, batch, *, weight=1.0, limit=1e9):
    guide = Guidance(model=MODEL, weight=Constant(level=weight), kind=kind, limit=limit)

    def loss(logits):
        said = jax.vmap(Independent(net=Tabular(logits)).assess, 0, OVER_TICKS)(
            batch.observation, batch.action
        )
        if kind == "in turn":
            said = said._replace(known=said.who)
        return guide(said, batch, NONE)[0]

    return jax.jit(jax.value_and_grad(loss))


def masked(logits, active):
    return jax.nn.softmax(logits) * active[:, None]


def parallel(a, b):
    """The same direction, and by how much the first is longer."""
    ratio = float(jnp.vdot(a, b) / jnp.vdot(b, b))
    np.testing.assert_allclose(a, ratio * b, rtol=1e-3, atol=1e-4 * float(jnp.abs(a).max()))
    return ratio


def test_exact_descends_the_expected_potential_up_to_its_unit(batch):
    """The unit of regret and the mean over agents are a common factor; nothing else may change."""

    def mean_potential(logits):
        each = jax.vmap(lambda c, a: MODEL.expected(c, masked(logits, a)))
        return jnp.sum(each(batch.context, batch.observation.active))

    _, gradient = term("exact", batch)(LOGITS)
    assert parallel(gradient, jax.grad(mean_potential)(LOGITS)) > 0


def test_expected_sums_out_the_own_action(batch):
    """The mean over an agent's own action of score times what the action adds to the potential."""

    def agent_mean(logits, context, active, action, agent):
        def adds(choice):
            chosen = jax.nn.one_hot(action.at[agent].set(choice), BINS) * active[:, None]
            without = chosen.at[agent].set(0.0)
            return MODEL.potential(context, chosen) - MODEL.potential(context, without)

        def score(choice):
            return jax.grad(lambda x: jax.nn.log_softmax(x[agent])[choice])(logits)

        chances = jax.nn.softmax(logits[agent])
        return sum(chances[j] * adds(j) * score(j) for j in range(BINS))

    @jax.jit
    def sampled(logits):
        def tick(context, active, action):
            return sum(agent_mean(logits, context, active, action, i) for i in range(AGENTS))

        each = jax.vmap(tick)(batch.context, batch.observation.active, batch.action)
        return jnp.sum(each, axis=0)

    _, gradient = term("expected", batch)(LOGITS)
    assert parallel(gradient, sampled(LOGITS)) > 0


def test_in_turn_sums_out_the_own_action_given_those_before(batch):
    def tick(logits, context, action):
        return jnp.sum(jax.nn.softmax(logits) * MODEL.in_turn(context, action))

    def mean(logits):
        return jnp.sum(jax.vmap(tick, in_axes=(None, 0, 0))(logits, batch.context, batch.action))

    _, gradient = term("in turn", batch)(LOGITS)
    assert parallel(gradient, jax.grad(mean)(LOGITS)) > 0


@pytest.mark.parametrize("kind", ["exact", "expected", "in turn"])
def test_units_mean_nothing_and_weight_is_a_factor(batch, kind):
    once, gradient = term(kind, batch, limit=3.0)(LOGITS)
    tenfold = jax.tree.map(lambda x: 10 * x, batch.context)
    scaled = eqx.tree_at(lambda b: b.context, batch, tenfold)
    same, also = term(kind, scaled, limit=3.0)(LOGITS)
    np.testing.assert_allclose(once, same, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(gradient, also, rtol=1e-3, atol=1e-5)
    quarter, small = term(kind, batch, weight=0.25, limit=3.0)(LOGITS)
    np.testing.assert_allclose(quarter, 0.25 * once, rtol=1e-5)
    np.testing.assert_allclose(small, 0.25 * gradient, rtol=1e-4, atol=1e-7)


def test_weight_follows_progress(batch):
    guide = Guidance(model=MODEL, weight=Ramp(start=1.0, stop=0.0), kind="expected")
    said = jax.vmap(Independent(net=Tabular(LOGITS)).assess, 0, OVER_TICKS)(
        batch.observation, batch.action
    )
    full, half, none = (guide(said, batch, jnp.float32(p))[0] for p in (0, 0.5, 1))
    assert float(half) == pytest.approx(0.5 * float(full), rel=1e-5)
    assert float(none) == 0


def test_who_rests_and_what_is_illegal_count_nothing():
    slopes = jnp.array([[[1.0, 3.0, 100.0], [5.0, 5.0, 5.0]]])
    legal = jnp.array([[[True, True, False], [False, False, False]]])
    np.testing.assert_allclose(
        regrets(slopes, legal, 9.0, jnp.float32(1)), [[[0, 2, 0], [0, 0, 0]]]
    )


def test_clipping_and_nobody_at_all():
    slopes = jnp.zeros((1, 1, 100)).at[0, 0, 0].set(1.0)
    legal = jnp.ones((1, 1, 100), bool)
    assert float(jnp.max(regrets(slopes, legal, 3.0, jnp.float32(1e-9)))) == 3.0
    nothing = regrets(slopes, jnp.zeros((1, 1, 100), bool), 3.0, jnp.float32(1))
    assert float(jnp.abs(nothing).max()) == 0


def test_the_unit_is_what_the_policy_itself_expects_to_regret():
    """Two agents act and one rests; the median of two is their mean."""
    slopes = jnp.array([[[0.0, 2.0, 1000.0], [1.0, 1.0, 5.0], [0.0, 9.0, 9.0]]])
    legal = jnp.array([[[True] * 3, [True] * 3, [False] * 3]])
    chances = jnp.array([[[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [0.0, 0.0, 1.0]]])
    # Regrets 1 and 2: the choice that nobody makes any more does not count.
    assert float(unit(slopes, legal, chances)) == pytest.approx(1.5)


def test_the_unit_of_a_policy_without_regret_is_not_rounding():
    slopes = jnp.array([[[0.0, 1.0, 3.0]]])
    legal, sure = jnp.ones((1, 1, 3), bool), jnp.array([[[1.0, 0.0, 0.0]]])
    assert float(unit(slopes, legal, sure)) == pytest.approx(0.01, rel=1e-3)
