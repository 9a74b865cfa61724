import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import Tabular, rollout
from descant.ascent.terms import Guidance
from descant.ascent.together import Together, flatten
from descant.ascent.weigher import (
    Evidence,
    Weigher,
    adaptive,
    both,
    draws,
    follow,
    least_variance,
    most_aligned,
    planned,
    read,
    spread,
)
from descant.credit.schedules import Constant, Ramp
from descant.nets.policy import Independent
from toys import balance

AGENTS, BINS = 3, 4
POLICY = Independent(net=Tabular(jax.random.normal(jax.random.key(0), (AGENTS, BINS))))
HALF = jnp.float32(0.5)
EVERYBODY = jnp.arange(AGENTS)


def known(rewards, model, rho=0.0, mean=((1.0, 1.0), (1.0, 1.0)), doubt=0.0, other=0.0):
    """Evidence of two deviations and the correlation of two descent directions."""
    both = rho * rewards * model
    noise = jnp.array([[rewards**2, both], [both, model**2]], jnp.float32)
    mean = jnp.array(mean, jnp.float32)
    return Evidence(noise, mean, jnp.array([doubt, other], jnp.float32), jnp.float32(1))


@pytest.mark.parametrize(("rewards", "model"), [(3.0, 1.0), (1.0, 3.0), (2.0, 2.0)])
@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.2])
def test_least_variance_is_theorem_4_2(rewards, model, rho):
    """The published formula, whose correlation has the other sign, and the minimum on a grid."""
    got = float(least_variance(HALF, known(rewards, model, rho)))
    cross = -rho * rewards * model
    assert got == pytest.approx(
        (rewards**2 + cross) / (rewards**2 + model**2 + 2 * cross), rel=1e-5
    )
    grid = np.linspace(0, 1, 1001)
    variance = (1 - grid) ** 2 * rewards**2 + grid**2 * model**2 - 2 * grid * (1 - grid) * cross
    assert got == pytest.approx(grid[variance.argmin()], abs=1e-3)


@pytest.mark.parametrize("agrees", [0.5, 2.0, 4.0])
@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.3])
def test_most_aligned_is_where_the_blend_points_most_surely_where_the_rewards_do(agrees, rho):
    """The maximum on a grid of the squared cosine with the rewards' mean, noise included."""
    rewards, other = 3.0, 1.0
    mean = np.array([[4.0, agrees], [agrees, 9.0]])
    evidence = known(rewards, other, rho, mean)
    grid = np.linspace(0, 1, 1001)
    blends = np.stack([1 - grid, grid])
    size = np.einsum("ag,ab,bg->g", blends, mean + np.asarray(evidence.noise), blends)
    points = blends[0] * mean[0, 0] + blends[1] * agrees
    best = grid[(points**2 / size).argmax()]
    assert float(most_aligned(HALF, evidence)) == pytest.approx(best, abs=1e-3)


def test_a_value_that_knows_nothing_gets_no_weight_however_short_its_gradient_is():
    for length in (1.0, 1e-2, 1e-4):
        mean = [[1.0, 0.1 * length], [0.1 * length, length**2]]
        doubt = (0.06 * length) ** 2
        assert float(most_aligned(HALF, known(5.0, 0.0, 0.0, mean, other=doubt))) == 0
        sure = float(most_aligned(HALF, known(5.0, 0.0, 0.0, mean)))
        assert length * sure / (1 - sure) == pytest.approx(2.5, rel=0.1)


def test_least_variance_stays_a_weight():
    assert float(least_variance(HALF, known(1.0, 9.0, 0.9))) == 0
    assert float(least_variance(HALF, known(9.0, 1.0, 0.9))) == 1


def test_more_noise_in_the_rewards_is_more_weight_for_the_model():
    weights = [float(adaptive(HALF, known(noise, 1.0))) for noise in (0.1, 1, 10, 100)]
    assert weights == sorted(weights)
    assert weights[0] < 0.05
    assert weights[-1] > 0.99


def test_the_blend_does_not_depend_on_how_long_a_gradient_is():
    """Ten times the model's gradient gets a tenth of the odds, so the blend stays what it was."""

    def odds(length):
        mean = jnp.array([[1.0, 0.8 * length], [0.8 * length, length**2]])
        weight = float(adaptive(HALF, known(2.0, 0.5 * length, -0.1, mean)))
        return length * weight / (1 - weight)

    assert odds(10.0) == pytest.approx(odds(1.0), rel=1e-4)
    assert odds(0.01) == pytest.approx(odds(1.0), rel=1e-4)


