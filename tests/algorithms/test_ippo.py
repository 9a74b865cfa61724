import jax
import jax.numpy as jnp

from builders import SMALL, observations
from descant.algorithms import ippo
from toys import balance

CONFIG = balance.Config()
TOY = balance.make(CONFIG)


def test_every_agent_has_a_critic_of_its_own_view():
    algorithm = ippo.make(ippo.Config(base=SMALL), TOY)
    learner = jax.jit(lambda key: algorithm.init(key))(jax.random.key(0))
    observation = jax.tree.map(lambda x: x[0], observations(CONFIG, jax.random.key(0), 1))
    value = jax.jit(lambda learner, o: algorithm.value(learner, o))
    views = value(learner, observation)
    assert views.shape == (3,)
    local = observation.local.at[1].add(0.5)
    moved = value(learner, type(observation)(local, *vars_of(observation)[1:]))
    assert (jnp.abs(moved - views) > 1e-6).tolist() == [False, True, False]


def vars_of(observation):
    return [observation.local, observation.world, observation.mask, observation.active]
