"""Numbers that change with progress, which runs from 0 at the first update to 1 at the last.

What they are made of may be numbers or arrays: a compiled program takes it as it comes.
"""

import equinox as eqx
import jax.numpy as jnp

from descant.core.types import Number, Scalar


class Constant(eqx.Module):
    """The same all the time."""

    level: Number

    def __call__(self, progress: Scalar) -> Scalar:
        """The level."""
        return jnp.full_like(progress, self.level)


class Given(eqx.Module):
    """A level that may change from one update to the next, for whatever reason."""

    level: Scalar

    def __call__(self, progress: Scalar) -> Scalar:
        """The level."""
        return self.level


class Ramp(eqx.Module):
    """`start` until `begin`, then a straight line to `stop` at `end`, then `stop`.

    The guidance weight of Yang & Liu (2026), section 6.2, is 0.9 until 10 %, linear to 0.2 at 50 %.
    """

    start: Number
    stop: Number
    begin: Number = 0.0
    end: Number = 1.0

    def __call__(self, progress: Scalar) -> Scalar:
        """The level at this progress."""
        length = jnp.maximum(self.end - self.begin, 1e-9)
        share = jnp.clip((progress - self.begin) / length, 0, 1)
        return self.start + share * (self.stop - self.start)


class Decay(eqx.Module):
    """A constant factor per step, from `start` to `stop`; a straight line if one of them is 0."""

    start: Number
    stop: Number

    def __call__(self, progress: Scalar) -> Scalar:
        """The level at this progress."""
        share = jnp.clip(progress, 0, 1)
        line = self.start + share * (self.stop - self.start)
        above = jnp.minimum(self.start, self.stop) > 0
        factor = jnp.where(above, self.stop, 1.0) / jnp.where(above, self.start, 1.0)
        return jnp.where(above, self.start * factor**share, line)
