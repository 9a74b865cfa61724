import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.ops import utility as u

S, A = 3, 2
RNG = np.random.default_rng(7)
REWARD, COST = RNG.normal(size=(S, A)), RNG.random((S, A))
PAY = RNG.random((S, A))
TARGET = np.array([0.2, 0.0, 0.8])
FEATURES = RNG.normal(size=(S, A, 4))
D = 1e-2


def nu(x):
    return x.sum(axis=1)


def spread(g):
    return np.broadcast_to(g[:, None], (S, A))


def tail(x, share=0.3):
    """The quantile of the reward under an occupancy."""
    order = np.argsort(REWARD.ravel())
    below = np.cumsum(x.ravel()[order])
    return REWARD.ravel()[order][np.argmax(below >= share)]


def barrier(left, slack=0.1, weight=0.5):
    return weight / left if left >= slack else -weight * (left - 2 * slack) / slack**2


def smooth(m):
    return jnp.log(1 + jnp.sum(m**2))


def table():
    """Each with its gradient as the formula has it."""
    return {
        "linear": (u.Linear(reward=REWARD), lambda x: REWARD),
        "entropy": (u.Entropy(delta=D), lambda x: spread(-np.log(nu(x) + D) - 1)),
        "quadratic": (u.QuadraticEntropy(), lambda x: spread(-nu(x))),
        "kl": (
            u.Imitation(target=TARGET, delta=D),
            lambda x: spread(-np.log((nu(x) + D) / (TARGET + D)) - 1),
        ),
        "coverage": (
            u.Coverage(target=TARGET, delta=D),
            lambda x: spread((TARGET + D) / (nu(x) + D)),
        ),
        "l2": (u.Matching(target=TARGET), lambda x: spread(TARGET - nu(x))),
        "penalty": (
            u.Penalty(cost=COST, budget=0.3, weight=2.0),
            lambda x: -2 * max((COST * x).sum() - 0.3, 0) * COST,
        ),
        "soft penalty": (
            u.SoftPenalty(cost=COST, budget=0.3, weight=2.0, sharpness=5.0),
            lambda x: -2 / (1 + math.exp(-5 * ((COST * x).sum() - 0.3))) * COST,
        ),
        "barrier": (
            u.Barrier(cost=COST, budget=0.5, weight=0.5, slack=0.1),
            lambda x: -barrier(0.5 - (COST * x).sum()) * COST,
        ),
        "shortfall": (
            u.Shortfall(utility=u.Entropy(delta=D), least=2.0, weight=3.0),
            lambda x: (
                3 * (2 + np.sum((nu(x) + D) * np.log(nu(x) + D))) * spread(-np.log(nu(x) + D) - 1)
            ),
        ),
        "margin": (
            u.Margin(utility=u.Entropy(delta=D), least=0.3),
            lambda x: spread(-np.log(nu(x) + D) - 1),
        ),
        "mean-variance": (
            u.MeanVariance(reward=REWARD, aversion=0.7),
            lambda x: REWARD - 0.7 * (REWARD**2 - 2 * REWARD * (REWARD * x).sum()),
        ),
        "cvar": (
            u.LowerTail(reward=REWARD, share=0.3),
            lambda x: -np.maximum(tail(x) - REWARD, 0) / 0.3,
        ),
        "log": (u.Fair(reward=PAY, delta=D), lambda x: PAY / ((PAY * x).sum() + D)),
        "alpha-fair": (
            u.Fair(reward=PAY, aversion=2.5, delta=D),
            lambda x: PAY * ((PAY * x).sum() + D) ** -2.5,
        ),
        "determinism": (
            u.Determinism(weight=np.array([0.0, 1.0])),
            lambda x: np.broadcast_to(np.array([0, x[:, 1].sum()])[None], (S, A)),
        ),
        "weighted": (
            u.Weighted(parts=(u.Linear(reward=REWARD), u.QuadraticEntropy()), weights=(-2.0, 0.5)),
            lambda x: -2 * REWARD - 0.5 * spread(nu(x)),
        ),
        "own": (
            u.Own(function=lambda x: jnp.sum(jnp.sqrt(x + 0.1)), is_concave=True, limit=2.0),
            lambda x: 0.5 / np.sqrt(x + 0.1),
        ),
        "features": (
            u.Features(features=FEATURES, function=smooth),
            lambda x: (
                FEATURES @ np.asarray(u.shadow_weights(smooth, jnp.einsum("sam,sa", FEATURES, x)))
            ),
        ),
        "unnormalised": (
            u.Unnormalised(utility=u.Entropy(delta=D), discount=0.9),
            lambda x: spread(0.1 * (-np.log(0.1 * nu(x) + D) - 1)),
        ),
    }


