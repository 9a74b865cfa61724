import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.ops.loops import when_any, while_any


def condition(limit, carry):
    return carry["value"] < limit


def body(limit, carry):
    live = condition(limit, carry)
    return {
        "value": jnp.where(live, 2 * carry["value"] + 1, carry["value"]),
        "rounds": carry["rounds"] + live,
        "mark": carry["mark"],
    }


def by_hand(limit, value):
    rounds = 0
    while value < limit:
        value, rounds = 2 * value + 1, rounds + 1
    return value, rounds


def run(limit, value):
    start = {"value": value, "rounds": jnp.int32(0), "mark": jnp.arange(2)}
    return while_any(condition, body, limit, start)


LIMITS = np.array([5.0, 0.0, 1000.0, 64.0], np.float32)
VALUES = np.array([1.0, 3.0, 0.5], np.float32)


def test_alone_it_is_a_while_loop():
    for limit in LIMITS:
        out = run(jnp.float32(limit), jnp.float32(1))
        assert (float(out["value"]), int(out["rounds"])) == by_hand(limit, 1.0)


@pytest.mark.parametrize("compiled", [True, False])
def test_under_vmap_each_member_runs_its_own_rounds(compiled):
    loop = jax.vmap(run, in_axes=(0, None))
    out = (jax.jit(loop) if compiled else loop)(LIMITS, jnp.float32(1))
    wanted = [by_hand(limit, 1.0) for limit in LIMITS]
    assert list(zip(out["value"].tolist(), out["rounds"].tolist(), strict=True)) == wanted
    assert out["mark"].tolist() == [[0, 1]] * 4


def test_constants_need_not_be_batched():
    out = jax.vmap(run, in_axes=(None, 0))(jnp.float32(64), VALUES)
    wanted = [by_hand(64.0, value) for value in VALUES]
    assert list(zip(out["value"].tolist(), out["rounds"].tolist(), strict=True)) == wanted


def test_under_nested_vmap():
    out = jax.jit(jax.vmap(jax.vmap(run, in_axes=(None, 0)), in_axes=(0, None)))(LIMITS, VALUES)
    for i, limit in enumerate(LIMITS):
        for j, value in enumerate(VALUES):
            found = float(out["value"][i, j]), int(out["rounds"][i, j])
            assert found == by_hand(limit, value), (limit, value)


def test_a_batch_runs_until_its_last_member_is_done_and_no_longer():
    """A body that does change finished members shows how many rounds there were."""

    def count(limit, carry):
        value, rounds = carry
        return jnp.where(value < limit, value + 1, value), rounds + 1

    def loop(limit):
        start = jnp.float32(0), jnp.int32(0)
        return while_any(lambda limit, carry: carry[0] < limit, count, limit, start)

    value, rounds = jax.vmap(loop)(jnp.array([2.0, 7.0, 0.0]))
    assert value.tolist() == [2.0, 7.0, 0.0]
    assert rounds.tolist() == [7, 7, 7]


def doubled(given, x):
    """Doubles what is to be doubled, of those that have a factor of their own."""
    where, factor = given
    return jnp.where(where, factor * x, x)


def branch(where, x):
    return when_any(where, doubled, (where, jnp.float32(2)), x)


@pytest.mark.parametrize("compiled", [True, False])
def test_a_branch_changes_those_who_need_it(compiled):
    where = jnp.array([[True, False], [False, False], [True, True]])
    x = jnp.arange(6.0).reshape(3, 2)
    for member in range(3):
        np.testing.assert_array_equal(
            branch(where[member], x[member]), (1 + where[member]) * x[member]
        )
    run = jax.vmap(branch)
    np.testing.assert_array_equal((jax.jit(run) if compiled else run)(where, x), (1 + where) * x)


def test_a_branch_is_not_taken_where_no_member_needs_it():
    """A change that does more than it may shows when it was made."""

    def run(where, x):
        return when_any(where, lambda factor, x: factor + x, jnp.float32(1), x)

    both = jax.jit(jax.vmap(jax.vmap(run), in_axes=(0, None)))
    x = jnp.zeros(3)
    assert both(jnp.zeros((2, 3), bool), x).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert both(jnp.zeros((2, 3), bool).at[1, 0].set(True), x).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert "select" not in str(jax.make_jaxpr(both)(jnp.zeros((2, 3), bool), x))
