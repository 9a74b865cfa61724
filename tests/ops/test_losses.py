import jax
import jax.numpy as jnp
import numpy as np
import pytest

from descant.ops.losses import clipped_surrogate, huber, masked_mean, masked_moments


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [
        (1.0, 2.0, -2.0),
        (1.1, 2.0, -2.2),
        (1.5, 2.0, -2.4),
        (0.5, 2.0, -1.0),
        (1.5, -2.0, 3.0),
        (0.5, -2.0, 1.6),
    ],
)
def test_surrogate_by_hand(ratio, advantage, loss):
    given = jnp.log(ratio), jnp.float32(advantage)
    assert float(clipped_surrogate(*given, 0.2)) == pytest.approx(loss, rel=1e-5)


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"), [(1.3, 1.0, False), (0.7, 1.0, True), (0.7, -1.0, False)]
)
def test_surrogate_stops_pulling_once_it_has_gone_far_enough(ratio, advantage, moves):
    slope = jax.grad(clipped_surrogate)(jnp.log(ratio), jnp.float32(advantage), 0.2)
    assert (slope != 0) == moves


def test_surrogate_at_the_old_policy_is_the_policy_gradient():
    advantage = jnp.array([1.5, -0.5, 0.0])
    slope = jax.vmap(jax.grad(clipped_surrogate), in_axes=(0, 0, None))(
        jnp.zeros(3), advantage, 0.2
    )
    np.testing.assert_allclose(slope, -advantage)


def test_huber_is_quadratic_then_linear_and_smooth():
    error = jnp.linspace(-5, 5, 41)
    wanted = np.where(np.abs(error) <= 2, error**2 / 2, 2 * np.abs(error) - 2)
    np.testing.assert_allclose(huber(error, 2.0), wanted, rtol=1e-6)
    slope = jax.vmap(jax.grad(huber), in_axes=(0, None))(error, 2.0)
    away = np.abs(np.abs(error) - 2) > 1e-6
    np.testing.assert_allclose(slope[away], np.clip(error, -2, 2)[away], rtol=1e-6)


def test_moments_over_what_counts():
    value = jnp.array([[1.0, 2.0, 99.0], [3.0, -99.0, 6.0]])
    mask = jnp.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    mean, variance = masked_moments(value, mask)
    assert float(mean) == 3.0
    assert float(variance) == np.var([1, 2, 3, 6])
    assert float(masked_mean(value, jnp.zeros((2, 3)))) == 0.0