with jax.enable_x64(True):
    TABLE = table()
NOT_CONCAVE = {"mean-variance", "cvar", "determinism", "features"}
CORNERS = np.eye(S * A).reshape(-1, S, A)
INSIDE = np.random.default_rng(1).dirichlet(0.7 * np.ones(S * A), size=40).reshape(-1, S, A)
WAYS = np.random.default_rng(2).normal(size=INSIDE.shape)


def slopes(f, at, way, h=1e-6):
    """Central differences."""
    return (jax.vmap(f)(at + h * way) - jax.vmap(f)(at - h * way)) / (2 * h)


@eqx.filter_jit
def ask(f, points, inside, ways):
    between = (points[:, None] + points[None]).reshape(-1, S, A) / 2
    return (
        jax.vmap(f)(points),
        jax.vmap(f.gradient)(points),
        jax.vmap(f)(between),
        slopes(f, inside, ways),
    )


@pytest.fixture(scope="module", params=TABLE)
def asked(request):
    """Values and gradients inside and at the corners, values half way between, and slopes."""
    points = np.concatenate([CORNERS, INSIDE])
    with jax.enable_x64(True):
        found = ask(TABLE[request.param][0], *map(jnp.asarray, (points, INSIDE, WAYS)))
        return request.param, points, *map(np.asarray, found)


def test_gradient_is_the_formula_and_the_slope(asked):
    name, points, _, gradient, _, slope = asked
    with jax.enable_x64(True):
        formula = np.stack([TABLE[name][1](x) for x in points])
    np.testing.assert_allclose(gradient, formula, atol=1e-12, rtol=1e-12)
    along = np.sum(gradient[len(CORNERS) :] * WAYS, axis=(1, 2))
    np.testing.assert_allclose(along, slope, atol=1e-8, rtol=1e-8)


def test_concave_where_it_says_so_and_not_where_not(asked):
    name, points, value, _, between, _ = asked
    bend = between.reshape(len(points), -1) - (value[:, None] + value[None]) / 2
    assert TABLE[name][0].concave == (name not in NOT_CONCAVE)
    if TABLE[name][0].concave:
        assert bend.min() > -1e-12
    elif name != "features":
        assert bend.min() < -1e-3


def test_no_gradient_exceeds_the_bound(asked):
    name, _, _, gradient, *_ = asked
    bound = TABLE[name][0].bound(S, A)
    if name in ("features", "shortfall"):
        assert bound is None
        return
    most = np.abs(gradient).max()
    assert most <= bound * (1 + 1e-12)
    # Corners attain it, but for sums, and where one is bounded by parts or by the user's word.
    if name not in ("weighted", "own", "barrier", "cvar", "soft penalty", "unnormalised"):
        assert most > 0.9 * bound


def test_a_penalty_is_the_closed_form_of_its_dual_variable():
    occupancy = INSIDE[0].astype(np.float32)
    over = (COST * occupancy).sum() - 0.1
    assert over > 0
    gradient = u.Penalty(cost=COST, budget=0.1, weight=5.0).gradient(jnp.asarray(occupancy))
    np.testing.assert_allclose(gradient, -5 * over * COST, rtol=1e-4)


