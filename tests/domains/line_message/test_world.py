import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.domains import line_message
from descant.domains.line_message.world import line_message as made


def test_the_law_by_hand():
    network = made(line_message.Config(agents=5))
    state, action = jnp.array([1, 1, 0, 1, 0]), jnp.array([0, 1, 1, 0, 1])
    ones = [1, 0.8, 1, 0, 1]
    np.testing.assert_allclose(network.chances(state, action)[:, 1], ones, atol=1e-6)
    ones = [1, 0.8, 1, 0, 0]
    quiet = action.at[4].set(0)
    np.testing.assert_allclose(network.chances(state, quiet)[:, 1], ones, atol=1e-6)


def test_who_always_acts_earns_the_optimum():
    """1 + 9 x 0.1 per tick, shared by ten, over 125 ticks: 23.75, and no chance in it."""
    env = line_message.make(line_message.Config()).env
    state, _ = env.reset(jax.random.key(0))

    def tick(state, key):
        state, step = env.step(key, state, jnp.ones(10, jnp.int32))
        return state, step.reward

    rewards = jax.lax.scan(tick, state, jax.random.split(jax.random.key(1), 125))[1]
    assert float(rewards.sum()) == pytest.approx(23.75, abs=1e-4)


def test_entropy_that_falls_short_is_charged():
    plain = line_message.make(line_message.Config()).objective
    charged = line_message.make(line_message.Config(entropy=0.5, weight=2.0)).objective
    assert plain is not None and charged is not None
    charged.check(10, 2, 2)
    sure = jnp.zeros((10, 2, 2)).at[:, 1, 1].set(1.0)
    short = 0.5 + 0.01 * np.log(0.01) + 1.01 * np.log(1.01)
    assert float(plain.value(sure)) == pytest.approx(0.19)
    assert float(charged.value(sure)) == pytest.approx(0.19 - short**2, rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"agents": 1}, "domain.agents: expected at least 2"),
        ({"luck": 2.0}, "domain.luck: expected 0 to 1"),
        ({"helper": -1.0}, "domain.helper: expected at least 0"),
    ],
)
def test_values_out_of_range_are_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        line_message.make(line_message.Config(**changes))


def test_what_is_wanted_may_be_an_argument_of_a_program():
    """Training takes an algorithm's numbers as arguments, those of its objective among them."""
    domain = line_message.make(line_message.Config(agents=3, horizon=5, entropy=0.5))
    occupancy = jnp.asarray(np.random.default_rng(0).dirichlet(np.ones(4), 3).reshape(3, 2, 2))
    for wanted in (domain.objective, domain.constraint):
        numbers, rest = eqx.partition(wanted, lambda leaf: isinstance(leaf, float))
        assert jax.tree.leaves(numbers)
        local = jax.jit(lambda numbers, x, rest=rest: eqx.combine(numbers, rest).local(x))
        np.testing.assert_allclose(local(numbers, occupancy), wanted.local(occupancy), rtol=1e-5)
