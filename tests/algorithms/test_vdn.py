from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import TINY
from descant.algorithms import iql, vdn
from descant.train.loop import begin, iterate, plan
from toys import balance

ITERATIONS = 3


def train(toy, algorithm):
    what = plan(algorithm, toy.env, rollouts=2, steps=0, iterations=ITERATIONS)

    @jax.jit
    def run(key):
        step = lambda run, index: (iterate(what, run, key, index)[0], None)  # noqa: E731
        return jax.lax.scan(step, begin(what, key), jnp.arange(ITERATIONS))[0]

    return run(jax.random.key(0)).learner


@pytest.mark.parametrize("net", ["mlp", "gru"])
def test_vdn_with_one_agent_is_iql_with_one_agent(net):
    toy = balance.make(balance.Config(agents=1))
    base = replace(TINY, net=net, span=2, chunk=2, burn=1, trace=0.5)
    learners = [train(toy, m) for m in (iql.make(base, toy), vdn.make(vdn.Config(base), toy))]
    one, other = (jax.tree.leaves_with_path((x.brain, x.target)) for x in learners)
    for (path, x), (_, y) in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, y, err_msg=jax.tree_util.keystr(path))
