from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import SMALL
from descant.algorithms import _settings, mean_field
from descant.domains import voter
from toys import balance

CONFIG = mean_field.Config(base=SMALL, critic=_settings.Critic(hidden=8, depth=1))


def test_around_are_neighbours_where_there_is_a_network():
    config = mean_field.Config(base=replace(SMALL, net="mlp"))
    domain = voter.make(voter.Config())
    heed = np.array(mean_field.make(config, domain).actions.heed)
    graph = domain.network.graph
    near = graph.balls(1)
    for i, (who, far) in enumerate(zip(near.member, near.distance, strict=True)):
        assert set(np.flatnonzero(heed[i])) == set(who[np.array(far) == 1])
    assert heed.sum(axis=1).min() >= 1


def test_elsewhere_everybody_else():
    actions = mean_field.make(CONFIG, balance.make(balance.Config())).actions
    np.testing.assert_array_equal(actions.heed, 1 - np.eye(3))


@pytest.mark.parametrize("who", [(1, 2), (2, 1)])
def test_only_the_mean_of_the_others_counts(who):
    """Who of them did what does not, and those who rest do not count."""
    toy = balance.make(balance.Config(idle=0.0))
    actions = mean_field.make(CONFIG, toy).actions
    observation = toy.env.reset(jax.random.key(0))[1]
    net = actions.lesson.make(jax.random.key(1))
    first, second = who
    action = jax.nn.one_hot(jnp.array([0, first, second]), 4)
    said = actions.choices(net, observation, action)[0]
    other = actions.choices(net, observation, action[jnp.array([0, 2, 1])])[0]
    np.testing.assert_allclose(said, other, rtol=1e-5, atol=1e-6)
    alone = replace(observation, active=jnp.array([True, True, False]))
    both = action.at[2].set(action[1])
    np.testing.assert_allclose(
        actions.choices(net, alone, action)[0],
        actions.choices(net, observation, both)[0],
        rtol=1e-5,
    )
