"""Numbers that change with progress, which runs from 0 at the first update to 1 at the last."""

import equinox as eqx
import jax.numpy as jnp

from descant.core.types import Scalar


class Constant(eqx.Module):
    """The same all the time."""

    level: float = eqx.field(static=True)

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

    start: float = eqx.field(static=True)
    stop: float = eqx.field(static=True)
    begin: float = eqx.field(static=True, default=0.0)
    end: float = eqx.field(static=True, default=1.0)

    def __call__(self, progress: Scalar) -> Scalar:
        """The level at this progress."""
        share = jnp.clip((progress - self.begin) / max(self.end - self.begin, 1e-9), 0, 1)
        return self.start + share * (self.stop - self.start)


class Decay(eqx.Module):
    """A constant factor per step, from `start` to `stop`."""

    start: float = eqx.field(static=True)
    stop: float = eqx.field(static=True)

    def __call__(self, progress: Scalar) -> Scalar:
        """The level at this progress."""
        if self.start <= 0 or self.stop <= 0:
            return Ramp(start=self.start, stop=self.stop)(progress)
        return self.start * (self.stop / self.start) ** jnp.clip(progress, 0, 1)
