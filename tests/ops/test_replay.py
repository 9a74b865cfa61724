import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from descant.ops.replay import draw, empty, push

ROOM = 7
put = jax.jit(push)
KEY = jax.random.key(0)


def numbers(first, count):
    """Ticks that are their own numbers."""
    return {"number": jnp.arange(first, first + count), "pair": jnp.zeros((count, 2))}


TICK = jax.tree.map(lambda x: x[0], numbers(0, 1))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=8))
def test_the_newest_ticks_are_kept(counts):
    ring, total = empty(TICK, ROOM), 0
    for count in counts:
        ring, total = put(ring, numbers(total, count)), total + count
    kept = min(total, ROOM)
    assert int(ring.filled) == kept
    everything = np.asarray(ring.ticks["number"])[: ROOM if total >= ROOM else kept]
    assert sorted(everything.tolist()) == list(range(total - kept, total))


@pytest.mark.parametrize("total", [3, 7, 12])
def test_every_tick_is_as_likely_as_any_other_and_is_followed_by_its_successor(total):
    ring = empty(TICK, ROOM)
    for first in range(total):
        ring = put(ring, numbers(first, 1))
    drawn = np.asarray(jax.jit(draw, static_argnums=(2, 3))(ring, KEY, 7000, 2)["number"])
    kept = min(total, ROOM)
    names, often = np.unique(drawn[:, 0], return_counts=True)
    assert names.tolist() == list(range(total - kept, total))
    expected = 7000 / kept
    assert np.abs(often - expected).max() < 5 * np.sqrt(expected)
    inside = drawn[:, 0] < total - 1
    np.testing.assert_array_equal(drawn[inside, 1], drawn[inside, 0] + 1)


@pytest.mark.parametrize("total", [5, 7, 12])
def test_chunks_begin_so_many_ticks_before_the_newest_and_may_be_seen_from_earlier_on(total):
    ring = empty(TICK, ROOM)
    for first in range(total):
        ring = put(ring, numbers(first, 1))
    look = jax.jit(lambda ring: draw(ring, KEY, 500, 3, every=2, before=1))
    drawn = np.asarray(look(ring)["number"])
    starts = [total - 2 * n for n in range(min(total, ROOM) // 2, 0, -1)]
    assert np.unique(drawn[:, 1]).tolist() == starts
    np.testing.assert_array_equal(drawn[:, 2], drawn[:, 1] + 1)
    kept = drawn[:, 1] > total - min(total, ROOM)
    np.testing.assert_array_equal(drawn[kept, 0], drawn[kept, 1] - 1)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="8 ticks do not fit into a ring with room for 7"):
        push(empty(TICK, ROOM), numbers(0, 8))
