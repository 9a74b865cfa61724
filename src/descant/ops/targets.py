"""Copies of weights that lag behind, so that values learnt from their own kind keep still."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from descant.core.types import Number, PyTree


def lag(target: PyTree, source: PyTree, step: Int[Array, ""], rate: Number, every: int) -> PyTree:
    r"""$\bar\theta \leftarrow (1 - \alpha) \bar\theta + \alpha \theta$ at every so many steps,
    counted from 1; Lillicrap et al. (2016). With $\alpha = 1$ it is the copy of Mnih et al. (2015).
    """
    share = jnp.where(step % every == 0, rate, 0.0)
    return jax.tree.map(lambda old, new: (1 - share) * old + share * new, target, source)
