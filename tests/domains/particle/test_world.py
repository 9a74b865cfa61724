from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.algorithms import ippo, mappo
from descant.core.errors import UserError
from descant.domains import particle
from descant.domains.particle.world import Particles
from descant.testing.contracts import check_algorithm, check_domain

KEY = jax.random.key(0)
MLP = mappo.Config(net="mlp", hidden=8, depth=1, embedding=2, minibatch=4)


def test_contract_where_episodes_may_end_early_and_for_one_agent():
    check_domain(particle.make(particle.Config(task="line", agents=1, others=False, horizon=6)))


def world(config) -> Particles:
    env = particle.make(config).env
    assert isinstance(env, Particles)
    return env


def test_agents_see_themselves_landmarks_and_others_from_where_they_are():
    env = world(particle.Config())
    state, _ = env.reset(KEY)
    state = state._replace(velocity=jnp.arange(6.0).reshape(3, 2))
    seen = env.observe(state)
    place, marks = np.asarray(state.position), np.asarray(state.landmarks)
    for i in range(3):
        others = [place[j] - place[i] for j in range(3) if j != i]
        wanted = [state.velocity[i], place[i], *(marks - place[i]), *others]
        np.testing.assert_allclose(seen.local[i], np.concatenate(wanted), rtol=1e-6)
    whole = [place.ravel(), np.arange(6.0), marks.ravel()]
    np.testing.assert_allclose(seen.world.globals, np.concatenate(whole), rtol=1e-6)


def test_agents_may_be_hidden_from_each_other():
    domain = particle.make(particle.Config(task="line", others=False))
    assert domain.env.spec.local == domain.env.reset(KEY)[1].local.shape[1] == 2 + 2 + 4
    assert not domain.env.spec.shared


def arrived(config):
    """A world in which everybody stands at a target."""
    env = world(config)
    state, _ = env.reset(KEY)
    return env, state._replace(position=env.task.targets(state.position, state.landmarks))


def test_success_ends_the_episode_and_nothing_costs_any_more():
    env, state = arrived(particle.Config(task="line", agents=3))
    step = jax.jit(env.step)
    state, end = step(KEY, state, jnp.array([2, 2, 2]))
    assert bool(end.terminated) and not bool(end.truncated)
    assert float(end.diagnostics["success"]) == 1
    later, after = step(KEY, state, jnp.array([2, 2, 2]))
    assert float(after.reward) == 0
    assert bool(after.terminated) and not after.observation.active.any()
    assert jnp.array_equal(later.position, state.position)


def test_an_episode_that_does_not_end_early_goes_on_paying():
    env, state = arrived(particle.Config(task="line", agents=3, early=False))
    step = jax.jit(env.step)
    assert env.spec.fixed
    costs = []
    for _ in range(5):
        state, end = step(KEY, state, jnp.array([2, 2, 2]))
        assert not bool(end.terminated)
        costs.append(float(end.reward))
    assert costs[-1] < -0.1


def test_the_standard_spread_never_ends_early():
    env, state = arrived(particle.Config())
    _, end = env.step(KEY, state, jnp.zeros((3,), jnp.int32))
    assert float(end.diagnostics["success"]) == 1
    assert not bool(end.terminated)


def test_a_pair_that_touches_is_one_collision():
    env, state = arrived(particle.Config())
    close = jnp.array([[0.0, 0.0], [0.2, 0.0], [2.0, 2.0]])
    _, end = env.step(KEY, state._replace(position=close), jnp.zeros((3,), jnp.int32))
    assert float(end.diagnostics["collisions"]) == 1


def test_algorithms_learn_on_it():
    domain = particle.make(particle.Config(task="formation", agents=2, horizon=6))
    check_algorithm(lambda d: mappo.make(MLP, d), domain)


@pytest.mark.parametrize("squash", ["clipped", "tanh"])
def test_forces_make_actions_continuous(squash):
    config = particle.Config(task="formation", agents=2, horizon=6, push="force")
    domain = particle.make(config)
    check_domain(domain)
    check_algorithm(lambda d: mappo.make(replace(MLP, squash=squash), d), domain)
    with pytest.raises(UserError, match=r"use --algorithm\.net mlp"):
        mappo.make(mappo.Config(), domain)


def test_agents_that_remember_learn_on_it():
    domain = particle.make(particle.Config(task="formation", agents=2, horizon=6))
    config = replace(MLP, net="gru", chunk=0)
    check_algorithm(lambda d: ippo.make(ippo.Config(base=config), d), domain)


def test_a_policy_acts_on_its_own_view_and_the_critic_on_all():
    domain = particle.make(particle.Config())
    algorithm = mappo.make(MLP, domain)
    learner = algorithm.init(KEY)
    _, observation = domain.env.reset(KEY)
    other = replace(observation, local=observation.local.at[1].add(1.0))
    action = jnp.zeros((3,), jnp.int32)
    said, then = (learner.actor.assess(o, action).log_prob for o in (observation, other))
    assert (jnp.abs(then - said) > 1e-6).tolist() == [False, True, False]
    value = jax.jit(lambda o: algorithm.value(learner, o))
    assert float(value(other)[0]) != float(value(observation)[0])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"agents": -1}, "domain.agents: expected at least 0, got -1"),
        ({"horizon": 0}, "domain.horizon: expected at least 1"),
        ({"local_ratio": 1.5}, "domain.local_ratio: expected 0 to 1, got 1.5"),
        ({"task": "line", "agents": 13}, "in line is found for up to 12 agents, got 13"),
    ],
)
def test_values_out_of_range_are_named(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        particle.make(particle.Config(**changes))
