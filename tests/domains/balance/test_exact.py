import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.domains import balance
from descant.domains.balance import exact
from descant.domains.balance.world import dropped, potential

AGENTS, RESOURCES = 4, 3
JOINT = np.array(list(itertools.product(range(RESOURCES), repeat=AGENTS)))
BASELINE, UNIT = jnp.float32(-0.1), jnp.float32(2)


@pytest.fixture(scope="module")
def given():
    """A state with unequal loads, probabilities, and the reward of every joint action."""
    env = balance.make(balance.Config(agents=AGENTS, resources=RESOURCES)).env
    state, _ = env.reset(jax.random.key(1))
    state = state._replace(level=jnp.array([0.3, 0.8, 0.1]))
    chances = jax.nn.softmax(jax.random.normal(jax.random.key(2), (AGENTS, RESOURCES)))
    chosen = jax.nn.one_hot(JOINT, RESOURCES)
    reward = -jax.vmap(lambda a: potential(state, dropped(state, a)))(chosen)
    weight = np.prod(np.asarray(chances)[np.arange(AGENTS), JOINT], axis=1)
    return state, chances, np.asarray(reward, np.float64), weight


def moments(values, weight):
    mean = weight @ values / weight.sum()
    return mean, weight @ (values - mean) ** 2 / weight.sum()


def test_reward_given_an_action(given):
    state, chances, reward, weight = given
    mean, variance = exact.reward_given(state, chances)
    for i, j in itertools.product(range(AGENTS), range(RESOURCES)):
        here = JOINT[:, i] == j
        np.testing.assert_allclose(
            [mean[i, j], variance[i, j]], moments(reward[here], weight[here]), rtol=1e-4
        )


def enumerated(coefficient, chances, weight):
    """Mean, variance and the others' share of it, agent by agent, by summing over all joint
    actions; `coefficient` is [joint, N]."""
    score = np.eye(RESOURCES)[JOINT] - np.asarray(chances)[None]
    g = score * coefficient[..., None]
    mean = np.einsum("s,sia->ia", weight, g)
    variance = np.einsum("s,sia->i", weight, (g - mean) ** 2)
    others = np.zeros(AGENTS)
    for i, j in itertools.product(range(AGENTS), range(RESOURCES)):
        here = JOINT[:, i] == j
        _, spread = moments(g[here, i], weight[here])
        others[i] += weight[here].sum() * spread.sum()
    return mean, variance, others


def test_learning_noise(given):
    state, chances, reward, weight = given
    coefficient = np.broadcast_to(((reward + 0.1) / 2)[:, None], JOINT.shape)
    found = exact.learning(state, chances, BASELINE, UNIT)
    for a, b in zip(found, enumerated(coefficient, chances, weight), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_mean_of_learning_is_the_gradient_of_the_expected_reward(given):
    state, chances, *_ = given
    found = exact.learning(state, chances, BASELINE, UNIT)
    wanted = exact.exact_gradient(state, chances) / UNIT
    np.testing.assert_allclose(found.mean, wanted, rtol=1e-4, atol=1e-6)


def test_guidance_noise(given):
    state, chances, _, weight = given
    model = balance.make(balance.Config()).model

    def slopes(action):
        chosen = jax.nn.one_hot(action, RESOURCES)
        return jnp.sum(jax.grad(model.potential, argnums=1)(state, chosen) * chosen, axis=-1)

    coefficient = (np.asarray(jax.vmap(slopes)(jnp.asarray(JOINT)), np.float64) + 0.1) / 2
    found = exact.guidance(state, chances, BASELINE, UNIT)
    for a, b in zip(found, enumerated(coefficient, chances, weight), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
