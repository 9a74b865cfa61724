"""What theory says value-based learners can and cannot find in games with known optima, when all
joint actions are seen alike; `benchmarks/factored.py` is the long version."""

import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import TINY
from descant.algorithms import facmac, qmix, qplex, vdn
from descant.core.types import Rollout
from descant.domains import matrix
from descant.domains.matrix.payoffs import payoffs
from descant.ops import moments

BASE = replace(
    TINY, hidden=16, updates=1000, minibatch=32, rate=6e-3, rate_stop=6e-3, epsilon_stop=1.0
)
MAKERS = {
    "vdn": lambda domain: vdn.make(vdn.Config(base=BASE), domain),
    "qmix": lambda domain: qmix.make(qmix.Config(base=BASE, embed=8, hyper=8), domain),
    "qplex": lambda domain: qplex.make(qplex.Config(base=BASE, hyper=32), domain),
    "facmac": lambda domain: facmac.make(facmac.Config(base=BASE, actor_rate=6e-3), domain),
}
TRAP = payoffs(matrix.Config(game="table5a"))
SORTED = payoffs(matrix.Config(game="monotone", draw=2))
DOMAIN = matrix.make(matrix.Config())
JOINT = jnp.array(list(itertools.product(range(3), repeat=2)))
SEEDS = 2


@pytest.fixture(scope="module")
def learnt():
    """Greedy payoffs [S] and root mean squared errors [S] in two games, by algorithm."""
    found = {}

    def learn(name):
        if name not in found:
            found[name] = play(MAKERS[name](DOMAIN))
        return found[name]

    return learn


def play(algorithm):
    _, seen = DOMAIN.env.reset(jax.random.key(0))

    def one(table, key):
        learner = algorithm.init(key)
        rollout = everything(table, seen)
        learner, _ = algorithm.update(learner, rollout, jnp.float32(0), key)
        action = algorithm.policy(learner).best(seen)
        rows = jax.nn.one_hot(JOINT, 3)
        said = jax.vmap(learner.brain.joint, in_axes=(None, 0))(seen, rows)[:, 0]
        mean, deviation = moments.read(learner.values)
        error = jnp.sqrt(jnp.mean((mean + deviation * said - table.reshape(-1)) ** 2))
        return table[tuple(action)], error

    keys = jax.random.split(jax.random.key(0), SEEDS)
    each = jax.jit(jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None)))
    trap, ranked = zip(*each(jnp.stack([TRAP, SORTED]), keys), strict=True)
    return {"trap": trap, "sorted": ranked}


def everything(table, seen):
    """A rollout of one tick, in which every joint action is played once."""
    spread = lambda x: jnp.broadcast_to(x, (1, 9, *x.shape))  # noqa: E731
    nothing = jnp.zeros((1, 9, 1))
    return Rollout(
        observation=jax.tree.map(spread, seen),
        action=JOINT[None],
        log_prob=jnp.zeros((1, 9, 2)),
        value=nothing,
        bootstrap=nothing,
        reward=table.reshape(1, 9),
        terminated=jnp.ones((1, 9), bool),
        truncated=jnp.zeros((1, 9), bool),
        context=(),
        probes={},
        diagnostics={},
    )


@pytest.mark.parametrize("name", ["vdn", "qmix", "qplex", "facmac"])
def test_all_find_the_optimum_where_each_agent_can_rank_its_actions(name, learnt):
    payoff, _ = learnt(name)["sorted"]
    np.testing.assert_allclose(payoff, SORTED.max(), rtol=1e-6)


def test_qplex_finds_it_where_nobody_can(learnt):
    payoff, _ = learnt("qplex")["trap"]
    np.testing.assert_array_equal(payoff, 2)


def test_a_sum_settles_for_the_safe_action(learnt):
    payoff, error = learnt("vdn")["trap"]
    np.testing.assert_array_equal(payoff, 1)
    rows, columns = TRAP.mean(axis=1, keepdims=True), TRAP.mean(axis=0, keepdims=True)
    least = np.sqrt(np.mean((TRAP - rows - columns + TRAP.mean()) ** 2))
    assert (least - 1e-3 < error).all() and (error < 1.1 * least).all()


def test_a_monotone_mix_cannot_say_what_the_trap_pays(learnt):
    """The nearest monotone table, over all rankings of both agents' actions, is off by 1.099."""
    _, error = learnt("qmix")["trap"]
    assert (error > 1.098).all() and (error < 1.4).all()


def test_what_missing_an_action_costs_qplex_hangs_on_whether_payoffs_follow_at_once():
    longer = replace(DOMAIN, env=replace(DOMAIN.env, spec=replace(DOMAIN.env.spec, horizon=2)))

    def steps(domain, **values):
        learner = qplex.make(qplex.Config(base=BASE, **values), domain).init(jax.random.key(0))
        return learner.brain.joint.mixer.step is not None

    assert steps(DOMAIN) and not steps(longer)
    assert steps(longer, advantage="stepped") and not steps(DOMAIN, advantage="graded")
