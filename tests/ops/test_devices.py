import jax.numpy as jnp
import numpy as np

from descant.ops.devices import apart, shared


def test_without_a_mesh_nothing_happens():
    """With one: tests/train/test_devices.py, where there are two devices."""
    x = jnp.arange(6).reshape(2, 3)
    assert shared(x, axis=1) is x
    np.testing.assert_array_equal(shared(x, axis=0), x)


def test_without_a_mesh_nothing_is_apart():
    np.testing.assert_array_equal(apart(jnp.add, (jnp.arange(3),), (jnp.int32(1),)), [1, 2, 3])
