"""The analytic model's word on each agent's choice."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from descant.core.model import AbstractModel
from descant.core.types import PyTree, Rollout, Scalar
from descant.ops.losses import masked_mean


def blend(
    advantage: Float[Array, "*b"], slope: Float[Array, "*b"], weight: Float[Array, ""]
) -> Float[Array, "*b"]:
    r"""Guided advantage. $(1 - \alpha) \hat A - \alpha\, \langle x - \tilde x, z^i \rangle$;
    Yang & Liu (2026), eq. 11.
    """
    return (1 - weight) * advantage - weight * slope


def slopes(
    model: AbstractModel, context: PyTree, action: Float[Array, "N A"]
) -> Float[Array, "N A"]:
    r"""$\partial d / \partial a$ for every agent and action by one reverse pass, which is
    $\langle \nabla_x d, z_{ij} \rangle$; the Jacobian itself never exists.
    """
    return jax.grad(model.potential, argnums=1)(context, action)


def slope(
    model: AbstractModel, context: PyTree, action: Int[Array, " N"], actions: int
) -> Float[Array, " N"]:
    r"""$\langle \nabla_x d, \partial x / \partial a^i \rangle$ at the joint action taken;
    Yang & Liu (2026), eq. 9. The state is the one after the action.
    """
    chosen = jax.nn.one_hot(action, actions)
    return jnp.sum(slopes(model, context, chosen) * chosen, axis=-1)


def slope_before(
    model: AbstractModel, context: PyTree, action: Int[Array, " N"], actions: int
) -> Float[Array, " N"]:
    """The slope at the state before anybody acts; Yang & Liu (2026), appendix D as printed."""
    chosen = jax.nn.one_hot(action, actions)
    return jnp.sum(slopes(model, context, jnp.zeros_like(chosen)) * chosen, axis=-1)


def expected_slopes(
    model: AbstractModel, context: PyTree, probabilities: Float[Array, "N A"]
) -> Float[Array, "N A"]:
    """Derivative of the expected potential by each probability: no sampled action is left in it."""
    return jax.grad(model.expected, argnums=1)(context, probabilities)


def aligned_share(model: AbstractModel, ticks: Rollout, most: int) -> dict[str, Scalar]:
    """Share of visited states from which a step down the model's potential improves each term of
    the reward, `alignment_TERM`; at most so many ticks are asked, evenly spread over the rollout,
    and those count in which somebody acts.
    """
    count = ticks.action.shape[0]
    asked = jnp.arange(0, count, -(-count // most))
    context, action, active = jax.tree.map(
        lambda x: x[asked], (ticks.context, ticks.action, ticks.observation.active)
    )
    aligned = jax.vmap(model.alignment)(context, action)
    counts = jnp.any(active, axis=-1).astype(jnp.float32)
    return {f"alignment_{term}": masked_mean(each, counts) for term, each in aligned.items()}


def charges(
    model: AbstractModel,
    context: PyTree,
    action: Int[Array, " N"],
    who: Int[Array, " P"],
    known: Int[Array, " P"],
) -> Float[Array, "P A"]:
    """What the model charges some agents, in ascending order, for each of their actions, each as
    things stand before the agent named in `known`; nothing is kept of the turns between."""

    def turn(index, position):
        return model.move(context, position, index, action[index])

    def until(carry, now):
        agent, target = now
        position = jax.lax.fori_loop(carry[0], target, turn, carry[1])
        return (target, position), model.turn(context, position, agent)

    start = (jnp.zeros_like(known[0]), model.begin(context))
    return jax.lax.scan(until, start, (who, known))[1]


FINE = 100.0
"""Regrets count on a logarithmic scale from the hundredth part of their mean on."""


def grades(charge: Float[Array, "*b A"], legal: Bool[Array, "*b A"]) -> Float[Array, "*b A"]:
    r"""What the model charges an agent for each action, free of units and of the number of actions:
    $\log(1 + 100\, r_j / \bar r) / \log 101$ with the regrets $r_j$ and their mean over legal
    actions.

    0 is the best, 1 the mean. Linear in the regret, the scale would be set by what does not fit
    at all, and tell nothing of the choice between the others.
    """
    best = jnp.min(jnp.where(legal, charge, jnp.inf), axis=-1, keepdims=True)
    regret = jnp.where(legal, charge - best, 0.0)
    count = jnp.maximum(jnp.sum(legal, axis=-1, keepdims=True), 1)
    mean = jnp.sum(regret, axis=-1, keepdims=True) / count
    return jnp.log1p(FINE * regret / jnp.maximum(mean, 1e-12)) / jnp.log1p(FINE)
