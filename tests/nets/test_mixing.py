from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import SPEC, shaken
from descant.nets.mixing import Attention, duplex, elu, mixer
from descant.nets.mlp import whole_size

STATES = whole_size(SPEC)
SEEDS = st.integers(0, 2**31 - 1)


@jax.jit
def values(seed, agent):
    """A monotone and a free mixer with random weights, as one utility rises in steps."""
    key, weights, state, utility = jax.random.split(jax.random.key(seed), 4)
    state, utility = jax.random.normal(state, (STATES,)), jax.random.normal(utility, (3,))
    rising = utility[None] + jnp.linspace(-9, 9, 19)[:, None] * jax.nn.one_hot(agent, 3)[None]

    def along(kind):
        net = shaken(mixer(key, SPEC, kind, embed=4, hidden=8), weights)
        return jax.vmap(net, in_axes=(0, None))(rising, state)

    return along("monotone"), along("free")


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(0, 2))
def test_no_utility_lowers_a_monotone_mix(seed, agent):
    monotone, _ = values(seed, agent)
    assert np.diff(monotone).min() >= -1e-5 * (1 + np.abs(monotone).max())


def test_a_free_mix_may_fall_and_a_monotone_one_rises():
    monotone, free = zip(*(values(seed, 0) for seed in range(8)), strict=True)
    assert any((np.diff(row) < 0).any() and (np.diff(row) > 0).any() for row in free)
    assert all(row[-1] > row[0] + 0.1 for row in monotone)


def test_a_sum_is_the_sum_and_a_mix_begins_near_it():
    key, state = jax.random.key(1), jax.random.normal(jax.random.key(2), (STATES,))
    utility = 0.1 * jnp.array([[1.0, 2.0, -3.0], [2.0, 1.0, 1.0], [-1.0, 0.0, 0.0]])
    np.testing.assert_allclose(
        [mixer(key, SPEC, "sum")(row, state) for row in utility], utility.sum(axis=1), atol=1e-6
    )
    mixed = jnp.stack([mixer(key, SPEC, "monotone")(row, state) for row in utility])
    assert np.corrcoef(mixed, utility.sum(axis=1))[0, 1] > 0.9
    slope = jax.grad(mixer(key, SPEC, "monotone"))(utility[0], state)
    assert float(slope.min()) > 0.3 and float(slope.max()) < 3


def test_the_state_sets_the_weights_of_a_mix():
    net, utility = mixer(jax.random.key(0), SPEC, "monotone"), jnp.ones(3)
    slopes = [jax.grad(net)(utility, x) for x in jax.random.normal(jax.random.key(1), (2, STATES))]
    assert float(jnp.abs(slopes[0] - slopes[1]).max()) > 1e-3


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_weights_of_advantages_are_above_zero(seed):
    assert min(float(weight.min()) for weight in weights(seed)) > 0


@jax.jit
def weights(seed):
    keys = jax.random.split(jax.random.key(seed), 4)
    net = shaken(duplex(keys[0], SPEC, heads=2, hidden=8, advantage="stepped"), keys[1])
    action = jax.nn.one_hot(jax.random.randint(keys[2], (3,), 0, 2), 2)
    state = jax.random.normal(keys[3], (STATES,))
    return net.importance(state, action), net.step(state, action)


STATE = jnp.ones(STATES)
UTILITY, BEST = jnp.array([1.0, -1.0, 2.0]), jnp.array([1.0, 3.0, 2.0])
"""The second of three agents does not do its best."""


@pytest.fixture
def weigh(monkeypatch):
    """Says what weights and steps are."""

    def fixed(importance=1.0, step=0.0):
        said = lambda net, state, action: jnp.full(3, importance if net.bounded else step)  # noqa: E731
        monkeypatch.setattr(Attention, "__call__", said)

    return fixed


def mixed(advantage):
    return duplex(jax.random.key(0), SPEC, advantage=advantage)


@pytest.mark.parametrize("advantage", ["stepped", "graded", "held"])
def test_where_all_weights_are_one_a_duplex_is_a_sum(advantage, weigh):
    weigh()
    net = mixed(advantage)
    plain = jnp.sum(jnp.abs(net.scale(STATE)) * UTILITY + net.shift(STATE))
    value = net(UTILITY, STATE, BEST, jnp.zeros((3, 2)))
    assert float(value) == pytest.approx(float(plain), abs=1e-4)


def test_a_step_costs_the_same_however_near_utilities_are_and_nothing_at_the_best(weigh):
    weigh(step=5.0)
    net = mixed("stepped")
    for short, cost in ((2.0, 5.0), (1e-3, 5.0), (0.0, 0.0)):
        utility = BEST - jnp.array([0.0, short, 0.0])
        with_step, without = (
            some(utility, STATE, BEST, jnp.zeros((3, 2))) for some in (net, replace(net, step=None))
        )
        assert float(without - with_step) == pytest.approx(cost, abs=1e-4)


@pytest.mark.parametrize(("advantage", "moves"), [("stepped", 1), ("graded", 0), ("held", 1)])
def test_a_utility_whose_weight_has_vanished_moves_unless_the_gradient_is_exact(
    advantage, moves, weigh
):
    weigh(importance=0.0, step=1.0)
    net = mixed(advantage)
    slope = jax.grad(net)(UTILITY, STATE, BEST, jnp.zeros((3, 2)))
    assert float(slope[1]) == pytest.approx(moves * float(jnp.abs(net.scale(STATE))[1]), abs=1e-4)


def test_the_exponential_unit_is_jax_s_to_rounding_and_so_is_its_slope():
    x = jnp.concatenate([jnp.linspace(-30.0, 30.0, 601), jnp.array([1e-6, -1e-6, 0.0])])
    np.testing.assert_allclose(elu(x), jax.nn.elu(x), rtol=1e-6, atol=1e-7)
    slope = jax.vmap(jax.grad(elu))
    np.testing.assert_allclose(slope(x), jax.vmap(jax.grad(jax.nn.elu))(x), atol=1e-6)


@pytest.mark.parametrize("agents", [2, 20])
def test_steps_of_all_agents_together_begin_alike_however_many_there_are(agents):
    spec = replace(SPEC, agents=agents)
    keys = jax.random.split(jax.random.key(0), 32)

    def steps(key):
        mix = duplex(key, spec, hidden=16, advantage="stepped")
        state = jax.random.normal(jax.random.fold_in(key, 1), (whole_size(spec),))
        return jnp.sum(mix.step(state, jnp.eye(spec.actions)[jnp.arange(agents) % spec.actions]))

    assert 0.8 < float(jnp.mean(jax.jit(jax.vmap(steps))(keys))) < 2.0
