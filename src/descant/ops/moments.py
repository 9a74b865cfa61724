"""Running mean and variance, corrected for their start."""

from typing import NamedTuple

import jax.numpy as jnp

from descant.core.types import Number, Scalar


class Moments(NamedTuple):
    """Exponential averages and the weight they have gathered so far."""

    mean: Scalar
    square: Scalar
    weight: Scalar


def start() -> Moments:
    """No observations yet."""
    return Moments(jnp.float32(0), jnp.float32(0), jnp.float32(0))


def follow(moments: Moments, mean: Scalar, variance: Scalar, momentum: Number) -> Moments:
    """Take in the mean and variance of a batch; `momentum` 0 forgets everything before it."""
    keep = momentum
    return Moments(
        mean=keep * moments.mean + (1 - keep) * mean,
        square=keep * moments.square + (1 - keep) * (variance + mean**2),
        weight=keep * moments.weight + (1 - keep),
    )


def read(moments: Moments) -> tuple[Scalar, Scalar]:
    """Mean and standard deviation; 0 and 1 before the first batch."""
    weight = jnp.where(moments.weight > 0, moments.weight, 1.0)
    mean = moments.mean / weight
    variance = jnp.maximum(moments.square / weight - mean**2, 0)
    return mean, jnp.where(moments.weight > 0, jnp.sqrt(variance) + 1e-6, 1.0)
