import jax.numpy as jnp
import numpy as np
import pytest

from descant.ops import moments


def feed(batches, momentum):
    state = moments.start()
    for batch in batches:
        mean, variance = jnp.float32(np.mean(batch)), jnp.float32(np.var(batch))
        state = moments.follow(state, mean, variance, momentum)
    return [float(x) for x in moments.read(state)]


def test_nothing_seen_changes_nothing():
    assert feed([], 0.99) == [0.0, 1.0]


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
def test_one_batch_is_taken_at_its_word(momentum):
    batch = np.array([3.0, 5.0, 10.0])
    assert feed([batch], momentum) == pytest.approx([batch.mean(), batch.std()], rel=1e-4)


def test_momentum_zero_forgets():
    assert feed([np.array([100.0, 300.0]), np.array([1.0, 3.0])], 0.0) == pytest.approx([2.0, 1.0])


def test_averages_are_weighted_by_age():
    batches = [np.array([0.0, 2.0]), np.array([4.0, 6.0]), np.array([1.0, 1.0])]
    weights = np.array([0.81, 0.9, 1.0])
    weights /= weights.sum()
    mean = sum(w * b.mean() for w, b in zip(weights, batches, strict=True))
    square = sum(w * (b**2).mean() for w, b in zip(weights, batches, strict=True))
    assert feed(batches, 0.9) == pytest.approx([mean, (square - mean**2) ** 0.5], rel=1e-4)


def test_equal_numbers_have_no_deviation():
    mean, deviation = feed([np.full(5, 7.0)] * 3, 0.9)
    assert mean == pytest.approx(7.0)
    assert 0 < deviation < 1e-2