def test_adaptive_is_theorem_4_2_where_both_are_of_one_length():
    evidence = known(3.0, 1.0, -0.2)
    assert float(adaptive(HALF, evidence)) == pytest.approx(float(least_variance(HALF, evidence)))


def test_without_a_sign_of_the_rewards_the_model_is_all_there_is():
    nothing = [[-0.1, 0.2], [0.2, 1.0]]
    assert float(adaptive(HALF, known(1.0, 1.0, 0.0, nothing))) == 1
    # A length of 1 that may as well be luck: two standard errors of its square are more.
    assert float(adaptive(HALF, known(1.0, 1.0, doubt=0.26))) == 1


def test_the_less_sure_the_rewards_are_the_more_the_model_weighs():
    weights = [float(adaptive(HALF, known(1.0, 1.0, doubt=d**2))) for d in (0, 0.2, 0.4, 0.49)]
    assert weights == sorted(weights)
    assert weights[0] == pytest.approx(0.5)
    # What is left of a squared length of 1 is 0.2: a length of 0.447 beside 1, with equal noise.
    assert weights[2] == pytest.approx(1 / (1 + 0.2**0.5), rel=1e-4)


def test_nothing_at_all_is_still_a_number():
    empty = Evidence(jnp.zeros((2, 2)), jnp.zeros((2, 2)), jnp.zeros(2), jnp.float32(1))
    for rule in (adaptive, least_variance, most_aligned):
        assert 0 <= float(rule(HALF, empty)) <= 1


def test_spread_is_unbiased():
    """Of known normal gradients, over many repetitions; and it knows how far it errs."""
    means = jnp.array([[1.0, 0.0, 2.0], [0.5, 1.0, 0.0]])
    mix = jnp.array([[1.0, 0.0], [0.6, 0.8]])

    def once(scale):
        def draw(key):
            noise = jax.random.normal(key, (4, 2, 3))
            return spread(scale * means[None] + jnp.einsum("ab,kbw->kaw", mix, noise))

        return jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(1), 4000))

    seen, plain = once(1.0)
    np.testing.assert_allclose(seen.noise.mean(0), 3 * mix @ mix.T / 4, atol=0.06)
    np.testing.assert_allclose(seen.signal.mean(0), means @ means.T, atol=0.1)
    np.testing.assert_allclose(plain.mean(0), means @ means.T + 3 * mix @ mix.T / 4, atol=0.1)
    # The jackknife says too much rather than too little, of four samples a third.
    assert 1 < float(seen.doubt[:, 1].mean() / seen.signal[:, 0, 1].var()) < 1.5
    nothing, _ = once(0.0)
    assert float(nothing.doubt[:, 0].mean()) == pytest.approx(
        float(nothing.signal[:, 0, 0].var()), rel=0.1
    )
    one = spread(jnp.ones((2, 2, 3)))[0]
    np.testing.assert_array_equal(one.doubt, [9, 9])


def test_averages_are_corrected_for_their_start():
    def seen(x, doubt):
        return Evidence(x * jnp.eye(2), x * jnp.eye(2), jnp.full(2, 1.0 * doubt), jnp.float32(1))

    nothing = jax.tree.map(jnp.zeros_like, seen(1, 1))
    np.testing.assert_array_equal(read(nothing).noise, jnp.zeros((2, 2)))
    once = follow(nothing, seen(1, 4), 0.9)
    np.testing.assert_allclose(read(once).noise, jnp.eye(2), rtol=1e-6)
    assert float(read(once).doubt[0]) == pytest.approx(4)
    twice = read(follow(once, seen(3, 4), 0.9))
    np.testing.assert_allclose(twice.signal, (0.9 * 1 + 3) / 1.9 * jnp.eye(2), rtol=1e-6)
    # Of two averages with weights 0.9 and 1.
    assert float(twice.doubt[1]) == pytest.approx(4 * (0.9**2 + 1) / 1.9**2)


def test_samples_are_of_one_scenario_each_and_of_ticks_in_which_somebody_acts():
    active = jnp.zeros((20, 3), bool).at[5:9, :].set(True)
    pick = jax.jit(draws, static_argnums=2)
    tick, scenario = pick(jax.random.key(0), active, 12)
    assert tick.shape == (3, 4)
    assert scenario.tolist() == [0, 1, 2]
    for row in np.asarray(tick):
        assert sorted(row) == [5, 6, 7, 8]
    assert pick(jax.random.key(0), active, 999)[0].shape == (3, 20)
    assert pick(jax.random.key(0), active, 1)[0].shape == (3, 1)


def test_a_single_scenario_is_cut_into_pieces():
    tick, scenario = jax.jit(draws, static_argnums=2)(
        jax.random.key(0), jnp.ones((50, 1), bool), 40
    )
    assert tick.shape == (8, 5)
    assert len(set(np.asarray(tick).ravel().tolist())) == 40
    assert not scenario.any()


