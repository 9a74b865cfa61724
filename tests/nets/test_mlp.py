import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from builders import observations
from descant.nets import mlp
from toys import balance

CONFIG = balance.Config(agents=3, bins=4)
SPEC = balance.make(CONFIG).env.spec
KEY = jax.random.key(0)


def one(seed=0, config=CONFIG):
    return jax.tree.map(lambda x: x[0], observations(config, jax.random.key(seed), 1))


def test_layers_keep_the_variance_of_their_input_times_gain_squared():
    net = mlp.layers(KEY, [300, 200, 100], last=0.01)
    for weight, gain in zip(net.weights, [2**0.5, 0.01], strict=True):
        assert float(jnp.std(weight)) == pytest.approx(gain / len(weight) ** 0.5, rel=0.02)
        assert float(jnp.abs(jnp.mean(weight))) < 0.01 * gain
    assert all(float(jnp.abs(bias).max()) == 0 for bias in net.biases)


def test_layers_take_any_batch_axes():
    net = mlp.layers(KEY, [3, 5, 2])
    net = jax.tree.map(lambda x: x + 0.1, net)
    x = jax.random.normal(KEY, (4, 6, 3))
    each = jax.vmap(jax.vmap(net))(x)
    np.testing.assert_allclose(net(x), each, rtol=1e-5, atol=1e-6)
    (first, last), (bias, _) = net.weights, net.biases
    by_hand = jnp.tanh(x @ first + bias[None, None]) @ last + 0.1
    np.testing.assert_allclose(net(x), by_hand, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("world", [True, False])
def test_per_agent_is_one_network_on_concatenated_views(depth, world):
    config = balance.Config(agents=3, bins=4, world=world)
    spec, observation = balance.make(config).env.spec, one(config=config)
    net = mlp.per_agent(KEY, spec, hidden=8, depth=depth, embedding=4)
    net = jax.tree.map(lambda x: x + 0.01, net)
    weight = jnp.concatenate([net.shared, net.own])
    common = mlp.shared_view(observation, spec)
    assert common.shape == (mlp.shared_size(spec),)
    for agent in range(3):
        row = jnp.concatenate([common, observation.local[agent], net.embedding[agent]])
        logits = row @ weight + net.bias
        logits = logits if depth == 0 else net.rest(jnp.tanh(logits))
        np.testing.assert_allclose(net(observation)[agent], logits, rtol=1e-4, atol=1e-5)


def test_only_the_index_tells_equal_agents_apart():
    observation = one(config=balance.Config(world=False))
    spec = balance.make(balance.Config(world=False)).env.spec
    with_index = mlp.per_agent(KEY, spec, hidden=8, depth=1, embedding=4)(observation)
    without = mlp.per_agent(KEY, spec, hidden=8, depth=1, embedding=0)(observation)
    assert float(jnp.abs(with_index[0] - with_index[1]).max()) > 1e-5
    np.testing.assert_allclose(without[0], without[1], rtol=1e-5, atol=1e-7)


def test_the_linear_model_is_linear():
    net = mlp.per_agent(KEY, SPEC, depth=0)
    assert net.embedding.shape == (3, 0)
    a, b = one(0), one(1)
    middle = jax.tree.map(lambda x, y: x if x.dtype == bool else (x + y) / 2, a, b)
    np.testing.assert_allclose(net(middle), (net(a) + net(b)) / 2, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("depth", [0, 2])
def test_flat_critic_sees_the_world_and_the_view(depth):
    net = mlp.flat(KEY, SPEC, hidden=8, depth=depth)
    observation = one()
    value = net(observation, observation.local[0])
    row = jnp.concatenate([mlp.shared_view(observation, SPEC), observation.local[0]])
    assert value.shape == ()
    np.testing.assert_allclose(value, net.body(row)[0], rtol=1e-6)
    assert float(value) != float(net(observation, observation.local[0] + 1))
    assert float(value) != float(net(one(5), observation.local[0]))


def test_where_nothing_is_shared_agents_see_their_own_view_and_critics_all():
    spec, observation = dataclasses.replace(SPEC, shared=False), one()
    other = dataclasses.replace(observation, local=observation.local.at[1].add(1.0))
    actor = mlp.per_agent(KEY, spec, hidden=8, depth=1, embedding=2)
    moved = jnp.abs(actor(other) - actor(observation)).max(axis=-1) > 1e-6
    assert moved.tolist() == [False, True, False]
    critic = mlp.flat(KEY, spec, hidden=8, depth=1)
    view = observation.local[0]
    assert float(critic(other, view)) != float(critic(observation, view))
    assert critic.body.weights[0].shape[0] == mlp.whole_size(spec) + spec.local


def test_a_critic_alone_sees_one_view():
    observation = one()
    other = dataclasses.replace(
        observation,
        local=observation.local + 1.0,
        world=dataclasses.replace(observation.world, globals=observation.world.globals + 1.0),
    )
    critic, view = mlp.Alone(mlp.flat(KEY, SPEC, hidden=8, depth=1)), observation.local[0]
    assert float(critic(other, view)) == float(critic(observation, view))
    assert float(critic(observation, view)) != float(critic(observation, view + 1.0))


def test_leanings_stand_whatever_is_seen():
    net = mlp.per_agent(KEY, SPEC, hidden=8, depth=1, embedding=4)
    leaning = mlp.leaning(KEY, net, SPEC, 2.0)
    for observation in (one(0), one(1)):
        np.testing.assert_allclose(leaning(observation) - net(observation), leaning.bias, atol=1e-5)
    assert leaning.bias.shape == (SPEC.agents, SPEC.actions)


class TestOwners:
    """Agents with weights of their own."""

    @pytest.mark.parametrize("depth", [0, 2])
    def test_each_agent_has_the_network_of_its_owner(self, depth):
        observation, owners = one(), (1, 0, 1)
        net = mlp.per_agent(KEY, SPEC, hidden=8, depth=depth, embedding=4, owners=owners)
        net = jax.tree.map(lambda x: x + 0.01, net)
        said = net(observation)
        sets = ("shared", "own", "bias", "rest")
        for agent, owner in enumerate(owners):
            mine = {
                name: jax.tree.map(lambda x, o=owner: x[o], getattr(net, name)) for name in sets
            }
            if mine["rest"] is not None:
                mine["rest"] = dataclasses.replace(mine["rest"], owners=None)
            alone = dataclasses.replace(net, owners=None, **mine)(observation)[agent]
            np.testing.assert_allclose(said[agent], alone, rtol=1e-4, atol=1e-5)

    def test_sets_of_weights_differ_and_a_batch_goes_through(self):
        net = mlp.layers(KEY, [3, 5, 2], owners=(0, 1, 2, 3))
        assert len({float(w) for w in net.weights[0][:, 0, 0]}) == 4
        x = jax.random.normal(KEY, (6, 4, 3))
        np.testing.assert_allclose(net(x), jax.vmap(net)(x), rtol=1e-5, atol=1e-6)
