"""Many small linear systems side by side, without LAPACK: its parallel batches can wait for each
other for ever under `vmap` over seeds."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def eliminated(matrix: Float[Array, "N F F"], right: Float[Array, "N F"]) -> Float[Array, "N F"]:
    """Solutions by elimination in the given order, which takes matrices whose quadratic form is
    positive, symmetric or not."""

    def step(i, wide):
        row = wide[:, i] / wide[:, i, i][:, None]
        left = wide - wide[:, :, i][..., None] * row[:, None]
        return left.at[:, i].set(row)

    wide = jnp.concatenate([matrix, right[..., None]], axis=-1)
    return jax.lax.fori_loop(0, right.shape[-1], step, wide)[..., -1]
