r"""Closed forms of `balance`: gradient and noise of one tick, for agents that choose independently.

An agent's policy gradient with respect to its own logits is $g = (e_a - \pi)(r - b)$ with its
action $a$, its probabilities $\pi$ and the team's reward $r$. The reward is a quadratic form of a
sum of independent vectors, so its mean and variance given one agent's action are sums over agents
and resources, for any N; nothing is enumerated or drawn.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from descant.core.types import Scalar
from descant.domains.balance.world import State, dropped, metric, target


class Noise(NamedTuple):
    """Of single agents' gradients with respect to their logits; a tick's noise not included."""

    mean: Float[Array, "N A"]
    variance: Float[Array, " N"]
    """Summed over the logits."""
    others: Float[Array, " N"]
    """The part of the variance that the others' choices account for."""


def reward_given(
    state: State, probabilities: Float[Array, "N A"]
) -> tuple[Float[Array, "N A"], Float[Array, "N A"]]:
    r"""Mean and variance of the reward given that agent i takes action j, the others drawing.

    With $m$ the mean deviation from the target and $s = \sum_k \xi_k$ the centred sum of the
    others, the cost is $\tfrac12 |m|^2 + \langle m, s \rangle + \tfrac12 |s|^2$, and

    $\mathrm{Var} = \sum_k \mathrm{Var} \langle m, \xi_k \rangle + \sum_k \mathrm{Cov}(\langle m,
    \xi_k \rangle, |\xi_k|^2) + \tfrac14 \sum_k \mathrm{Var} |\xi_k|^2 + \sum_{k < l}
    \mathrm{tr}(C_k C_l)$.
    """
    root = jnp.sqrt(metric(state))
    # Everything in the model's metric, so that inner products are plain.
    z = state.size[:, None, None] * jnp.diag(root)[None]
    mean = jnp.einsum("kj,kjm->km", probabilities, z)
    centred = z - mean[:, None]
    square = jnp.sum(centred**2, axis=-1)
    covariance = jnp.einsum("kj,kjm,kjn->kmn", probabilities, centred, centred)
    length = jnp.einsum("kj,kj->k", probabilities, square)
    spread = jnp.einsum("kj,kj->k", probabilities, (square - length[:, None]) ** 2)
    skew = jnp.einsum("kj,kj,kjm->km", probabilities, square, centred)
    overlap = jnp.einsum("kmn,lmn->kl", covariance, covariance)
    deviation = root * (dropped(state, probabilities) - target(state))

    def without(x):
        return jnp.sum(x, axis=0, keepdims=True) - x

    m = deviation[None, None] + centred
    left = without(covariance)
    linear = jnp.einsum("ijm,imn,ijn->ij", m, left, m)
    bent = jnp.einsum("ijm,im->ij", m, without(skew))
    total, own = jnp.sum(overlap), jnp.diagonal(overlap)
    # Pairs k < l without i: half of all ordered pairs, k = l not counted.
    cross = 0.5 * (total - 2 * jnp.sum(overlap, axis=1) + own - without(own))
    variance = linear + bent + (0.25 * without(spread) + cross)[:, None]
    cost = 0.5 * jnp.sum(m**2, axis=-1) + 0.5 * without(length)[:, None]
    return -cost, variance


def learning(
    state: State, probabilities: Float[Array, "N A"], baseline: Scalar, unit: Scalar
) -> Noise:
    r"""The score-function gradient $(e_a - \pi)(r - b) / u$, as MAPPO and IPPO estimate it."""
    reward, spread = reward_given(state, probabilities)
    return _noise(probabilities, (reward - baseline) / unit, spread / unit**2)


def slope_given(
    state: State, probabilities: Float[Array, "N A"]
) -> tuple[Float[Array, "N A"], Float[Array, "N A"]]:
    r"""Mean and variance of $\langle x - \tilde x, z_{ij} \rangle$ given that agent i takes
    action j; the slope of `sampled` guidance at the state after the actions.
    """
    scale = metric(state)
    taken = state.size[:, None] * (1 - probabilities)
    mean = (dropped(state, probabilities) - target(state))[None] + taken
    each = state.size[:, None] ** 2 * probabilities * (1 - probabilities)
    others = jnp.sum(each, axis=0, keepdims=True) - each
    z = state.size[:, None] * scale[None]
    return z * mean, z**2 * others


def guidance(
    state: State, probabilities: Float[Array, "N A"], baseline: Scalar, unit: Scalar
) -> Noise:
    r"""The gradient $(e_a - \pi)(\langle x - \tilde x, z \rangle - b) / u$ of `sampled` guidance,
    not clipped.
    """
    slope, spread = slope_given(state, probabilities)
    return _noise(probabilities, (slope - baseline) / unit, spread / unit**2)


def _noise(
    probabilities: Float[Array, "N A"],
    coefficient: Float[Array, "N A"],
    spread: Float[Array, "N A"],
) -> Noise:
    """Of a score times a coefficient whose mean and variance given the action are known."""
    score = jnp.eye(probabilities.shape[1])[None] - probabilities[:, None]
    length = jnp.sum(score**2, axis=-1)
    mean = jnp.einsum("ij,ij,ija->ia", probabilities, coefficient, score)
    others = jnp.sum(probabilities * length * spread, axis=-1)
    square = jnp.sum(probabilities * length * (spread + coefficient**2), axis=-1)
    return Noise(mean=mean, variance=square - jnp.sum(mean**2, axis=-1), others=others)


def exact_gradient(state: State, probabilities: Float[Array, "N A"]) -> Float[Array, "N A"]:
    r"""$\nabla\,\mathbb{E}_\pi[r]$ with respect to all logits, by differentiation of the closed
    form of the expected cost."""

    def value(logits):
        chances = jax.nn.softmax(logits)
        load = dropped(state, chances)
        weights = metric(state)
        spread = state.size[:, None] ** 2 * chances * (1 - chances)
        away = jnp.sum(weights * (load - target(state)) ** 2)
        return -0.5 * (away + jnp.sum(weights * jnp.sum(spread, axis=0)))

    return jax.grad(value)(jnp.log(probabilities))
