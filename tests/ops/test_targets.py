import jax
import jax.numpy as jnp
import numpy as np

from descant.ops.targets import lag

follow = jax.jit(lag, static_argnums=(3, 4))


def test_a_share_of_the_way_at_every_third_step():
    target, source, seen = {"w": jnp.zeros(2)}, {"w": jnp.ones(2)}, []
    for step in range(1, 8):
        target = follow(target, source, jnp.int32(step), 0.5, 3)
        seen.append(float(target["w"][0]))
    assert seen == [0, 0, 0.5, 0.5, 0.5, 0.75, 0.75]


def test_all_of_the_way_is_a_copy_to_the_bit():
    old, new = jax.random.normal(jax.random.key(0), (2, 5))
    copied = follow({"w": old}, {"w": new}, jnp.int32(4), 1.0, 2)
    np.testing.assert_array_equal(copied["w"], new)