@pytest.fixture(scope="module")
def given():
    """A rollout of the policy itself."""
    kept = rollout(agents=AGENTS, bins=BINS)
    said = jax.vmap(jax.vmap(POLICY.assess))(kept.observation, kept.action)
    return eqx.tree_at(lambda r: r.log_prob, kept, said.log_prob)


@pytest.fixture(scope="module")
def advantage(given):
    return jax.random.normal(jax.random.key(1), given.log_prob.shape)


def ascent(*terms):
    return Together(
        epochs=1,
        minibatch=4,
        minibatches=0,
        clip=0.2,
        norm=1e9,
        rate=Constant(level=0.1),
        entropy=Constant(level=0.0),
        terms=terms,
    )


def descended(ascent, batch, advantage):
    """The gradient that the ascent follows."""
    loss = lambda policy: ascent._loss(policy, batch, advantage, None, HALF)[0]  # noqa: E731
    return jax.tree.leaves(jax.jit(jax.grad(loss))(POLICY))[0].reshape(-1)


def beside(ascent, batch, advantage, slope):
    """The two gradients as they are measured."""
    return jax.jit(lambda policy: both(policy, ascent, batch, advantage, slope, EVERYBODY))(POLICY)


def term(level):
    return Guidance(model=balance.Levels(), weight=Constant(level=level), kind="expected")


def test_the_two_gradients_are_what_the_ascent_follows_at_weights_0_and_1(given, advantage):
    batch, advantage = flatten(given), advantage.reshape(-1, AGENTS)
    nothing = jnp.zeros_like(advantage)
    rewards, model = beside(ascent(term(1.0)), batch, advantage, nothing)
    np.testing.assert_allclose(rewards, descended(ascent(), batch, advantage), atol=1e-6)
    np.testing.assert_allclose(model, descended(ascent(term(1.0)), batch, nothing), atol=1e-6)
    assert float(jnp.abs(model).max()) > 1e-3
    slope = batch.probes["slope"]
    rewards, model = beside(ascent(), batch, advantage, slope)
    np.testing.assert_allclose(rewards, descended(ascent(), batch, advantage), atol=1e-6)
    np.testing.assert_allclose(model, descended(ascent(), batch, -slope), atol=1e-6)


def weigher(**changes):
    return Weigher(**{"guided": len, "rule": adaptive, "ticks": 6} | changes)


def weighed(weigher, given, advantage, evidence=None):
    call = jax.jit(
        lambda advantage, evidence, key: weigher(
            POLICY,
            ascent(term(1.0)),
            given,
            advantage,
            jnp.zeros_like(advantage),
            evidence,
            HALF,
            key,
        )
    )
    return call(advantage, evidence or weigher.init(), jax.random.key(2))


def test_a_plan_needs_no_evidence(given, advantage):
    plan = weigher(rule=planned(Ramp(start=1.0, stop=0.0)), ticks=0)
    weight, evidence, said = weighed(plan, given, advantage)
    assert float(weight) == 0.5
    assert float(evidence.gathered) == 0
    assert said.keys() == {"alpha"}


def test_a_plan_can_be_looked_at(given, advantage):
    plan = weigher(rule=planned(Ramp(start=1.0, stop=0.0)))
    weight, _, said = weighed(plan, given, advantage)
    assert float(weight) == float(said["alpha"]) == 0.5
    assert float(said["reward_variance"]) > 0
    assert -1 <= float(said["gradient_cosine"]) <= 1


def test_noise_in_the_advantage_moves_the_weight(given, advantage):
    rule = weigher(rule=least_variance)
    _, first, quiet = weighed(rule, given, 0.01 * advantage)
    _, second, wild = weighed(rule, given, advantage)
    assert float(second.noise[0, 0]) == pytest.approx(1e4 * float(first.noise[0, 0]), rel=1e-3)
    assert float(second.noise[1, 1]) == pytest.approx(float(first.noise[1, 1]), rel=1e-5)
    assert float(quiet["alpha"]) < float(wild["alpha"])
    assert float(quiet["guidance_gradient"]) == pytest.approx(float(wild["guidance_gradient"]))


def test_evidence_outlives_an_update(given, advantage):
    one, evidence, _ = weighed(weigher(), given, advantage)
    assert float(evidence.gathered) == pytest.approx(0.1)
    again, evidence, _ = weighed(weigher(), given, advantage, evidence)
    assert float(evidence.gathered) == pytest.approx(0.19)
    # The same samples once more change no average.
    assert float(again) == pytest.approx(float(one), rel=1e-4)
