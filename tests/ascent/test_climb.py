from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import rollout
from descant.algorithms._actor_critic import flatten
from descant.ascent.climb import Climb
from descant.core.algorithm import Assessment
from descant.credit.schedules import Constant
from descant.ops.policies import gumbel

GIVEN = flatten(rollout(agents=3))
TICKS, AGENTS, ACTIONS = GIVEN.observation.mask.shape
WHO = jnp.arange(AGENTS)
LOGITS = jax.random.normal(jax.random.key(1), (TICKS, AGENTS, ACTIONS))


def value(observation, joint):
    """Of the actions and of their products: what one is worth hangs on the others, and on what
    there is to see."""
    first, second, third = joint
    more = jnp.sum(second[:2]) + jnp.sum(observation.local)
    return (jnp.vdot(first, jnp.arange(4.0)) * more + jnp.prod(1 + third[1:]))[None]


class Worth:
    """The same in two parts."""

    def look(self, observation):
        return jnp.sum(observation.local)

    def judge(self, observation, seen, joint):
        dark = eqx.tree_at(lambda o: o.local, observation, seen[None])
        return value(dark, joint)


def said(logits, who=WHO, aim=None):
    log_probabilities = jax.nn.log_softmax(jnp.where(GIVEN.observation.mask, logits, -1e9))
    probabilities = jnp.exp(log_probabilities)[:, who]
    zeros = jnp.zeros(probabilities.shape[:2])
    acts = GIVEN.observation.active[:, who]
    return Assessment(zeros, zeros, probabilities, acts, who, jnp.zeros_like(who), aim)


def term(**options):
    return Climb(**{"value": Worth(), "weight": Constant(level=0.5), "unit": 2.0, **options})


def batch(levels):
    return eqx.tree_at(lambda b: b.probes, GIVEN, {"luck": levels})


LUCKY = batch(jax.random.uniform(jax.random.key(2), (TICKS, AGENTS)))


@pytest.fixture(scope="module")
def by_decision():
    """Derivative of each decision's charge by all logits."""

    def charges(logits, hard, temperature):
        return term(hard=hard, temperature=temperature).each(said(logits), LUCKY)

    return {
        (hard, temperature): jax.jit(
            partial(jax.jacrev(charges), hard=hard, temperature=temperature)
        )(LOGITS)
        for hard, temperature in ((True, 1.0), (False, 0.5))
    }


@pytest.mark.parametrize(("hard", "temperature"), [(True, 1.0), (False, 0.5)])
def test_charges_add_up_to_minus_the_value(by_decision, hard, temperature):
    """The gradient is that of the value itself, through everybody's action at once."""
    one = term(hard=hard, temperature=temperature)

    def whole(logits):
        going = one._going(said(logits), LUCKY)
        acting = jnp.where(GIVEN.observation.active[..., None], going, 0.0)
        resting = jnp.where(GIVEN.observation.active[..., None], 0.0, going)
        joint = acting + jax.lax.stop_gradient(resting)
        return -2.0 * jnp.sum(jax.vmap(value)(GIVEN.observation, joint))

    wanted = jax.jit(jax.grad(whole))(LOGITS)
    assert float(jnp.max(jnp.abs(wanted))) > 0.1
    got = jnp.sum(by_decision[hard, temperature], axis=(0, 1))
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_no_decision_is_charged_for_another(by_decision):
    slope = by_decision[True, 1.0]
    others = ~jnp.eye(AGENTS, dtype=bool)[None, :, None, :, None]
    assert float(jnp.max(jnp.abs(jnp.where(others, slope, 0.0)))) == 0.0
    asleep = ~GIVEN.observation.active[:, :, None, None, None]
    assert float(jnp.max(jnp.abs(jnp.where(asleep, slope, 0.0)))) == 0.0


def test_some_agents_are_charged_as_among_all():
    some = jnp.array([0, 2])
    one = term(noise=False, hard=False)
    # Others do what they did, so two who go nowhere else are charged as if all were asked.
    sure = 50.0 * jax.nn.one_hot(GIVEN.action, ACTIONS)
    np.testing.assert_allclose(
        one.each(said(sure, some), GIVEN),
        one.each(said(sure), GIVEN)[:, some],
        rtol=1e-4,
        atol=1e-4,
    )


def test_luck_makes_draws_from_the_policy_and_the_same_each_time():
    count = 4000
    levels = jax.random.uniform(jax.random.key(3), (count, TICKS, AGENTS))
    draw = jax.jit(jax.vmap(lambda u: term()._going(said(LOGITS), batch(u))))
    first = draw(levels)
    np.testing.assert_array_equal(first, draw(levels))
    wanted = said(LOGITS).probabilities
    spread = jnp.sqrt(wanted * (1 - wanted) / count)
    off = jnp.abs(jnp.mean(first, axis=0) - wanted)
    assert bool(jnp.all(off <= 5 * spread + 1e-6)), float(jnp.max(off))


def test_what_is_kept_of_a_tick_is_as_good_as_looking_again():
    one, kept = term(), jax.vmap(Worth().look)(GIVEN.observation)
    noise = gumbel(LUCKY.probes["luck"], ACTIONS)
    bare = eqx.tree_at(lambda b: b.probes, GIVEN, {"noise": noise})

    def charges(kept):
        stored = eqx.tree_at(lambda b: b.outlook, bare, kept, is_leaf=lambda x: x is None)
        return one.each(said(LOGITS), stored)

    wanted = one.each(said(LOGITS), LUCKY)
    np.testing.assert_allclose(charges(kept), wanted, rtol=1e-6)
    # It is read, and not only carried along.
    assert float(jnp.max(jnp.abs(charges(kept + 1) - wanted))) > 0.01


def test_points_are_climbed_as_they_are():
    aim = jax.random.normal(jax.random.key(4), (TICKS, AGENTS, ACTIONS))
    slope = jax.grad(lambda aim: jnp.sum(term().each(said(LOGITS, aim=aim), GIVEN)))(aim)
    wanted = -2.0 * jax.vmap(jax.grad(lambda o, u: value(o, u)[0], argnums=1))(
        GIVEN.observation, aim
    )
    wanted = jnp.where(GIVEN.observation.active[..., None], wanted, 0.0)
    np.testing.assert_allclose(slope, wanted, rtol=1e-4, atol=1e-5)


def test_the_weighted_mean_over_those_who_act():
    loss, told = term(noise=False)(said(LOGITS), GIVEN, jnp.float32(0))
    each = term(noise=False).each(said(LOGITS), GIVEN)
    assert float(told["climbed"]) == pytest.approx(
        float(jnp.sum(each) / jnp.sum(GIVEN.observation.active)), rel=1e-5
    )
    assert float(loss) == pytest.approx(0.5 * float(told["climbed"]), rel=1e-5)
