from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import SMALL
from descant.algorithms import _settings, maipg
from descant.ascent.together import chunks, followed, fresh
from descant.core.types import Signal
from descant.credit.schedules import Constant
from descant.domains import particle
from descant.evaluate.rollouts import gradients
from descant.train.collect import collect, open_worlds

NU, CHUNK, SCENARIOS = 0.3, 3, 4
WORLD = particle.make(particle.Config(agents=2, horizon=5, task="line"))


@pytest.mark.parametrize("net", ["mlp", "gru"])
def test_their_mean_is_what_the_first_epoch_climbs(net):
    base = replace(SMALL, net=net, chunk=CHUNK, entropy=0.0, entropy_stop=0.0)
    config = maipg.Config(base=base, critic=_settings.Critic(hidden=8, depth=1), nu=NU, embed=4)
    algorithm = maipg.make(config, WORLD)
    length = CHUNK if net == "gru" else 1

    @jax.jit
    def both(key):
        learner = algorithm.init(key)
        worlds = open_worlds(WORLD.env, key, SCENARIOS, memory=algorithm.begin(learner))
        rollout = collect(algorithm, learner, WORLD.env, worlds, key, 6, renew=True)[1]
        each = gradients(algorithm, learner, rollout, fresh(rollout).at[::length].set(True))

        start = Signal(rollout.reward, jnp.zeros_like(rollout.log_prob), rollout.value)
        signal, _ = algorithm.credit(start, rollout, jnp.float32(0), learner.credit)
        ascent = replace(algorithm._climbing(learner.actions, signal), entropy=Constant(0.0))
        # As an update has it: with what the critic of actions remembers of each tick.
        seen = algorithm._read(learner, rollout)
        pieces = chunks((seen, signal.advantage), fresh(rollout), length)

        def loss(actor):
            ticks, advantage = followed(actor.follow, pieces)
            return ascent._loss(actor, ticks, advantage, None, jnp.float32(0))[0]

        slope = jax.grad(loss)(eqx.filter(learner.actor, eqx.is_inexact_array))
        leaves = [x.reshape(-1) for x in jax.tree.leaves(slope)]
        return each, jnp.concatenate(leaves)

    each, slope = both(jax.random.key(0))
    assert each.shape == (SCENARIOS, 2, slope.size)
    learning, value = each.mean(axis=0)
    np.testing.assert_allclose((1 - NU) * learning + NU * value, -slope, atol=1e-5)
    assert np.abs(value).max() > 1e-4 and np.abs(learning).max() > 1e-4
    assert np.std(each, axis=0).max() > 1e-3
