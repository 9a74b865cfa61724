"""Returns and advantages of one trajectory."""

import jax
from jaxtyping import Array, Bool, Float

from descant.core.types import Number


def gae(
    reward: Float[Array, " T"],
    value: Float[Array, " T"],
    bootstrap: Float[Array, " T"],
    terminated: Bool[Array, " T"],
    truncated: Bool[Array, " T"],
    discount: Number,
    trace: Number,
) -> Float[Array, " T"]:
    r"""Generalised advantage. $\hat A_t = \delta_t + \gamma \lambda \hat A_{t+1}$ with
    $\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t)$; Schulman et al. (2016), eq. 16.

    `bootstrap` is V(s_{t+1}) before any reset. Nothing of value follows a termination; a truncation
    ends the sum but keeps its bootstrap.
    """
    delta = reward + discount * (1 - terminated) * bootstrap - value
    decay = discount * trace * (1 - terminated) * (1 - truncated)

    def backward(advantage, now):
        delta, decay = now
        advantage = delta + decay * advantage
        return advantage, advantage

    return jax.lax.scan(backward, 0.0 * delta[0], (delta, decay), reverse=True)[1]


def lambda_returns(
    reward: Float[Array, " T"],
    following: Float[Array, " T"],
    terminated: Bool[Array, " T"],
    truncated: Bool[Array, " T"],
    discount: Number,
    trace: Number,
) -> Float[Array, " T"]:
    r"""TD($\lambda$) targets. $G_t = r_t + \gamma \left((1 - \lambda) V(s_{t+1}) + \lambda
    G_{t+1}\right)$; Sutton & Barto (2018), eq. 12.2.

    `following` is V(s_{t+1}) before any reset, and takes the place of the next target at the end
    and at truncations. So $\lambda = 0$ gives targets of one step, and $\lambda = 1$ those of as
    many steps as there are. Where values are those of best actions, this is Peng's Q($\lambda$).
    """
    decay = trace * (1 - truncated)

    def backward(target, now):
        reward, following, terminated, decay = now
        after = (1 - decay) * following + decay * target
        target = reward + discount * (1 - terminated) * after
        return target, target

    given = reward, following, terminated, decay
    return jax.lax.scan(backward, following[-1], given, reverse=True)[1]
