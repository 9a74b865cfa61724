"""Fits against exact Q of networks that are enumerated."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.core.types import Observation, Rollout, World
from descant.credit.critics import Additive, Advantages, Tables, fixed_point
from descant.domains import epidemic
from descant.domains.tables.world import tables
from descant.domains.voter.world import voters
from descant.evaluate.enumerated import enumerate_network
from descant.ops import graphs
from descant.ops.networked import drawn

AGENTS, DISCOUNT, TICKS, SCENARIOS = 3, 0.6, 16, 6000
REWARD = np.random.default_rng(0).normal(size=(AGENTS, 2, 2))


def walked(network):
    """A long rollout of a random policy, and everything exact about it."""
    whole = enumerate_network(network, DISCOUNT)
    logits = whole.logits(0, seed=2)
    joint = whole.joint(logits)
    chances = jnp.asarray(np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True))

    def tick(state, key):
        act, step = jax.random.uniform(key, (2, AGENTS))
        action = drawn(chances[jnp.arange(AGENTS), state], act).astype(jnp.int32)
        after = drawn(network.chances(state, action), step).astype(jnp.int32)
        return after, (state, action)

    def episode(key):
        first, rest = jax.random.split(key)
        start = drawn(network.start, jax.random.uniform(first, (AGENTS,))).astype(jnp.int32)
        return jax.lax.scan(tick, start, jax.random.split(rest, TICKS))[1]

    keys = jax.random.split(jax.random.key(0), SCENARIOS)
    state, action = jax.jit(jax.vmap(episode, out_axes=1))(keys)
    reward = jnp.asarray(REWARD, jnp.float32)[jnp.arange(AGENTS), state, action]
    x, u = (np.asarray(z) @ [4, 2, 1] for z in (state, action))
    return SimpleNamespace(
        whole=whole,
        joint=joint,
        pair=2 * state + action,
        reward=reward,
        values=whole.action_values(joint, REWARD)[:, x, u].transpose(1, 2, 0),
        places=(x, u),
        state=state,
        action=action,
    )


@pytest.fixture(scope="module")
def voting():
    return walked(voters(graphs.line(AGENTS), alpha=0.8))


@pytest.fixture(scope="module")
def mixing():
    return walked(tables(graphs.line(AGENTS), coupling=1.0, sharp=2.0, seed=1))


def explained(found, truth):
    off = np.asarray(found) - truth
    return 1 - off.var(axis=(0, 1)) / truth.var(axis=(0, 1))


@pytest.mark.parametrize("radius", [0, 1])
def test_tables_are_the_fixed_point_of_temporal_differences(mixing, radius):
    whole, joint = mixing.whole, mixing.joint
    truth = whole._known(joint, REWARD, whole.action_values(joint, REWARD), radius, "td")
    truth = truth[:, *mixing.places].transpose(1, 2, 0)
    found = judged(mixing, radius, Tables, sweeps=40)
    assert np.abs(found - truth).mean() < 0.02 * truth.std()
    if radius == 0:
        exact = np.abs(mixing.values - truth).mean()
        assert np.abs(found - truth).mean() < 0.5 * exact, "and not Q itself"


def judged(walk, radius, kind, **options):
    """What a link makes of the rewards, with the discount taken out."""
    member = jnp.asarray(graphs.line(AGENTS).balls(radius).member)
    link = kind(member, 2, 2, DISCOUNT, **options)
    many = (TICKS, SCENARIOS)
    nothing = jnp.zeros(many)
    rollout = Rollout(
        observation=Observation(
            local=jnp.stack([walk.state, 0 * walk.state], axis=-1).astype(jnp.float32),
            world=World(entities=jnp.zeros((*many, 2, 2)), globals=jnp.zeros((*many, 2))),
            mask=jnp.ones((*many, 1, 2), bool),
            active=jnp.ones((*many, AGENTS), bool),
        ),
        action=walk.action,
        log_prob=jnp.zeros((*many, AGENTS)),
        value=nothing[..., None],
        bootstrap=nothing[..., None],
        reward=nothing,
        terminated=nothing > 0,
        truncated=nothing > 0,
        context=(),
        probes={},
        diagnostics={},
    )
    found = jax.jit(lambda x: link.changed(x, rollout))(walk.reward)
    return np.asarray(found) / (DISCOUNT ** np.arange(TICKS))[:, None, None]


def test_advantages_with_a_full_view_and_no_trace_are_exact(mixing):
    """Q less V, in the mean over what follows: their mean given state and action."""
    found = judged(mixing, 2, Advantages, sweeps=40, trace=0.0)[:-1]
    joint, values = mixing.joint, mixing.whole.action_values(mixing.joint, REWARD)
    truth = values - np.einsum("nxu,xu->nx", values, joint.policy)[..., None]
    x, u = (z[:-1].ravel() for z in mixing.places)
    cell = 8 * x + u
    count = np.bincount(cell, minlength=64)
    for i in range(AGENTS):
        mean = np.bincount(cell, found[..., i].ravel(), 64) / np.maximum(count, 1)
        often = count > 200
        np.testing.assert_allclose(mean[often], truth[i].ravel()[often], atol=0.12)


@pytest.mark.parametrize("pairwise", [False, True])
def test_sums_of_tables_are_exact_for_voters(voting, pairwise):
    found = judged(voting, 2, Additive, pairwise=pairwise, ridge=1e-2)
    assert np.all(explained(found, voting.values) > 0.99)


def test_pairs_explain_more_of_an_epidemic():
    config = epidemic.Config(agents=AGENTS, graph="line", contagion=0.8, recovery=0.1, start=0.4)
    walk = walked(epidemic.make(config).network)
    single, pairs = (
        explained(judged(walk, 2, Additive, pairwise=pairwise, ridge=1e-2), walk.values)
        for pairwise in (False, True)
    )
    assert np.all(pairs > single) and np.all(pairs > 0.98)


def test_cells_that_nobody_visits_have_nothing():
    cell = jnp.zeros((4, 2, 1), jnp.int32)
    table = fixed_point(cell, jnp.ones((4, 2, 1)), 0.5, 3, 60)
    np.testing.assert_allclose(table, [[2, 0, 0]], atol=1e-6)
