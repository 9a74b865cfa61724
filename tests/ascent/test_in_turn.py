import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import Tabular, rollout
from descant.ascent.in_turn import InTurn
from descant.ascent.together import Together
from descant.credit.schedules import Constant
from descant.nets.policy import Independent

AGENTS, BINS, ZERO = 3, 4, jnp.float32(0)
LOGITS = 0.1 * jax.random.normal(jax.random.key(0), (AGENTS, BINS))


def each(**changes):
    knobs = {
        "epochs": 1,
        "minibatch": 10,
        "minibatches": 0,
        "clip": 1e9,
        "norm": 1e9,
        "rate": Constant(level=0.1),
        "entropy": Constant(level=0.0),
    }
    return Together(**knobs | changes)


@pytest.fixture(scope="module")
def given():
    return rollout(agents=AGENTS, bins=BINS, idle=0.0)


def test_later_agents_weigh_what_they_gain_by_how_those_before_them_moved(given):
    """Every agent takes one step on all ticks: worked out with plain loops."""
    advantage = jax.random.normal(jax.random.key(1), given.log_prob.shape)
    ascent, policy = InTurn(each=each()), Independent(net=Tabular(LOGITS))
    key = jax.random.key(2)
    run = jax.jit(lambda key: ascent(policy, ascent.init(policy), given, advantage, ZERO, key))
    moved = run(key)[0].net.logits

    order = jax.random.permutation(jax.random.fold_in(key, 2), AGENTS)
    logits, factor = LOGITS, jnp.ones_like(given.reward)
    for agent in np.asarray(order):
        mask, action = given.observation.mask[:, :, agent], given.action[:, :, agent]

        def likely(row, mask=mask, action=action):
            said = jax.nn.log_softmax(jnp.where(mask, row[None, None], -1e9), axis=-1)
            return jnp.take_along_axis(said, action[..., None], axis=-1)[..., 0]

        def loss(row, agent=agent, likely=likely, factor=factor):
            ratio = jnp.exp(likely(row) - given.log_prob[:, :, agent])
            return -jnp.mean(ratio * factor * advantage[:, :, agent])

        slope = jax.grad(loss)(logits[agent])
        before, row = likely(logits[agent]), logits[agent] - 0.1 * slope / (jnp.abs(slope) + 1e-5)
        assert before.shape == factor.shape
        factor = factor * jnp.exp(likely(row) - given.log_prob[:, :, agent])
        logits = logits.at[agent].set(row)
    np.testing.assert_allclose(moved, logits, rtol=1e-3, atol=1e-4)


def test_an_optimiser_each(given):
    advantage = jnp.zeros_like(given.log_prob).at[..., 1].set(1.0)
    ascent, policy = InTurn(each=each()), Independent(net=Tabular(LOGITS))
    start = ascent.init(policy)
    _, state, metrics = jax.jit(lambda key: ascent(policy, start, given, advantage, ZERO, key))(
        jax.random.key(0)
    )
    counts = jax.tree.leaves(jax.tree.map(lambda x: x, state))[0]
    assert counts.tolist() == [1] * AGENTS
    moments = [x for x in jax.tree.leaves(state) if x.shape == LOGITS.shape]
    for moment in moments:
        assert float(jnp.abs(moment[1]).max()) > 0
        assert float(jnp.abs(moment[jnp.array([0, 2])]).max()) == 0
    assert set(metrics) >= {"surrogate", "entropy", "divergence", "gradient_norm"}
