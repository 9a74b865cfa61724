import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import rollout
from descant.ascent.together import flatten
from descant.ops import guidance
from toys import balance

MODEL = balance.Levels()
AGENTS, BINS = 3, 4


@pytest.fixture(params=range(3))
def context(request):
    level, target, size = jax.random.uniform(jax.random.key(request.param), (3, BINS))
    return balance.Context(level, 2 * target, size[:AGENTS].at[1].set(0.0))


@pytest.fixture
def mixed():
    return jax.nn.softmax(jax.random.normal(jax.random.key(7), (AGENTS, BINS)))


def test_blend():
    advantage, slope = jnp.array([1.0, -2.0]), jnp.array([0.5, 4.0])
    assert guidance.blend(advantage, slope, jnp.float32(0.25)).tolist() == [0.625, -2.5]
    assert guidance.blend(advantage, slope, jnp.float32(0)).tolist() == advantage.tolist()
    assert guidance.blend(advantage, slope, jnp.float32(1)).tolist() == (-slope).tolist()


def test_slopes_are_the_contracted_jacobian(context, mixed):
    jacobian = jax.jacobian(lambda a: MODEL.respond(context, a))(mixed)
    deviation = MODEL.respond(context, mixed) - context.target
    wanted = np.einsum("m,mna->na", MODEL.metric(context) * deviation, jacobian)
    np.testing.assert_allclose(guidance.slopes(MODEL, context, mixed), wanted, rtol=1e-5, atol=1e-6)


def test_slopes_are_finite_differences(context, mixed):
    slopes = guidance.slopes(MODEL, context, mixed)
    for agent, action in itertools.product(range(AGENTS), range(BINS)):
        step = jnp.zeros((AGENTS, BINS)).at[agent, action].set(0.25)
        rise = MODEL.potential(context, mixed + step) - MODEL.potential(context, mixed - step)
        assert float(rise) / 0.5 == pytest.approx(float(slopes[agent, action]), abs=1e-5)


def test_slope_follows_the_actions_and_slope_before_does_not(context):
    # Two agents on one bin: before they act, each adds to what is there; afterwards, to the other
    # too.
    action = jnp.array([2, 0, 2])
    size = np.asarray(context.size)
    gap = 2 * float(context.level[2] - context.target[2])
    before = guidance.slope_before(MODEL, context, action, BINS)
    after = guidance.slope(MODEL, context, action, BINS)
    np.testing.assert_allclose(before[jnp.array([0, 2])], gap * size[[0, 2]], rtol=1e-4, atol=1e-6)
    filled = gap + 2 * size.sum()
    np.testing.assert_allclose(
        after[jnp.array([0, 2])], filled * size[[0, 2]], rtol=1e-4, atol=1e-6
    )
    assert before[1] == after[1] == 0


def test_expected_slopes_differentiate_the_mean_over_all_joint_actions(context, mixed):
    joint = jnp.array(list(itertools.product(range(BINS), repeat=AGENTS)))
    worth = jax.vmap(lambda a: MODEL.potential(context, jax.nn.one_hot(a, BINS)))(joint)

    def mean(probabilities):
        chance = jnp.prod(probabilities[jnp.arange(AGENTS)[None], joint], axis=-1)
        return jnp.sum(chance * worth)

    def centred(slopes):
        return slopes - jnp.mean(slopes, axis=-1, keepdims=True)

    assert float(mean(mixed)) == pytest.approx(float(MODEL.expected(context, mixed)), rel=1e-5)

    # Probabilities add up to one, so slopes matter up to a constant per agent; the closed form has
    # another than the enumeration, and softmax drops both.
    def through(value):
        logits = jnp.log(mixed)
        return jax.grad(lambda x: value(jax.nn.softmax(x)))(logits)

    np.testing.assert_allclose(
        through(lambda p: MODEL.expected(context, p)), through(mean), rtol=1e-4, atol=1e-5
    )
    slopes = guidance.expected_slopes(MODEL, context, mixed)
    descent = mixed * (slopes - jnp.sum(mixed * slopes, axis=-1, keepdims=True))
    np.testing.assert_allclose(descent, through(mean), rtol=1e-4, atol=1e-5)


def test_expected_guidance_is_the_mean_of_sampled_guidance(context, mixed):
    """Summing out one's own action is what averaging the score function times the marginal tends
    to."""
    others = jnp.array([1, 3, 0])
    agent = 2

    def score(action):
        return jax.grad(lambda x: jax.nn.log_softmax(x)[action])(jnp.log(mixed[agent]))

    sampled = sum(
        float(mixed[agent, action])
        * score(action)
        * _adds(context, others.at[agent].set(action), agent)
        for action in range(BINS)
    )
    alternatives = MODEL.alternatives(context, others)[agent]
    expected = jax.grad(lambda x: jnp.sum(jax.nn.softmax(x) * alternatives))(jnp.log(mixed[agent]))
    np.testing.assert_allclose(sampled, expected, rtol=1e-4, atol=1e-6)


def _adds(context, action, agent):
    chosen = jax.nn.one_hot(action, BINS)
    return MODEL.potential(context, chosen) - MODEL.potential(context, chosen.at[agent].set(0.0))


def test_aligned_share_is_counted_over_ticks_in_which_somebody_acts():
    ticks = flatten(rollout(agents=AGENTS, bins=BINS, ticks=20, idle=0.7))
    acts = np.asarray(ticks.observation.active.any(-1))
    assert not acts.all()
    each = jax.vmap(MODEL.alignment)(ticks.context, ticks.action)
    got = guidance.aligned_share(MODEL, ticks, 1000)
    for term, aligned in each.items():
        share = np.asarray(aligned)[acts].mean()
        assert float(got[f"alignment_{term}"]) == pytest.approx(share, abs=1e-6)
    some = guidance.aligned_share(MODEL, ticks, 10)
    for term, aligned in each.items():
        share = np.asarray(aligned)[::4][acts[::4]].mean()
        assert float(some[f"alignment_{term}"]) == pytest.approx(share, abs=1e-6)


def test_grades_know_no_units_no_numbers_and_no_order():
    charge = jnp.array([3.0, -1.0, 0.5, 40.0, -0.99])
    legal = jnp.array([True, True, True, True, True])
    grade = guidance.grades(charge, legal)
    assert float(grade[1]) == 0.0
    np.testing.assert_array_equal(jnp.argsort(grade), jnp.argsort(charge))
    np.testing.assert_allclose(guidance.grades(7 * charge - 2, legal), grade, atol=1e-5)
    twice = guidance.grades(jnp.tile(charge, 2), jnp.tile(legal, 2))
    np.testing.assert_allclose(twice, jnp.tile(grade, 2), rtol=1e-5)
    mean = float(jnp.mean(charge) - charge[1])
    assert float(guidance.grades(jnp.array([0.0, mean, 2 * mean]), legal[:3])[1]) == pytest.approx(
        1
    )


def test_grades_count_legal_actions_only_and_are_finite():
    charge = jnp.array([1.0, 2.0, -50.0])
    legal = jnp.array([True, True, False])
    np.testing.assert_allclose(
        guidance.grades(charge, legal)[:2], guidance.grades(charge[:2], legal[:2])
    )
    for nothing in (legal & False, legal):
        assert jnp.all(jnp.isfinite(guidance.grades(jnp.zeros(3), nothing)))
