"""Losses of one decision or one tick."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.core.types import Number, Scalar


def clipped_surrogate(
    log_ratio: Float[Array, "*b"], advantage: Float[Array, "*b"], clip: Number
) -> Float[Array, "*b"]:
    r"""$-\min(\rho A, \mathrm{clip}(\rho, 1 \pm \epsilon) A)$ with $\rho$ the ratio of new to old
    probability; Schulman et al. (2017), eq. 7.
    """
    ratio = jnp.exp(log_ratio)
    return -jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - clip, 1 + clip) * advantage)


def huber(error: Float[Array, "*b"], delta: Number) -> Float[Array, "*b"]:
    r"""$\tfrac12 e^2$ up to $\delta$, then linear with the same slope; Huber (1964)."""
    small = jnp.minimum(jnp.abs(error), delta)
    return small * (jnp.abs(error) - 0.5 * small)


def masked_mean(value: Float[Array, "*b"], mask: Float[Array, "*b"]) -> Scalar:
    """Mean over the entries that count; zero when none does."""
    return jnp.sum(value * mask) / jnp.maximum(jnp.sum(mask), 1)


def masked_moments(value: Float[Array, "*b"], mask: Float[Array, "*b"]) -> tuple[Scalar, Scalar]:
    """Mean and variance over the entries that count."""
    mean = masked_mean(value, mask)
    return mean, masked_mean((value - mean) ** 2, mask)
