"""How particles move: forces, damping, and contact that is a little soft.

The constants are those of the public multi-agent particle environments; masses are 1.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from descant.core.types import Action

TICK = 0.1
"""Seconds."""
DAMPING = 0.25
"""Share of its velocity that a particle loses in a tick."""
PUSH = 5.0
"""Force of a move."""
STIFFNESS = 100.0
"""Force of contact per unit of overlap."""
MARGIN = 1e-3
"""Distance over which contact sets in."""
MOVES = np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)], np.float32)
"""Stay, left, right, down, up."""


def advance(
    position: Float[Array, "N 2"],
    velocity: Float[Array, "N 2"],
    push: Float[Array, "N 2"],
    radius: float,
) -> tuple[Float[Array, "N 2"], Float[Array, "N 2"]]:
    """Positions and velocities a tick later: the place moves by the old velocity, then damping and
    forces change the velocity. A push is a share of the largest along each axis."""
    force = PUSH * push + contact(position, radius)
    return position + TICK * velocity, (1 - DAMPING) * velocity + TICK * force


def pushes(action: Action) -> Float[Array, "N 2"]:
    """What moves by number, or forces as they are chosen, come to."""
    if jnp.issubdtype(action.dtype, jnp.integer):
        return jnp.asarray(MOVES)[action]
    return jnp.clip(action, -1, 1)


def contact(position: Float[Array, "N 2"], radius: float) -> Float[Array, "N 2"]:
    r"""Force on each of equal discs, $f\,k \log(1 + e^{(2r - d) / k})$ away from every other one
    at distance $d$."""
    apart = position[:, None] - position[None]
    distance = jnp.sqrt(jnp.sum(apart**2, axis=-1))
    overlap = MARGIN * jax.nn.softplus((2 * radius - distance) / MARGIN)
    # Two in the very same place push nowhere; so does everyone on itself.
    size = STIFFNESS * overlap / jnp.maximum(distance, 1e-9)
    return jnp.sum(size[..., None] * apart, axis=1)


def touching(position: Float[Array, "N 2"], radius: float) -> Bool[Array, "N N"]:
    """Which agents overlap with which others."""
    near = between(position, position) < 2 * radius
    return near & ~jnp.eye(position.shape[0], dtype=bool)


def between(ones: Float[Array, "N 2"], others: Float[Array, "K 2"]) -> Float[Array, "N K"]:
    """Distances."""
    return jnp.sqrt(jnp.sum((ones[:, None] - others[None]) ** 2, axis=-1))
