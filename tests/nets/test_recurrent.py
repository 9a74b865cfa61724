from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.nets import recurrent
from toys import echo

TOY = echo.make(echo.Config())
SPEC = TOY.env.spec
KEY = jax.random.key(0)
TICKS, HIDDEN = 5, 3


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(ear, seen, memory, agent=None):
    """One agent's tick: what libraries call a gated recurrent unit."""
    own = (
        (lambda w: np.asarray(w, float))
        if agent is None
        else (lambda w: np.asarray(w[agent], float))
    )
    x = np.maximum(seen @ own(ear.embed.weights[0]) + own(ear.embed.biases[0]), 0)
    heard = np.split(x @ own(ear.seen) + own(ear.bias), 3)
    kept = np.split(memory @ own(ear.remembered) + own(ear.offset), 3)
    reset, update = sigmoid(heard[0] + kept[0]), sigmoid(heard[1] + kept[1])
    new = np.tanh(heard[2] + reset * kept[2])
    return (1 - update) * new + update * memory


def ears(owners):
    ear = recurrent.ear(KEY, recurrent.own(SPEC), "actor", HIDDEN, owners)
    return jax.tree.map(lambda x: x + 0.1, ear)


def episode(ear):
    """Observations in a row, each with a memory of its own."""
    rng = np.random.default_rng(0)
    _, first = TOY.env.reset(KEY)
    memory = {"actor": jnp.asarray(rng.normal(size=(TICKS, 2, HIDDEN)), jnp.float32)}
    local = jnp.asarray(rng.normal(size=(TICKS, 2, 2)), jnp.float32)
    many = jax.tree.map(lambda x: jnp.broadcast_to(x, (TICKS, *x.shape)), first)
    return replace(many, local=local, memory=memory)


@pytest.mark.parametrize("owners", [None, (0, 1), (0, 0)])
def test_a_tick_is_the_gated_recurrent_unit(owners):
    ear = ears(owners)
    seen = episode(ear)
    heard = jax.vmap(ear.listen)(seen)
    for t in range(TICKS):
        for i in range(2):
            view = np.concatenate([seen.local[t, i], np.eye(2)[i]])
            agent = None if owners is None else owners[i]
            wanted = by_hand(ear, view, np.asarray(seen.memory["actor"][t, i], float), agent)
            np.testing.assert_allclose(heard.memory["actor"][t, i], wanted, rtol=1e-4, atol=1e-5)


def test_following_is_listening_tick_after_tick_from_where_memory_is_fresh():
    ear = ears(None)
    seen = episode(ear)
    fresh = np.array([True, False, False, True, False])
    together = ear.follow(seen, jnp.asarray(fresh)).memory["actor"]
    memory = None
    for t in range(TICKS):
        one = jax.tree.map(lambda x, t=t: x[t], seen)
        if not fresh[t]:
            one = replace(one, memory={"actor": memory})
        memory = ear.listen(one).memory["actor"]
        np.testing.assert_allclose(together[t], memory, rtol=1e-5, atol=1e-6)


def test_nothing_is_remembered_at_first_and_others_memories_stay():
    ear = ears(None)
    assert float(jnp.abs(ear.begin()["actor"]).max()) == 0
    _, first = TOY.env.reset(KEY)
    both = replace(first, memory=ear.begin() | {"critic": jnp.ones((1, 4))})
    heard = ear.listen(both).memory
    assert heard is not None
    assert heard["critic"] is both.memory["critic"]
    with pytest.raises(ValueError, match="put what `begin` returns"):
        ear.listen(first)


def test_all_ears_of_networks_are_heard_and_a_copy_remembers_for_itself():
    listener = recurrent.listener(KEY, recurrent.own(SPEC), "actor", HIDDEN, 2)
    nets = {"of": listener, "copy": recurrent.copied(listener), "other": jnp.zeros(3)}
    memory = recurrent.begin(nets)
    assert sorted(memory) == ["actor", "copy of actor"]
    assert recurrent.begin(jnp.zeros(3)) is None
    seen = replace(episode(ears(None)), memory=None)
    seen = replace(seen, memory=jax.tree.map(lambda x: jnp.zeros((TICKS, *x.shape)), memory))
    fresh = jnp.zeros((TICKS,), bool).at[0].set(True)
    heard = recurrent.follow(nets, seen, fresh)
    np.testing.assert_array_equal(heard.memory["actor"], heard.memory["copy of actor"])
    one = recurrent.listen(nets, jax.tree.map(lambda x: x[0], seen))
    np.testing.assert_allclose(one.memory["copy of actor"], heard.memory["actor"][0], rtol=1e-5)
    np.testing.assert_array_equal(nets["copy"](one), listener(one))


def test_what_is_seen_is_the_own_view_and_the_index_or_everything():
    _, first = TOY.env.reset(KEY)
    all_seen = np.reshape(first.local, -1)
    own = np.concatenate([first.local, np.eye(2)], axis=1)
    for view, wanted in (
        (recurrent.own(SPEC), (all_seen[:0], own)),
        (recurrent.everything(SPEC), (all_seen, own)),
        (recurrent.whole(SPEC), (all_seen, own[:1, :0])),
    ):
        common, each = view.of(first)
        np.testing.assert_array_equal(common, wanted[0])
        np.testing.assert_array_equal(each, wanted[1])
        assert (each.shape[0], common.size + each.shape[1]) == (view.rows, view.size)
