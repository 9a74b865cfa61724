import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.domains import cloud
from descant.domains.cloud.barrier import KNEE, Crowding, barrier

SIZE = {"horizon": 40, "arrivals": 30, "utilisation": (1.5, 1.5), "load": "true", "agents": 5}


@pytest.fixture(scope="module", params=[0, 3], ids=["servers", "groups"])
def busy(request):
    """A crowded cluster of six servers: domain, state and observation after ten random ticks."""
    domain = cloud.make(cloud.Config(servers=6, clusters=request.param, **SIZE))
    env = domain.env

    def play(key):
        state, observation = env.reset(key)
        # A fifth of the machines, so that jobs must wait.
        scenario = eqx.tree_at(lambda s: s.capacity, state.scenario, state.scenario.capacity // 5)
        state = eqx.tree_at(
            lambda s: (s.scenario, s.tables), state, (scenario, env.prepare(scenario))
        )

        def tick(carry, key):
            state, _ = carry
            state, step = env.step(key, state, domain.rules["random"](state, carry[1], key))
            return (state, step.observation), None

        return jax.lax.scan(tick, (state, observation), jax.random.split(key, 20))[0]

    state, observation = jax.jit(play)(jax.random.key(3))
    assert jnp.sum(observation.active) == 5
    assert jnp.sum(state.servers.waiting) > 0
    return domain, state, observation


def actions_of(domain, count=20):
    spec = domain.env.spec
    return jax.random.randint(jax.random.key(0), (count, spec.agents), 0, spec.actions)


def test_the_barrier_is_smooth_at_its_knee():
    slope = jax.grad(barrier)
    below, above = (float(slope(jnp.float32(KNEE + step))) for step in (-1e-3, 1e-3))
    assert above == pytest.approx(below, rel=0.05)
    assert float(barrier(jnp.float32(0.5))) == pytest.approx(np.log(2), rel=1e-6)
    assert float(slope(jnp.float32(0.5))) == pytest.approx(2.0, rel=1e-6)
    assert np.all(np.diff(jax.vmap(slope)(jnp.arange(0, 3, 0.02))) > 0)


def test_moves_of_the_model_are_moves_of_the_world(busy):
    """Server by server, to the last unit: the model's agents end where the world puts their
    jobs."""
    domain, state, _ = busy
    model, env = domain.model, domain.env

    @jax.jit
    def both(action):
        context = model.context(state)

        def step(position, agent):
            return model.move(context, position, agent, action[agent]), None

        agents = jnp.arange(env.spec.agents)
        return jax.lax.scan(step, model.begin(context), agents)[0], env.place(state, action).servers

    for action in actions_of(domain):
        position, servers = both(action)
        np.testing.assert_array_equal(position.running, servers.running)
        np.testing.assert_array_equal(position.queued, servers.queued)


def test_charges_are_changes_of_the_potential_and_of_the_queue(busy):
    """What agents are charged in turn adds up to the change of d, and blocking for each that waits;
    with one server per group, where load per group is all there is."""
    domain, state, _ = busy
    model, env = domain.model, domain.env
    if env.groups < env.workload.servers:
        pytest.skip("inside a group, d knows the load of the group only")

    @jax.jit
    def three(action):
        context = model.context(state)
        chosen = jax.nn.one_hot(action, env.groups)
        change = model.potential(context, chosen) - model.potential(context, 0 * chosen)
        waiting = jnp.sum(env.place(state, action).servers.waiting - state.servers.waiting)
        return jnp.sum(model.marginal(context, action)), change, waiting

    waited = 0
    for action in actions_of(domain):
        charged, change, waiting = three(action)
        blocked = model.blocking / env.workload.servers * waiting
        assert charged == pytest.approx(float(change + blocked), rel=1e-3, abs=1e-4)
        waited += int(waiting)
    assert waited > 0


def test_alternatives_leave_the_others_where_they_are(busy):
    """An agent's alternatives are what the last of the tick would be charged, were it that
    agent."""
    domain, state, _ = busy
    model = domain.model
    context = model.context(state)
    agents = domain.env.spec.agents

    @jax.jit
    def last(action, order):
        moved = context._replace(demand=context.demand[order])
        return model.in_turn(moved, action[order])[-1]

    alternatives = jax.jit(model.alternatives)
    for action in actions_of(domain, 5):
        value = alternatives(context, action)
        # The last agent really is the last.
        np.testing.assert_allclose(
            value[-1], last(action, jnp.arange(agents)), rtol=1e-3, atol=1e-5
        )


def test_expected_is_the_mean_potential_to_second_order(busy):
    domain, state, _ = busy
    model = domain.model
    context = model.context(state)
    spec = domain.env.spec
    key = jax.random.key(1)
    probabilities = jax.nn.softmax(jax.random.normal(key, (spec.agents, spec.actions)))
    some = [range(spec.actions)] * spec.agents
    joint = jnp.array(list(itertools.product(*some)))[:: max(1, spec.actions**spec.agents // 4000)]
    weight = jnp.prod(probabilities[jnp.arange(spec.agents), joint], axis=-1)
    value = jax.jit(jax.vmap(lambda a: model.potential(context, jax.nn.one_hot(a, spec.actions))))
    mean = jnp.sum(weight * value(joint)) / jnp.sum(weight)
    relaxed = jax.jit(model.potential)(context, probabilities)
    expected = jax.jit(model.expected)(context, probabilities)
    assert abs(expected - mean) < max(abs(relaxed - mean), 2e-2 * abs(mean))


def test_inactive_agents_are_charged_nothing(busy):
    domain, state, _ = busy
    model = domain.model
    context = model.context(state)
    context = context._replace(demand=context.demand.at[1].set(0))
    action = actions_of(domain)[0]
    assert jax.jit(model.marginal)(context, action)[1] == 0
    np.testing.assert_array_equal(jax.jit(model.alternatives)(context, action)[1], 0)


def test_a_crowded_server_is_charged_more():
    """Two equal servers, one of them fuller: the fuller one costs more, and much more if a job
    would have to wait there."""
    env = cloud.make(cloud.Config(servers=2, **SIZE)).env
    model = Crowding(env=env, weight=1.0, blocking=100.0)
    state, _ = env.reset(jax.random.key(0))
    capacity = jnp.array([[32_000, 131_072], [32_000, 131_072]], jnp.int32)
    context = model.context(state)._replace(
        capacity=capacity,
        running=jnp.array([[16_000, 65_536], [28_000, 65_536]], jnp.int32),
        queued=jnp.zeros((2, 2), jnp.int32),
        price=jnp.zeros(2),
        demand=jnp.zeros_like(model.context(state).demand).at[0].set(jnp.array([2_000, 4_096])),
    )
    charge = eqx.filter_jit(model.turn)(context, model.begin(context), jnp.int32(0))
    assert 0 < charge[0] < charge[1] < 1
    tight = context._replace(running=context.running.at[1, 0].set(31_000))
    charge = eqx.filter_jit(model.turn)(tight, model.begin(tight), jnp.int32(0))
    assert charge[1] > model.blocking / 2