def test_lower_tail_is_the_mean_of_the_worst():
    f = u.LowerTail(reward=np.array([[0.0, 1.0], [2.0, 3.0]]), share=0.5)
    even = jnp.full((2, 2), 0.25)
    assert float(f(even)) == pytest.approx(0.5)
    assert float(u.LowerTail(reward=f.reward, share=1.0)(even)) == pytest.approx(1.5)


def test_tables_of_linear_pieces():
    x = jnp.asarray(INSIDE[0], jnp.float32)
    cost = u.Linear(reward=u.action_cost([0.0, 2.0], S))
    assert float(cost(x)) == pytest.approx(2 * float(x[:, 1].sum()), rel=1e-5)
    dwell = u.Linear(reward=u.dwelling([0, 2], S, A))
    assert float(dwell(x)) == pytest.approx(float(x[0].sum() + x[2].sum()), rel=1e-5)
    assert u.switching(2).tolist() == [[0, 1], [1, 0]]


AGENTS = 5


@pytest.fixture(scope="module")
def mixed():
    rewards = np.random.default_rng(3).normal(size=(3, S, A))
    targets = np.random.default_rng(4).dirichlet(np.ones(S), size=2)
    parts = (
        u.Part(name="pay", utility=u.Linear(reward=rewards), who=[4, 0, 2], each=True),
        u.Part(name="meet", utility=u.Imitation(target=targets), who=[3, 1], each=True),
    )
    return u.Mean(parts=parts), rewards, targets


def test_every_agent_has_its_own(mixed):
    objective, rewards, targets = mixed
    objective.check(AGENTS, S, A)
    x = jnp.asarray(INSIDE[:AGENTS], jnp.float32)
    each = [u.Linear(reward=rewards[1]), u.Imitation(target=targets[1])]
    each += [u.Linear(reward=rewards[2]), u.Imitation(target=targets[0])]
    each += [u.Linear(reward=rewards[0])]
    local = [float(f(y)) for f, y in zip(each, x, strict=True)]
    np.testing.assert_allclose(objective.local(x), local, rtol=1e-5)
    assert float(objective.value(x)) == pytest.approx(np.mean(local), rel=1e-5)
    shadow = np.stack([f.gradient(y) for f, y in zip(each, x, strict=True)])
    np.testing.assert_allclose(objective.shadow(x), shadow, rtol=1e-5)
    whole = AGENTS * jax.grad(objective.value)(x)
    np.testing.assert_allclose(objective.shadow(x), whole, rtol=1e-4, atol=1e-6)
    assert {name: who.tolist() for name, who in objective.groups.items()} == {
        "pay": [4, 0, 2],
        "meet": [3, 1],
    }
    assert objective.concave


def test_shadow_reward_of_a_linear_utility_is_the_reward():
    reward = np.random.default_rng(5).normal(size=(AGENTS, S, A)).astype(np.float32)
    objective = u.everybody(u.Linear(reward=reward), AGENTS, each=True)
    np.testing.assert_array_equal(
        objective.shadow(jnp.asarray(INSIDE[:AGENTS], jnp.float32)), reward
    )


def test_utilities_are_dealt_in_turn():
    objective = u.dealt(5, {"a": u.Entropy(), "b": u.QuadraticEntropy(), "c": u.Entropy()})
    assert [who.tolist() for who in objective.groups.values()] == [[0, 3], [1, 4], [2]]
    assert list(u.dealt(1, {"a": u.Entropy(), "b": u.Entropy()}).groups) == ["a"]


def test_worst_is_the_least_up_to_its_sharpness():
    reward = np.random.default_rng(6).random((AGENTS, S, A))
    x = jnp.asarray(INSIDE[:AGENTS], jnp.float32)
    for sharpness in (10.0, 1000.0):
        objective = u.Worst(reward=reward, sharpness=sharpness)
        objective.check(AGENTS, S, A)
        least = float(objective.local(x).min())
        assert 0 <= float(objective.value(x)) - least <= math.log(AGENTS) / sharpness + 1e-6
        whole = AGENTS * jax.grad(objective.value)(x)
        np.testing.assert_allclose(objective.shadow(x), whole, rtol=1e-4, atol=1e-5)
        assert np.abs(objective.shadow(x)).max() <= AGENTS


