import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from descant.ops import ordering

numbers = st.floats(width=32, allow_nan=False, allow_subnormal=False)
few = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 1e-30, 2.0, np.inf])
rows = arrays.arrays(np.float32, (3, 7), elements=st.one_of(numbers, few))


@settings(deadline=None)
@given(rows)
def test_integers_are_in_the_order_of_the_numbers(score):
    order = np.asarray(ordering.ordinal(jnp.array(score)))
    less = score[:, :, None] < score[:, None, :]
    same = score[:, :, None] == score[:, None, :]
    np.testing.assert_array_equal(order[:, :, None] < order[:, None, :], less)
    np.testing.assert_array_equal(order[:, :, None] == order[:, None, :], same)


@settings(deadline=None)
@given(rows)
def test_the_best_is_where_argmax_says(score):
    np.testing.assert_array_equal(ordering.best(jnp.array(score)), score.argmax(-1))


@settings(deadline=None)
@given(rows, st.permutations(range(7)))
def test_of_equals_the_first_of_the_list_wins(score, place):
    found = np.asarray(ordering.best_listed(jnp.array(score), jnp.array([place] * 3)))
    for row, index in zip(score, found, strict=True):
        equals = np.flatnonzero(row == row.max())
        assert index == min(equals, key=lambda i: place[i])


def test_the_first_marked_or_the_last():
    marked = jnp.array([[False, True, True], [False, False, False]])
    assert ordering.first(marked).tolist() == [1, 2]
