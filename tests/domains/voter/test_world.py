import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.errors import UserError
from descant.core.graph import Graph
from descant.core.network import AbstractNetwork
from descant.domains import voter
from descant.domains.voter.world import voters
from descant.evaluate.episodes import score_rules
from descant.ops import graphs


def test_the_law_by_hand():
    network = voters(graphs.line(3), alpha=0.6, low=0.1, high=0.9)
    chances = network.chances(jnp.array([1, 0, 1]), jnp.array([1, 0, 0]))
    ones = [0.4 * 0.9, 0.6 + 0.4 * 0.1, 0.4 * 0.1]
    np.testing.assert_allclose(chances[:, 1], ones, rtol=1e-6)


def test_all_laws_at_once_are_those_of_each_agent():
    graph = graphs.small_world(12, seed=3)
    network, rng = voters(graph, alpha=0.7, low=0.2), np.random.default_rng(0)
    for _ in range(5):
        state, action = jnp.asarray(rng.integers(0, 2, (2, 12)))
        truth = AbstractNetwork.chances(network, state, action)
        np.testing.assert_allclose(network.chances(state, action), truth, atol=1e-6)


def test_who_is_alone_looks_at_itself():
    network = voters(Graph(3, np.array([[0, 1]])), alpha=1.0)
    chances = network.chances(jnp.array([1, 0, 1]), jnp.array([0, 0, 0]))
    np.testing.assert_array_equal(chances[:, 1], [0, 1, 1])


def test_weights_must_be_those_of_neighbours():
    with pytest.raises(ValueError, match="rows that add to one"):
        voters(graphs.line(3), alpha=0.5, weight=np.full((3, 3), 1 / 3))


def test_pushing_pays_where_it_is_cheap():
    domain = voter.make(voter.Config(agents=30))
    keys = jax.random.split(jax.random.key(0), 10)
    scores = jax.jit(lambda keys: score_rules(domain, keys))(keys)
    reward = dict(zip(domain.rules, np.asarray(scores.reward).mean(axis=1), strict=True))
    assert reward["push"] > reward["correct"] > reward["rest"]
    assert reward["push"] > reward["random"] > reward["rest"]


def test_thirds_and_single_utilities():
    domain = voter.make(voter.Config(agents=7))
    assert domain.objective is not None
    domain.objective.check(7, 2, 2)
    assert list(domain.objective.groups) == ["kl", "entropy", "linear"]
    for name in ("kl", "entropy", "linear", "coverage"):
        objective = voter.make(voter.Config(agents=7, utility=name)).objective
        assert objective is not None and len(objective.groups) == 1
        objective.check(7, 2, 2)


def test_a_hundred_thousand_agents_step_fast():
    """Made in seconds, stepped in a fraction of one: a bar that only a loop over agents misses."""
    before = time.monotonic()
    env = voter.make(voter.Config(agents=100_000, graph="torus")).env
    state, _ = env.reset(jax.random.key(0))
    action = jnp.ones(100_000, jnp.int32)

    @jax.jit
    def play(state, key):
        return jax.lax.scan(
            lambda state, key: (env.step(key, state, action)[0], None),
            state,
            jax.random.split(key, 10),
        )[0]

    state = jax.block_until_ready(play(state, jax.random.key(1)))
    assert float(jnp.mean(state.local)) > 0.5
    assert time.monotonic() - before < 30


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"alpha": 1.5}, "domain.alpha: expected 0 to 1, got 1.5"),
        ({"low": 0.8, "high": 0.2}, "domain.low: expected at most domain.high = 0.2"),
        ({"cost": -1.0}, "domain.cost: expected at least 0"),
        ({"delta": 0.0}, "domain.delta: expected above 0"),
        ({"horizon": 0}, "domain.horizon: expected at least 1"),
        ({"agents": 7, "graph": "torus"}, "domain.graph: 7 agents make no rectangle"),
    ],
)
def test_values_out_of_range_are_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        voter.make(voter.Config(**changes))
