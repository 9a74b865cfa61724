"""Joint values: what resting agents, masks and greedy choices have to do with them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import SPEC, Tabular, shaken
from descant.core.types import Observation, World
from descant.nets.joint import Apart, Dueling, Mixed, greedy, taken, utilities, whole
from descant.nets.mixing import duplex, mixer

JOINT = jnp.array(list(itertools.product(range(2), repeat=3)))
KINDS = "graded", "stepped"
"""Of duplexes: `held` has the values of the first."""
SEEDS = st.integers(0, 2**31 - 1)


def seen(key=None, active=(True, True, True), mask=None):
    key = jax.random.key(0) if key is None else key
    return Observation(
        local=jax.random.normal(key, (3, 2)),
        world=World(entities=jnp.zeros((0, 0)), globals=jnp.ones(2)),
        mask=jnp.ones((1, 2), bool) if mask is None else mask,
        active=jnp.array(active),
    )


@jax.jit
def both(seed):
    """Values of all joint actions under random weights, and what agents choose alone."""
    keys = jax.random.split(jax.random.key(seed), 4)
    net = Tabular(jax.random.normal(keys[0], (3, 2)))
    observation = seen(keys[1])

    def table(joint):
        rows = jax.nn.one_hot(JOINT, 2)
        return jax.vmap(joint, in_axes=(None, 0))(observation, rows)[:, 0]

    kinds = [duplex(keys[2], SPEC, heads=2, hidden=8, advantage=kind) for kind in KINDS]
    duels = [table(Dueling(net, shaken(kind, keys[3]))) for kind in kinds]
    mixed = Mixed(net, shaken(mixer(keys[2], SPEC, "monotone", embed=4, hidden=8), keys[3]))
    alone = jnp.argmax(greedy(net(observation), observation), axis=-1)
    return alone, [*duels, table(mixed)]


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_what_each_agent_finds_best_is_best_for_all(seed):
    """The condition of Son et al. (2019), eq. 1; around the best, values may be flat."""
    alone, tables = both(seed)
    here = int(np.flatnonzero((np.asarray(JOINT) == np.asarray(alone)).all(axis=1))[0])
    for table in tables:
        assert float(table.max() - table[here]) <= 1e-5 * (1 + float(jnp.abs(table).max()))


def joints():
    net, key = Tabular(jnp.array([[1.0, 2.0], [3.0, 0.0], [0.5, 0.4]])), jax.random.key(3)
    return {
        "apart": Apart(net),
        "mixed": Mixed(net, mixer(key, SPEC, "monotone")),
        "dueling": Dueling(net, duplex(key, SPEC)),
        "stepped": Dueling(net, duplex(key, SPEC, advantage="stepped")),
        "whole": whole(key, SPEC, hidden=8),
    }


@pytest.mark.parametrize("name", ["apart", "mixed", "dueling", "stepped", "whole"])
def test_what_a_resting_agent_would_do_counts_nothing(name):
    joint = jax.jit(lambda *given: joints()[name](*given))
    one, other = jax.nn.one_hot(jnp.array([[0, 1, 0], [0, 1, 1]]), 2)
    resting = seen(active=(True, True, False))
    np.testing.assert_array_equal(joint(resting, one), joint(resting, other))
    assert (joint(seen(), one) != joint(seen(), other)).any()


def test_forbidden_actions_are_no_best_ones():
    mask = jnp.array([[True, False], [True, True], [False, False]])
    observation = seen(active=(True, True, False), mask=mask)
    utility = jnp.array([[1.0, 9.0], [2.0, 3.0], [4.0, 5.0]])
    assert jnp.argmax(greedy(utility, observation), axis=-1).tolist() == [0, 1, 1]
    action = jax.nn.one_hot(jnp.array([0, 0, 0]), 2)
    chosen, most = taken(utility, action, observation)
    assert (chosen.tolist(), most.tolist()) == ([1, 2, 5], [1, 3, 5])


def test_utilities_see_the_world_only_if_they_may():
    far = seen()
    near = Observation(far.local, World(jnp.zeros((0, 0)), 2 * jnp.ones(2)), far.mask, far.active)
    for view, moved in (("local", False), ("world", True)):
        net = utilities(jax.random.key(0), SPEC, view=view, hidden=8)
        assert bool((net(near) != net(far)).any()) == moved, view
