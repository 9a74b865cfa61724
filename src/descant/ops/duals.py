r"""Prices of constraints: what an agent's margin $m_i \ge 0$ counts in the objective.

Three rules. **Closed**: $\mu = \eta (-m)_+$, nothing remembered, which is to climb $F - \tfrac\eta2
\overline{(-m)_+^2}$; where that stands still, the violation is $\mu / \eta$. **Ascent**: $\mu \gets
[\mu - \eta m]$. **Augmented**: the same, and $[\mu - \rho m]$ is what counts. All are held between
0 and a largest price. Policies that are products make no convex set of occupancies, so nothing here
promises more than that things stand still; Chen et al. (2024).
"""

from typing import Literal

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

Rule = Literal["closed", "ascent", "augmented"]


class Duals(eqx.Module):
    """How prices follow margins."""

    rule: Rule = eqx.field(static=True)
    rate: float = eqx.field(static=True)
    r"""$\eta$."""
    penalty: float = eqx.field(static=True)
    r"""$\rho$ of `augmented`."""
    most: float = eqx.field(static=True)
    """No price is larger."""

    def follow(self, held: Float[Array, " N"], margin: Float[Array, " N"]) -> Float[Array, " N"]:
        """What is remembered after margins have been seen."""
        if self.rule == "closed":
            return held
        return jnp.clip(held - self.rate * margin, 0, self.most)

    def price(self, held: Float[Array, " N"], margin: Float[Array, " N"]) -> Float[Array, " N"]:
        """What counts now, given what is remembered after the margins were seen."""
        if self.rule == "ascent":
            return held
        if self.rule == "closed":
            return jnp.clip(-self.rate * margin, 0, self.most)
        return jnp.clip(held - self.penalty * margin, 0, self.most)
