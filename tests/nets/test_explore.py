import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import Tabular
from descant.core.types import Observation, World
from descant.nets.explore import Exploring

NET = Tabular(jnp.array([[0.0, 1.0, 3.0, 2.0], [1.0, 0.0, 0.0, 0.0]]))
SEEN = Observation(
    local=jnp.zeros((2, 1)),
    world=World(entities=jnp.zeros((0, 0)), globals=jnp.zeros(0)),
    mask=jnp.array([[True, True, False, True], [True, True, True, True]]),
    active=jnp.ones(2, bool),
)


def chances(epsilon, soft=False):
    policy = Exploring(NET, jnp.float32(epsilon), soft=soft)
    return np.exp(policy.log_probabilities(SEEN))


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_the_best_legal_action_or_any(epsilon):
    rest = np.array([[1, 1, 0, 1], [0.75, 0.75, 0.75, 0.75]]) * epsilon / 3
    rest[0, 3] += 1 - epsilon
    rest[1, 0] += 1 - epsilon
    np.testing.assert_allclose(chances(epsilon), rest, atol=1e-6)


def test_soft_agents_draw_by_the_softmax():
    logits = np.array([0.0, 1.0, 2.0])
    wanted = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(chances(0.0, True)[0, [0, 1, 3]], wanted, rtol=1e-5)
    np.testing.assert_allclose(chances(0.4, True)[0, [0, 1, 3]], 0.6 * wanted + 0.4 / 3, rtol=1e-5)


def test_frequencies_follow_and_what_is_used_does_not_explore():
    policy = Exploring(NET, jnp.float32(0.5))
    keys = jax.random.split(jax.random.key(0), 4000)
    action, log_prob = jax.jit(jax.vmap(policy.sample, in_axes=(None, 0)))(SEEN, keys)
    often = np.bincount(action[:, 0], minlength=4) / 4000
    np.testing.assert_allclose(often, chances(0.5)[0], atol=0.03)
    np.testing.assert_allclose(np.exp(log_prob[:, 0]), chances(0.5)[0][action[:, 0]], rtol=1e-5)
    assert policy.act(SEEN, keys[0]).tolist() == policy.best(SEEN).tolist() == [3, 0]
