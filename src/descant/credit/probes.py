"""What links ask the collector to measure while agents act."""

from typing import Literal

import equinox as eqx
from jaxtyping import Array, Float, Int

from descant.core.model import AbstractModel
from descant.core.types import Key, PyTree
from descant.ops.guidance import slope, slope_before


class Slope(eqx.Module):
    """The model's slope at each agent's action; Yang & Liu (2026), eq. 9 and appendix D.

    `after` is eq. 9 (the state follows the actions), `before` is appendix D as printed,
    `sequential` what each agent adds given those before it, which is exact and sums to the total
    change.
    """

    model: AbstractModel
    actions: int = eqx.field(static=True)
    moment: Literal["sequential", "after", "before"] = eqx.field(static=True)

    def __call__(self, state: PyTree, action: Int[Array, " N"], key: Key) -> Float[Array, " N"]:
        """Positive where the agent's action takes the system away from the reference."""
        context = self.model.context(state)
        if self.moment == "sequential":
            return self.model.marginal(context, action)
        at = slope if self.moment == "after" else slope_before
        return at(self.model, context, action, self.actions)
