"""Links against plain loops over agents, ticks and distances."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import rollout
from descant.core.network import Reach
from descant.core.types import Signal
from descant.credit.links import chain
from descant.credit.networked import AgainstOthers, Ahead, Nearby, shadowed
from descant.ops import graphs

GRAPH, DISCOUNT = graphs.line(5), 0.8
TICKS, SCENARIOS = 7, 3


def test_shadow_rewards_are_those_of_what_agents_are_in_and_do():
    rng = np.random.default_rng(0)
    shadow = rng.normal(size=(5, 3, 2)).astype(np.float32)
    state, action = rng.integers(0, [[[[3]]], [[[2]]]], (2, TICKS, SCENARIOS, 5))
    found = np.asarray(shadowed(jnp.asarray(shadow), jnp.asarray(state), jnp.asarray(action)))
    for t, e, i in np.ndindex(found.shape):
        assert found[t, e, i] == shadow[i, state[t, e, i], action[t, e, i]]


@pytest.mark.parametrize("radius", [0, 1, 4])
def test_a_chain_counts_what_follows_nearby_from_when_it_can_be_felt(radius):
    lags = tuple(Reach().lag(d) for d in range(radius + 1))
    rings = tuple(jnp.asarray(ring) for ring in GRAPH.rings(radius))
    links = chain(Ahead(discount=DISCOUNT), Nearby(rings=rings, lags=lags), AgainstOthers())
    reward = np.random.default_rng(1).normal(size=(TICKS, SCENARIOS, 5)).astype(np.float32)
    some = rollout(ticks=TICKS, scenarios=SCENARIOS)
    given = Signal(some.reward, jnp.asarray(reward), some.value)
    signal, state = links(given, some, jnp.float32(0), links.init(jax.random.key(0)))
    assert state == ((), (), ())
    weighed = DISCOUNT ** np.arange(TICKS)[:, None, None] * reward
    total = np.zeros_like(reward)
    for i, j, t in np.ndindex(5, 5, TICKS):
        if abs(i - j) <= radius:
            total[t, :, i] += weighed[int(t + lags[abs(i - j)]) :, :, j].sum(axis=0)
    others = (total.sum(axis=1, keepdims=True) - total) / (SCENARIOS - 1)
    np.testing.assert_allclose(signal.advantage, total - others, atol=1e-5)
    assert signal.reward is some.reward and not links.probes
