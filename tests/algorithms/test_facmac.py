"""FACMAC where actions are points; `test_value.py` and `test_games.py` have it choose."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import TINY
from descant.algorithms import facmac, iql, qmix, qplex, vdn
from descant.core.errors import UserError
from descant.testing.contracts import check_algorithm
from descant.train.loop import begin, iterate, plan
from toys import bowl

BASE = replace(TINY, hidden=32, updates=40, minibatch=64, replay=1024, rate=6e-3)
SMALL = facmac.Config(base=BASE, embed=8, hyper=16)
DOMAIN = bowl.make(bowl.Config())
ITERATIONS, ROLLOUTS = 150, 32


@pytest.fixture(scope="module")
def learnt():
    """Points that two learners go for, what they pay, what was remembered, and first returns."""
    algorithm = facmac.make(SMALL, DOMAIN)
    what = plan(algorithm, DOMAIN.env, rollouts=ROLLOUTS, steps=0, iterations=ITERATIONS)

    def one(key):
        step = lambda run, index: iterate(what, run, key, index)  # noqa: E731
        run, metrics = jax.lax.scan(step, begin(what, key), jnp.arange(ITERATIONS))
        state, seen = DOMAIN.env.reset(key)
        point = algorithm.policy(run.learner).best(seen)
        paid = DOMAIN.env.step(key, state, point)[1].reward
        return point, paid, run.learner.ring.ticks.action, metrics["return"]

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 2))


def test_it_finds_the_best_joint_point_within_the_cube(learnt):
    point, paid, _, returns = learnt
    wanted, most = bowl.optimum(DOMAIN)
    assert np.abs(wanted).max() == pytest.approx(1), "a bound of the cube is met"
    np.testing.assert_allclose(point, np.broadcast_to(wanted, point.shape), atol=0.25)
    assert (most - paid < 0.05 * (most - returns[:, 0])).all()


def test_what_is_remembered_was_played(learnt):
    """Noise leads out of the cube at first; the domain takes the nearest point."""
    _, _, remembered, _ = learnt
    assert float(jnp.abs(remembered).max()) == 1
    spread = jnp.std(remembered, axis=1).mean()
    assert 0 < float(spread) < 0.2, "noise has fallen, and is still there"


def test_exploration_is_noise_around_the_point_and_nothing_in_use():
    algorithm = facmac.make(SMALL, DOMAIN)
    learner = replace(algorithm.init(jax.random.key(0)), epsilon=jnp.float32(0.3))
    _, seen = DOMAIN.env.reset(jax.random.key(0))
    policy, keys = algorithm.policy(learner), jax.random.split(jax.random.key(1), 2000)
    action, log_prob = jax.jit(jax.vmap(policy.sample, (None, 0)))(seen, keys)
    middle = policy.act(seen, keys[0])[None]
    np.testing.assert_allclose(action.mean(0), middle[0], atol=0.03)
    np.testing.assert_allclose(action.std(0), 0.3, rtol=0.1)
    density = -0.5 * ((action - middle) / 0.3) ** 2 - np.log(0.3 * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(log_prob, density.sum(-1), rtol=1e-3, atol=1e-3)


def test_contract_where_actions_are_points():
    check_algorithm(lambda d: facmac.make(facmac.Config(base=TINY), d), DOMAIN)


@pytest.mark.parametrize("module", [iql, vdn, qmix, qplex])
def test_those_that_compare_choices_refuse_points_and_name_what_takes_them(module):
    with pytest.raises(UserError, match=r"^Actions of 'bowl' are .* MAPPO, MAIPG and FACMAC take"):
        module.make(module.Config(), DOMAIN)