def test_fair_utilities_tend_to_the_least_as_aversion_grows():
    low, high = jnp.array([[0.5, 0.5]]), jnp.array([[0.1, 0.9]])
    f = u.Fair(reward=np.array([[0.2, 1.0]]), aversion=8.0)
    assert float(f.gradient(low)[0, 1] / f.gradient(high)[0, 1]) > 20


@pytest.mark.parametrize(
    ("utility", "sentence"),
    [
        (u.Linear(reward=np.zeros((A, S))), r"reward: expected shape \(3, 2\), got \(2, 3\)"),
        (u.Linear(reward=np.full((S, A), np.nan)), "reward: expected finite numbers"),
        (u.Entropy(delta=0.0), "delta: expected above 0, got 0.0"),
        (u.Imitation(target=np.array([0.5, 0.4, 0.0])), "target: expected a sum of 1, got 0.9"),
        (u.Imitation(target=np.array([1.2, -0.2, 0.0])), "target: expected nothing below 0"),
        (u.Coverage(target=np.ones(2) / 2), r"target: expected shape \(3,\), got \(2,\)"),
        (u.Fair(reward=REWARD), "reward: expected nothing below 0"),
        (u.LowerTail(reward=REWARD, share=0.0), "share: expected above 0 and at most 1"),
        (u.Weighted(parts=(u.Entropy(),), weights=(1.0, 2.0)), "weights: expected 1, got 2"),
        (u.Unnormalised(utility=u.Entropy(), discount=1.0), "discount: expected from 0 to below"),
        (u.Own(function=lambda x: x[0]), r"one number of an occupancy .* got \(2,\)"),
        (u.Own(function=lambda x: (x[0, 0], x[0, 1])), "expected one number .* got tuple"),
        (u.Own(function=lambda x: jnp.argmax(x)), "expected a real number, got int32"),
        (u.Own(function=lambda x: float(x[0, 0])), "JAX cannot differentiate it"),
        (u.Own(function=lambda x: np.sum(np.asarray(x))), "JAX cannot differentiate it"),
        (u.Own(function=lambda x: jnp.sum(x @ x)), "JAX cannot differentiate it"),
        (u.Own(function=lambda x: jnp.sum(jnp.round(9 * x) / 9 + x**2)), None),
        (u.Own(function=lambda x: jnp.sum(jax.lax.stop_gradient(x[0]))), "is not its slope"),
        (u.Own(function=lambda x: jnp.sum(jnp.sqrt(x - x))), "its gradient is not finite"),
        (u.Features(features=FEATURES, function=lambda m: m), "expected one number"),
    ],
)
def test_what_cannot_be_used_is_told(utility, sentence):
    if sentence is None:
        u.everybody(utility, AGENTS).check(AGENTS, S, A)
        return
    with pytest.raises(UserError, match=rf"objective '{type(utility).__name__}' .*{sentence}"):
        u.everybody(utility, AGENTS).check(AGENTS, S, A)


def test_everybody_belongs_somewhere_once():
    with pytest.raises(UserError, match=r"each of 6 agents in exactly one part; .* 5, 5 of them"):
        u.everybody(u.Entropy(), 5).check(6, S, A)
    with pytest.raises(UserError, match=r"reward: expected shape \(5, 3, 2\), got \(4, 3, 2\)"):
        u.Worst(reward=np.zeros((4, S, A))).check(5, S, A)


def test_more_weight_on_an_own_utility_is_no_longer_concave():
    linear, entropy = u.Linear(reward=REWARD), u.Entropy()
    assert u.Weighted(parts=(linear, entropy), weights=(-1.0, 1.0)).concave
    assert not u.Weighted(parts=(linear, entropy), weights=(1.0, -1.0)).concave
