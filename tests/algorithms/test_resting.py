"""What an agent's last act is worth, where it then rests and its team goes on."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import SMALL
from descant.algorithms import _settings, coma, ippo
from descant.train.collect import collect, open_worlds
from toys import rest

TOY = rest.make(rest.Config())
TICKS, SCENARIOS, DISCOUNT = TOY.env.spec.horizon, 8, 0.9
WORTH = (1 - DISCOUNT ** np.arange(TICKS, 0, -1)) / (1 - DISCOUNT)
"""At each tick; nothing that anybody does changes it."""
BASE = replace(
    SMALL,
    net="mlp",
    hidden=16,
    discount=DISCOUNT,
    # Values are made of those of the next tick and nothing else.
    trace=0.0,
    critic_rate=1e-2,
    critic_epochs=8,
    minibatch=16,
    rate_decay="constant",
)
CRITIC = _settings.Critic(trace=0.0, lag=0.1, hidden=16)


def learnt(algorithm):
    """The learner after some iterations, and what it has seen last."""

    def iteration(carry, key):
        learner, worlds = carry
        worlds, seen = collect(algorithm, learner, TOY.env, worlds, key, TICKS, renew=True)
        learner, _ = algorithm.update(learner, seen, jnp.float32(0), key)
        return (learner, worlds), None

    @jax.jit
    def learn(key):
        learner = algorithm.init(key)
        worlds = open_worlds(TOY.env, key, SCENARIOS, memory=algorithm.begin(learner))
        (learner, worlds), _ = jax.lax.scan(iteration, (learner, worlds), jax.random.split(key, 60))
        return learner, collect(algorithm, learner, TOY.env, worlds, key, TICKS, renew=True)[1]

    return learn(jax.random.key(0))


def test_a_critic_of_own_views_knows_what_follows_the_last_act():
    _, seen = learnt(ippo.make(ippo.Config(base=BASE), TOY))
    value = np.asarray(seen.value).mean(axis=1)
    # Agents see the same at the first tick. Of the others, the one that rests can know the mean.
    np.testing.assert_allclose(value[0], WORTH[0], rtol=0.1)
    assert value[1:, 1] == pytest.approx(value[1, 1])
    assert WORTH[-1] < value[1, 1] < WORTH[0]


def test_a_critic_of_actions_does_too():
    algorithm = coma.make(coma.Config(base=BASE, critic=CRITIC), TOY)
    learner, seen = learnt(algorithm)
    critic = algorithm.actions
    mean, deviation = critic.lesson.fit.scale(learner.actions.values)
    said = mean + deviation * critic._judged(learner.actions.net, seen.observation, seen.action)
    np.testing.assert_allclose(np.asarray(said).mean(axis=1)[0], WORTH[0], rtol=0.1)
