import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import SPEC, shaken
from descant.nets.mixing import Duplex, duplex, elu, mixer
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
    assert float(weights(seed).min()) > 0


@jax.jit
def weights(seed):
    keys = jax.random.split(jax.random.key(seed), 4)
    net = shaken(duplex(keys[0], SPEC, heads=2, hidden=8), keys[1])
    action = jax.nn.one_hot(jax.random.randint(keys[2], (3,), 0, 2), 2)
    return net.importance(jax.random.normal(keys[3], (STATES,)), action)


def test_where_all_weights_are_one_a_duplex_is_a_sum(monkeypatch):
    monkeypatch.setattr(Duplex, "importance", lambda net, state, action: jnp.ones(3))
    net, state = duplex(jax.random.key(0), SPEC), jnp.ones(STATES)
    utility, best = jnp.array([1.0, -1.0, 2.0]), jnp.array([1.0, 3.0, 2.0])
    scale = jnp.abs(net.scale(state))
    plain = jnp.sum(scale * utility + net.shift(state))
    value = net(utility, state, best, jnp.zeros((3, 2)))
    assert float(value) == pytest.approx(float(plain), abs=1e-4)


def test_the_exponential_unit_is_jax_s_to_rounding_and_so_is_its_slope():
    x = jnp.concatenate([jnp.linspace(-30.0, 30.0, 601), jnp.array([1e-6, -1e-6, 0.0])])
    np.testing.assert_allclose(elu(x), jax.nn.elu(x), rtol=1e-6, atol=1e-7)
    slope = jax.vmap(jax.grad(elu))
    np.testing.assert_allclose(slope(x), jax.vmap(jax.grad(jax.nn.elu))(x), atol=1e-6)
